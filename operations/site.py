"""The admin's site: its name, its first page, and a menu by subject in place of one by package."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest

# What an operator looks at most comes first. A model that is not named here stands below OTHERS.
MENU: Sequence[tuple[str, Sequence[str]]] = (
    ("Trading", ("markets.Market", "orders.Order", "markets.Trade", "orders.OrderEvent", "orders.OpenOrders")),
    ("Money", ("balances.Approval", "balances.Balance", "balances.Transfer", "balances.LedgerEntry")),
    ("People", ("users.User", "users.ApiKey", "users.StaffAct", "auth.Group")),
    ("Rules", ("markets.Asset", "markets.FeeTier")),
    (
        "Engine",
        (
            *("matching.WorkerHeartbeat", "commands.Command", "matching.DeadLetter", "matching.StatusChange"),
            *("matching.OrderBook", "audit.AuditRun"),
        ),
    ),
    ("Timers", ("orders.OrderExpiry", "orders.DeadManSwitch", "orders.Trail")),
    ("Sandbox", ("sandbox.Faults",)),
)
OTHERS = "Others"


class OperatorsSite(admin.AdminSite):
    site_header = site_title = "Clearbell"
    index_title = "Operations"
    index_template = "admin/operations.html"
    # Where people trade.
    site_url = "/"

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """By subject. The list of one package, which a page's path leads to, stays Django's."""
        packages: list[Any] = super().get_app_list(request, app_label)
        return packages if app_label is not None else by_subject(packages)


def by_subject(packages: Sequence[Any]) -> list[Any]:
    """What the reader may see of each subject; a subject of which nothing is left does not appear."""
    entries = {model["model"]._meta.label: model for package in packages for model in package["models"]}
    named = [(title, [entries.pop(label) for label in labels if label in entries]) for title, labels in MENU]
    return [_section(title, models) for title, models in (*named, (OTHERS, list(entries.values()))) if models]


def _section(title: str, models: Sequence[Any]) -> dict[str, Any]:
    return {"name": title, "app_label": title.lower(), "app_url": "", "has_module_perms": True, "models": models}
