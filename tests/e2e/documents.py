"""The commands that the documents and `make help` name."""

import re
import shlex
import subprocess
from collections.abc import Iterator

from tools.rig.process import ROOT

DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/index.md",
    "docs/terminal.md",
    "docs/operations.md",
    "docs/audit.md",
    "docs/class.md",
    "docs/logs.md",
    "tools/bench/README.md",
)
# In docs/operations.md.
OWN_SERVERS = "Start: on this machine, with MySQL and Redis of your own"
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
# The first word of what is a command though it stands in a sentence.
PROGRAMS = {
    "make",
    "manage.py",
    "python",
    "sh",
    "curl",
    "celery",
    "gunicorn",
    "uvicorn",
    "docker",
    "mysqlbinlog",
    "ssh",
}
ASSIGNMENT = re.compile(r"\w+=")


def named_commands() -> dict[str, list[str]]:
    """By name: the command lines with which it is named."""
    found: dict[str, list[str]] = {}
    for line in [*_help_lines(), *(line for document in DOCUMENTS for line in command_lines(document))]:
        if name := name_of(line):
            found.setdefault(name, []).append(line)
    return found


def command_lines(document: str) -> Iterator[str]:
    text = (ROOT / document).read_text()
    for kind, block in FENCED.findall(text):
        if kind == "sh":
            yield from block.replace("\\\n", " ").splitlines()
    for code in INLINE.findall(FENCED.sub("", text)):
        words = [word for word in code.split() if not ASSIGNMENT.match(word)]
        if len(words) > 1 and _program(words[0]) in PROGRAMS:
            yield code


def section(document: str, title: str) -> str:
    """The shell lines of one section."""
    text = (ROOT / document).read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return "".join(block for kind, block in FENCED.findall(text) if kind == "sh")


def name_of(line: str) -> str:
    """For example `make demo`, `manage.py audit --full`, `tools.scripts.backup dump`, `celery worker` or `curl`."""
    if re.match(r"\w+=\$\(|\w+\(\)", line):
        # A variable or a function of a session.
        return ""
    words = shlex.split(line, comments=True)
    while words and ASSIGNMENT.match(words[0]):
        words.pop(0)
    if not words:
        return ""
    program, *rest = words
    if _program(program) == "python":
        program, *rest = rest[1:] if rest[0] == "-m" else rest
    rest = [word for word in rest if not ASSIGNMENT.match(word)]
    if program in ("make", "manage.py", "tools.scripts.backup"):
        more = 2 if rest[:1] == ["audit"] else 1
        return " ".join([program, *rest[:more]])
    if _program(program) == "celery":
        return f"celery {next(word for word in rest if word in ('worker', 'beat', 'flower'))}"
    return _program(program)


def _program(word: str) -> str:
    return word.rpartition("/")[2]


def _help_lines() -> list[str]:
    printed = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [" ".join(line.split()[:2]) for line in printed.splitlines()]
