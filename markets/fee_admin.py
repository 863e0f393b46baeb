"""Fee tiers in the admin; a row is kept of each change."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from base.web.admin import PlainAdmin
from base.web.admin_blocks import page_block
from core.money import plain, plain_or_none
from markets.fee_tier import FeeTier
from markets.fees import forget_tiers, read_standing, read_tiers
from users.acts import IN_THE_ADMIN, REASON_LENGTH, actor_of, record
from users.models import ActKind

# Generic for the type checker only.
if TYPE_CHECKING:
    _TierForm = forms.ModelForm[FeeTier]
else:
    _TierForm = forms.ModelForm


@page_block("users.User", "Fees")
def fees_block(request: HttpRequest, user: Any) -> str:
    """The user's tier, and what is lacking to the next."""
    tiers = read_tiers()
    if not tiers:
        return ""
    tier, above, volume = read_standing(user.pk, tiers)
    asset = settings.FEE_VOLUME_ASSET
    words = [
        "No fee tier" if tier is None else f"Fee tier {tier.level}",
        f"{plain(volume)} {asset} traded in 30 days",
        "" if above is None else f"tier {above.level} from {plain_or_none(above.volume)} {asset} on",
    ]
    return "; ".join(filter(None, words))


class RatesAdmin(PlainAdmin):
    """Rows with fee rates: the maker's may be below zero."""

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "maker_fee_rate":
            kwargs["min_value"] = None
        return super().formfield_for_dbfield(db_field, request, **kwargs)


class FeeTierForm(_TierForm):
    reason = forms.CharField(
        required=False, max_length=REASON_LENGTH, help_text="Why; it is kept with the act, and not with the tier."
    )


@admin.register(FeeTier)
class FeeTierAdmin(RatesAdmin):
    form = FeeTierForm
    fields = ("level", "volume", "group", "maker_fee_rate", "taker_fee_rate", "reason")
    list_display = ("level", "volume", "group", "maker_fee_rate", "taker_fee_rate")
    list_select_related = ("group",)
    ordering = ("level",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Orders have rates and name no tier, so a tier is nobody's history."""
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    def save_model(self, request: HttpRequest, obj: FeeTier, form: Any, change: bool) -> None:
        before = _shown(FeeTier.objects.select_related("group").get(pk=obj.pk)) if change else None
        super().save_model(request, obj, form, change)
        kind = ActKind.FEE_TIER_CHANGED if change else ActKind.FEE_TIER_ADDED
        _record(request, kind, obj, form.cleaned_data.get("reason", ""), before=before, after=_shown(obj))

    def delete_model(self, request: HttpRequest, obj: FeeTier) -> None:
        with transaction.atomic():
            _record(request, ActKind.FEE_TIER_REMOVED, obj, "", before=_shown(obj), after=None)
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[FeeTier]) -> None:
        with transaction.atomic():
            for tier in queryset.select_related("group"):
                self.delete_model(request, tier)


def _record(request: HttpRequest, kind: ActKind, tier: FeeTier, reason: str, **states: Any) -> None:
    record(kind, None, actor_of(request, reason or IN_THE_ADMIN), subject=str(tier), **states)
    forget_tiers()


def _shown(tier: FeeTier) -> Mapping[str, Any]:
    return {
        "level": tier.level,
        "volume": plain_or_none(tier.volume),
        "group": None if tier.group is None else tier.group.name,
        "makerFeeRate": plain_or_none(tier.maker_fee_rate),
        "takerFeeRate": plain_or_none(tier.taker_fee_rate),
    }
