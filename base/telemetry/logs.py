"""Logs: one JSON object a line on stderr, whoever logs it: this project, Django, Celery, uvicorn, gunicorn, Flower.

A server process calls `begin` before its settings are read. `configuration` is what logging.config.dictConfig takes:
Django's LOGGING, Celery's setup_logging and gunicorn's `logconfig_dict` alike. The fields are in docs/logs.md.
"""

import json
import logging
import logging.config
import os
import re
import sys
import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson
import structlog
from django.core.exceptions import ImproperlyConfigured
from structlog.typing import EventDict, WrappedLogger

from base.telemetry.redaction import Redactor

JSON, CONSOLE = "json", "console"
FORMATS = (JSON, CONSOLE)
# Processes whose output goes to a log: what they die of is a line of it, and not a plain traceback.
SERVERS = ("web", "stream", "worker", "beat", "flower", "seed")
# No line is longer than eight kilobytes, however deep the stack or long the message is.
LONGEST = {"event": 1500, "exception": 5500}
# Line ends for some readers of logs, and not for JSON.
_LINE_ENDS = str.maketrans({mark: f"\\u{ord(mark):04x}" for mark in "\x7f\x85\u2028\u2029"})

redactor = Redactor()


def process_kind(arguments: Sequence[str]) -> str:
    """What LOG_PROCESS names, or what Celery, uvicorn or gunicorn runs. A file's name makes no program a server."""
    if named := os.environ.get("LOG_PROCESS"):
        return named
    program = Path(arguments[0] if arguments else "")
    name = program.parent.name if program.name == "__main__.py" else program.stem
    if name == "celery":
        return next((word for word in arguments[1:] if word in SERVERS), "celery")
    if name in ("uvicorn", "gunicorn"):
        return "web"
    return name if name and name not in SERVERS else "python"


KIND = process_kind(sys.argv)


def begin() -> None:
    """Called where the settings begin, because a wrong setting is a line of the log too."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    if KIND not in SERVERS:
        sys.excepthook = _print_the_end
        return
    logging.config.dictConfig(configuration(JSON, "INFO"))
    logging.captureWarnings(True)
    # No line shows these, and to find them out is a sixth of what a line costs.
    logging.logThreads = logging.logMultiprocessing = False
    logging._srcfile = None
    sys.excepthook = _log_the_end
    threading.excepthook = _log_the_end_of_a_thread


def configuration(form: str, level: str) -> dict[str, Any]:
    """For logging.config.dictConfig: `form` is "json" or "console"."""
    # What happens with every bell, and every second, is not worth a line.
    routine = "NOTSET" if level == "DEBUG" else "WARNING"
    ours: dict[str, Any] = {"handlers": [], "propagate": True, "level": "NOTSET"}
    # Their access lines have the query, and a ticket in it; ours are written by base.telemetry.access.
    silent: dict[str, Any] = {"handlers": [], "propagate": False, "level": "CRITICAL"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"tracebacks": {"()": TracebackFilter}, "requests": {"()": RequestFilter}},
        "formatters": {"line": {"()": formatter, "form": form}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            **dict.fromkeys(("django", "uvicorn", "uvicorn.error", "celery", "celery.task"), ours),
            "gunicorn.error": {**ours, "filters": ["requests"]},
            "django.request": {"filters": ["tracebacks"]},
            # The request's own line has the refusal; this one brings a traceback, as often as anybody likes.
            "django.security.DisallowedHost": silent,
            **dict.fromkeys(("uvicorn.access", "gunicorn.access", "tornado.access"), silent),
            **{name: {"level": routine} for name in ("celery.app.trace", "celery.worker.strategy")},
            # At DEBUG Flower logs its settings, and the key of its cookies among them.
            "flower.command": {"level": "INFO"},
            **{name: {"level": "WARNING"} for name in ("httpx", "httpcore", "django_eventstream")},
        },
    }


def formatter(form: str) -> logging.Formatter:
    """Renders what structlog and what anybody else logs."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.contextvars.merge_contextvars],
        processors=[
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            described,
            redactor,
            # After the secrets were taken out: no pattern would find half of one.
            shortened,
            _render_console(sys.stderr.isatty()) if form == CONSOLE else render,
        ],
    )


def hide(secrets: Iterable[str]) -> None:
    """Never log these, wherever they stand."""
    redactor.hide(secrets)


def described(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    """The fields of a line, those that every line has first."""
    record: logging.LogRecord = fields.pop("_record")
    del fields["_from_structlog"]
    at = datetime.fromtimestamp(record.created, UTC).replace(tzinfo=None)
    exception = fields.pop("exception", None)
    line: EventDict = {
        "timestamp": f"{at.isoformat(timespec='microseconds')}Z",
        "level": record.levelname.lower(),
        "logger": record.name,
        "process": KIND,
        "pid": record.process,
        "event": str(fields.pop("event", "")),
        **{name: value for name, value in fields.items() if value is not None},
    }
    return line if exception is None else {**line, "exception": exception}


def shortened(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Long texts without their middle: an exception names its cause at its end."""
    for name, longest in LONGEST.items():
        if len(text := line.get(name, "")) > longest:
            head = longest // 4
            line[name] = f"{text[:head]} [...] {text[head - longest :]}"
    return line


def render(_logger: WrappedLogger, _method: str, line: EventDict) -> str:
    """One line of JSON."""
    try:
        text = orjson.dumps(line).decode()
    except TypeError:
        # Half a surrogate pair, or a number of more than 64 bits.
        return json.dumps(line)
    return text if text.isascii() else text.translate(_LINE_ENDS)


class TracebackFilter(logging.Filter):
    """Of Django's lines on requests only those with a traceback: the rest is in our own line."""

    def filter(self, record: logging.LogRecord) -> bool:
        return bool(record.exc_info)


class RequestFilter(logging.Filter):
    """gunicorn quotes what it cannot read of a request, which may be a cookie: only the kind of error is logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        if str(record.msg).startswith("Invalid request"):
            record.msg = re.split("""['"]""", record.msg, maxsplit=1)[0]
        return True


def _render_console(colours: bool) -> structlog.typing.Processor:
    """For people: the same fields, with the time in front and the traceback below."""
    pretty = structlog.dev.ConsoleRenderer(
        colors=colours, exception_formatter=structlog.dev.plain_traceback, pad_event_to=32
    )

    def render_console(logger: WrappedLogger, method: str, line: EventDict) -> str:
        # A client that sends a line end must write no line of our log, nor colour one.
        shown = {
            name: value if name == "exception" or not isinstance(value, str) else _visible(value)
            for name, value in line.items()
        }
        return str(pretty(logger, method, shown))

    return render_console


def _visible(text: str) -> str:
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _log_the_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        logging.getLogger("exchange").info("interrupted")
        return
    details = None if issubclass(kind, ImproperlyConfigured) else (kind, error, trace)
    logging.getLogger("exchange").critical("the process ends: %s: %s", kind.__name__, error, exc_info=details)


def _print_the_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A setting that is wrong is one line; where in the code that was found helps nobody."""
    if issubclass(kind, ImproperlyConfigured):
        print(error, file=sys.stderr)  # noqa: T201
    else:
        sys.__excepthook__(kind, error, trace)


def _log_the_end_of_a_thread(end: "threading.ExceptHookArgs") -> None:
    name = end.thread.name if end.thread else "a thread"
    error = end.exc_value or end.exc_type()
    logging.getLogger("exchange").critical(
        "the thread %s ends: %s", name, error, exc_info=(end.exc_type, error, end.exc_traceback)
    )
