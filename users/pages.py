"""The pages of the admin that check a password: signing in, and a new password of one's own.

They are Django's, by the doors that REST goes through. What is refused has the status and the headers of REST.
"""

from typing import Any

from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm, AdminPasswordChangeForm
from django.contrib.auth.views import PasswordChangeView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html

from base.web.answers import refusal_headers
from base.web.errors import ExchangeError, InvalidCredentials, SignInsBusy, TooManyRequests
from base.web.ratelimit.meter import Bucket, count_for_address
from users.services import confirm_password, store_password

NO_STAFF = '{} is no staff, and this page is for staff alone. You trade on the <a href="{}">trading page</a>.'
# Shown above the form.
_Refused = (TooManyRequests, SignInsBusy)


class SignInForm(AdminAuthenticationForm):
    """Django's form, counted as the sign-ins over REST are."""

    refusal: ExchangeError | None = None

    def confirm_login_allowed(self, user: Any) -> None:
        """Called once the password was right, so that the words tell nothing to who does not know it."""
        if not user.is_staff:
            page = admin.site.site_url
            raise ValidationError(format_html(NO_STAFF, user.get_username(), page), "no_staff")
        super().confirm_login_allowed(user)

    def clean(self) -> dict[str, Any]:
        try:
            count_for_address(Bucket.SIGN_INS)
            cleaned: dict[str, Any] = super().clean()
        except _Refused as refusal:
            self.refusal = refusal
            raise ValidationError(refusal.message) from refusal
        return cleaned


class OwnPasswordForm(AdminPasswordChangeForm):
    """Django's form, which checks the old password as REST does."""

    refusal: ExchangeError | None = None

    def clean_old_password(self) -> str:
        old: str = self.cleaned_data["old_password"]
        try:
            count_for_address(Bucket.PASSWORDS)
            confirm_password(self.user, old)
        except InvalidCredentials as refusal:
            raise ValidationError(self.error_messages["password_incorrect"], "password_incorrect") from refusal
        except _Refused as refusal:
            self.refusal = refusal
            raise ValidationError(refusal.message) from refusal
        return old

    def save(self, commit: bool = True) -> Any:
        """Raises InvalidCredentials."""
        store_password(self.user, self.cleaned_data["new_password1"])
        return self.user


admin.site.login_form = SignInForm


def sign_in(request: HttpRequest) -> HttpResponse:
    """The admin's first page for whoever is not signed in."""
    return _with_refusal(admin.site.login(request))


def change_password(request: HttpRequest) -> HttpResponse:
    """As `AdminSite.password_change`, with a form of our own."""
    view = PasswordChangeView.as_view(
        form_class=OwnPasswordForm,
        success_url=reverse("admin:password_change_done"),
        extra_context=admin.site.each_context(request),
    )
    return _with_refusal(view(request))


def _with_refusal(response: Any) -> HttpResponse:
    """The page with the status of what its form was refused for."""
    form = (getattr(response, "context_data", None) or {}).get("form")
    refusal = getattr(form, "refusal", None)
    if refusal is not None:
        response.status_code = refusal.status
        for name, value in refusal_headers(refusal).items():
            response[name] = value
    page: HttpResponse = response
    return page
