"""Which exchange answers, and under which names of its predecessor it answers too."""

import functools
import subprocess
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase

from base.web.errors import timestamp
from operations import answers

GIT_SECONDS = 5
STARTED_AT = timestamp()


def info() -> answers.Info:
    return {
        "name": settings.NAME,
        "version": settings.VERSION,
        "commit": _commit(),
        "startedAt": STARTED_AT,
        "mcpAllowed": settings.MCP_ALLOWED,
    }


@functools.cache
def _commit() -> str | None:
    """As the setting says, or as git does where the exchange runs from its repository."""
    if settings.COMMIT:
        return str(settings.COMMIT)
    if not (settings.BASE_DIR / ".git").exists():
        return None
    command = ["git", "rev-parse", "HEAD"]
    try:
        asked = subprocess.run(  # noqa: S603 - nothing of a client's is in it
            command, cwd=settings.BASE_DIR, capture_output=True, text=True, check=True, timeout=GIT_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return asked.stdout.strip()


def where_wanted(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """The view under another path, which is there only where ACTUATOR_PATHS is on."""

    def serve(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not settings.ACTUATOR_PATHS:
            raise Http404
        return view(request, *args, **kwargs)

    # As the other views of the REST framework, these ask for no token of a form's.
    serve.csrf_exempt = True  # type: ignore[attr-defined]
    return serve
