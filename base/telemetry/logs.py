"""Logs: one JSON object a line on stderr, whoever writes it: this project, Django, Celery, uvicorn, gunicorn, Flower.

`begin` makes a server process say everything so, from before its settings are read until its end. `configuration` is
what logging.config.dictConfig takes: Django's LOGGING, Celery's setup_logging and gunicorn's `logconfig_dict` alike.
The fields are in docs/logs.md.
"""

import json
import logging
import logging.config
import os
import sys
import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import orjson
import structlog
from django.core.exceptions import ImproperlyConfigured
from structlog.typing import EventDict, WrappedLogger

from base.telemetry.redaction import Redactor

JSON, CONSOLE = "json", "console"
FORMATS = (JSON, CONSOLE)
# Where nobody reads along: not one plain line may come from these, not even when they die.
SERVERS = ("web", "stream", "worker", "beat", "flower", "seed")
# No line is longer than eight kilobytes, however deep the stack or long the message is.
LONGEST_EVENT, LONGEST_EXCEPTION = 1500, 5500
LONGEST_READ = 32_768
# Line ends for some readers of logs, and not for JSON.
_LINE_ENDS = str.maketrans({mark: f"\\u{ord(mark):04x}" for mark in "\x7f\x85\u2028\u2029"})
# Where libraries print, and how loud that is. What the seed prints to stdout is for whoever started it.
_PRINTED = {
    "stderr": logging.WARNING,
    "__stderr__": logging.WARNING,
    "stdout": logging.INFO,
    "__stdout__": logging.INFO,
}

redactor = Redactor()


def process_kind(arguments: Sequence[str]) -> str:
    """What LOG_PROCESS says, or what Celery, uvicorn or gunicorn runs. A file's name makes no program a server."""
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
    """Called where the settings begin. In a server process whatever is said from here on is a line of its log."""
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
    # What no line of ours tells: it is a sixth of what a line costs.
    logging.logThreads = logging.logMultiprocessing = False
    logging._srcfile = None
    sys.excepthook = _say_the_end
    threading.excepthook = _say_the_end_of_a_thread
    for name, level in _PRINTED.items():
        stream = getattr(sys, name)
        if isinstance(stream, TextIOWrapper) and not (KIND == "seed" and "out" in name):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
            setattr(sys, name, StdStream(stream, level))


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
        "filters": {"defects": {"()": TracebackFilter}, "events": {"()": BeatFilter, "level": level}},
        "formatters": {"line": {"()": formatter, "form": form}},
        "handlers": {"stderr": {"()": StderrHandler, "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            **dict.fromkeys(("django", "uvicorn", "uvicorn.error", "gunicorn.error", "celery", "celery.task"), ours),
            # The request's own line tells that it was refused; this one brings a traceback, as often as anybody likes.
            "django.security.DisallowedHost": silent,
            **dict.fromkeys(("uvicorn.access", "gunicorn.access", "tornado.access"), silent),
            **{name: {"level": routine} for name in ("celery.app.trace", "celery.worker.strategy")},
            **{name: {"level": "WARNING"} for name in ("httpx", "httpcore", "django_eventstream")},
            "celery.beat": {"filters": ["events"]},
            "django.request": {"filters": ["defects"]},
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
        "event": _shortened(str(fields.pop("event", "")), LONGEST_EVENT),
        **{name: value for name, value in fields.items() if value is not None},
    }
    if exception is not None:
        line["exception"] = _shortened(exception, LONGEST_EXCEPTION)
    return line


def render(_logger: WrappedLogger, _method: str, line: EventDict) -> str:
    """One line of JSON, without secrets. A look at the whole finds most lines innocent: they are not taken apart."""
    innocent = {name: value for name, value in line.items() if type(value) is TrustedFields}
    rest = {name: value for name, value in line.items() if name not in innocent} if innocent else line
    text = _dumped(rest)
    if redactor.is_suspect(text):
        text = _dumped(redactor.value(rest))
    if innocent:
        text = f"{text[:-1]},{_dumped(innocent)[1:]}"
    return text if text.isascii() else text.translate(_LINE_ENDS)


class TrustedFields(list[dict[str, Any]]):
    """Facts of our own making, with nobody's text: not searched for secrets, for there are thousands a second."""


class StderrHandler(logging.StreamHandler[Any]):
    """To stderr, and to the real one: what is written to the one in `sys` becomes a line itself."""

    def __init__(self) -> None:
        stream = sys.stderr
        super().__init__(stream.stream if isinstance(stream, StdStream) else stream)


class StdStream:
    """In place of stdout and stderr: what libraries print becomes a line of the log."""

    encoding, errors = "utf-8", "backslashreplace"

    def __init__(self, stream: TextIO, level: int) -> None:
        self.stream = stream
        self._level = level
        self._said = threading.local()

    def write(self, text: str) -> int:
        rest = getattr(self._said, "rest", "") + text
        *lines, self._said.rest = rest.split("\n")
        # What logging itself complains of, while it logs what was printed, goes no further.
        if not getattr(self._said, "is_busy", False):
            self._said.is_busy = True
            try:
                for line in filter(str.strip, lines):
                    logging.getLogger("printed").log(self._level, "%s", line)
            finally:
                self._said.is_busy = False
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        """Each line is written when it ends."""

    def isatty(self) -> bool:
        return False


class TracebackFilter(logging.Filter):
    """Django's word on a request only where it brings a traceback: the rest is in our own line."""

    def filter(self, record: logging.LogRecord) -> bool:
        return bool(record.exc_info)


class BeatFilter(logging.Filter):
    """The beat's word on each task it sends, every second, only for those who want to know everything."""

    def __init__(self, level: str) -> None:
        super().__init__()
        self._is_told = level == "DEBUG"

    def filter(self, record: logging.LogRecord) -> bool:
        return self._is_told or not str(record.msg).startswith("Scheduler: Sending")


def _dumped(line: Any) -> str:
    try:
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except (TypeError, ValueError):
        # Half a surrogate pair, or a number of more than 64 bits.
        return json.dumps(redactor.value(line))


def _render_console(colours: bool) -> structlog.typing.Processor:
    """For people: the same fields, with the time in front and the traceback below."""
    pretty = structlog.dev.ConsoleRenderer(
        colors=colours, exception_formatter=structlog.dev.plain_traceback, pad_event_to=32
    )

    def render_console(logger: WrappedLogger, method: str, line: EventDict) -> str:
        shown = redactor.value(line)
        exception = shown.pop("exception", None)
        # Nobody who sends us a line end may write lines of our log, nor colour them.
        text = {name: _visible(value) if isinstance(value, str) else value for name, value in shown.items()}
        return str(pretty(logger, method, text if exception is None else {**text, "exception": exception}))

    return render_console


def _visible(text: str) -> str:
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _shortened(text: str, longest: int) -> str:
    """Without its middle, if it is too long: an exception says what it is at its end."""
    if len(text) <= longest:
        return text
    head = longest // 4
    # Searched before it is cut: half a secret is not known any more.
    text = redactor.text(text if len(text) <= LONGEST_READ else text[: LONGEST_READ // 2] + text[-LONGEST_READ // 2 :])
    return text if len(text) <= longest else f"{text[:head]} [...] {text[head - longest :]}"


def _say_the_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
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


def _say_the_end_of_a_thread(end: "threading.ExceptHookArgs") -> None:
    name = end.thread.name if end.thread else "a thread"
    error = end.exc_value or end.exc_type()
    logging.getLogger("exchange").critical(
        "the thread %s ends: %s", name, error, exc_info=(end.exc_type, error, end.exc_traceback)
    )
