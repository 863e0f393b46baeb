"""How a page of the exchange is answered: a template with the files that it loads, and what its browser may do."""

import re
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from page import files

# A page loads from this server alone, and nothing that stands in a text is ever run: `connect-src 'self'` is the API
# with its streams and its WebSocket. Trusted types refuse a text where a browser would read it as HTML.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types 'none'"
)
# What the trading page asks for at once: all scripts but those of the account and those of the old kind. The order is
# that in which a browser asks: first what trading.js imports, which draws the first picture.
_MODULE = re.compile(r"(?:js/(?!account|early|first_paint)|vendor/)(\w[\w-]*)\.js")
FIRST = {
    *("trading", "api", "decimal", "dom", "ladder", "market_feed", "markets_list", "notices", "places", "session"),
    *("socket", "tape", "theme"),
}
# Whoever comes back asks whether there is a new version of the page: it names the files of that version.
KEPT = "no-cache"
# Of a demo, whose accounts everybody knows; tools.demo.cast has the same.
DEMO_ACCOUNTS = ("alice", "bob", "carol")
DEMO_PASSWORD = "exchange-demo"  # noqa: S105


def answer(request: HttpRequest, template: str, package: str = "page", **context: Any) -> HttpResponse:
    """The page of a template that extends `page/frame.html`. `package` is whose scripts and styles it loads beside the
    frame's.
    """
    is_known = settings.DEMO and not settings.CLASSROOM
    context |= {
        "is_class": settings.CLASSROOM,
        "frame": files.address("page"),
        "files": files.address(package),
        "modules": sorted(filter(_MODULE.fullmatch, files.files_of(package).by_name), key=_turn),
        "demo_accounts": DEMO_ACCOUNTS if is_known else (),
        "demo_password": DEMO_PASSWORD if is_known else "",
    }
    response = render(request, template, context)
    response["Content-Security-Policy"] = POLICY
    response["Cache-Control"] = KEPT
    return response


def _turn(name: str) -> tuple[bool, str]:
    found = _MODULE.fullmatch(name)
    return found is None or found[1] not in FIRST, name
