"""A copy of the exchange's MySQL, taken while it trades: tools.scripts.backup dump URL FILE | restore FILE URL

The file is one snapshot of all tables, compressed, with the position in the binary log at which it was taken. The user
needs SELECT, RELOAD, PROCESS and REPLICATION CLIENT: root, usually. A dump that was broken off leaves no file behind.
"""

import argparse
import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tools.rig.binaries import mysql_client
from tools.rig.packages import UnavailableError

# The snapshot, and the position beside it as a comment: what came later is in the binary log from there on.
OPTIONS = ("--single-transaction", "--quick", "--hex-blob", "--source-data=2", "--set-gtid-purged=COMMENTED")
COMPLETE = b"-- Dump completed"
POSITION = b"-- CHANGE REPLICATION SOURCE TO "
HEAD_BYTES = 64 * 1024


class BackupError(Exception):
    """What went wrong, in one line."""


def dump(url: str, file: Path) -> str:
    """Write the database to the file; the position in the binary log. Raises BackupError."""
    growing = file.with_name(f".{file.name}.growing")
    growing.unlink(missing_ok=True)
    try:
        with _client("mysqldump", url) as command, gzip.open(growing, "wb", compresslevel=1) as output:
            process = subprocess.Popen([*command, *OPTIONS, _name(url)], stdout=subprocess.PIPE)
            assert process.stdout
            head: bytes = process.stdout.read(HEAD_BYTES)
            output.write(head)
            tail = head
            while chunk := process.stdout.read(HEAD_BYTES):
                output.write(chunk)
                tail = (tail + chunk)[-HEAD_BYTES:]
            code = process.wait()
        if code or COMPLETE not in tail:
            raise BackupError(f"the dump is not complete: mysqldump ended with {code}")
        growing.rename(file)
    finally:
        growing.unlink(missing_ok=True)
    return head.partition(POSITION)[2].partition(b";")[0].decode()


def restore(file: Path, url: str) -> None:
    """Read the dump into an empty database. Raises BackupError."""
    with _client("mysql", url) as command, gzip.open(file, "rb") as dumped:
        process = subprocess.Popen([*command, _name(url)], stdin=subprocess.PIPE)
        assert process.stdin
        try:
            shutil.copyfileobj(dumped, process.stdin)
            process.stdin.close()
        except BrokenPipeError:
            # Its reason is on stderr.
            pass
        if process.wait():
            raise BackupError(f"the copy is not complete: mysql ended with {process.returncode}")


def _name(url: str) -> str:
    return urlsplit(url).path.lstrip("/")


@contextmanager
def _client(program: str, url: str) -> Iterator[list[str]]:
    """The program's command line. The password is in a file that nobody else may read: arguments are seen by all."""
    parts = urlsplit(url)
    lines = {
        "host": parts.hostname or "127.0.0.1",
        "port": str(parts.port or 3306),
        "user": unquote(parts.username or "root"),
    }
    if parts.password:
        # The option file reads backslashes as escapes.
        lines["password"] = '"{}"'.format(unquote(parts.password).replace("\\", "\\\\"))
    # Made for its owner alone.
    with tempfile.NamedTemporaryFile("w", suffix=".cnf") as options:
        options.write("\n".join(["[client]", *(f"{name}={value}" for name, value in lines.items()), ""]))
        options.flush()
        yield [*mysql_client(program), f"--defaults-file={options.name}"]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tools.scripts.backup", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    taking = commands.add_parser("dump")
    taking.add_argument("url")
    taking.add_argument("file", type=Path)
    giving = commands.add_parser("restore")
    giving.add_argument("file", type=Path)
    giving.add_argument("url")
    options = parser.parse_args(arguments)
    os.umask(0o077)
    try:
        if options.command == "dump":
            print(dump(options.url, options.file))
        else:
            restore(options.file, options.url)
    except (BackupError, UnavailableError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
