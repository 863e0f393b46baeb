"""The pages of the exchange. What they show they read from the API: they need neither the database nor Redis."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from page.pages import answer


@require_safe
def trading(request: HttpRequest, symbol: str = "") -> HttpResponse:
    """A market, and what its user trades in it; without a symbol the first market."""
    return answer(request, "page/trading.html", symbol=symbol)


@require_safe
def account(request: HttpRequest) -> HttpResponse:
    """One's keys, password and sessions."""
    return answer(request, "page/account.html")
