"""The file of a round: a ZIP with a manifest, and of each market its commands, events and trades.

The manifest has the version of the format, the market's rules, the digest of what the commands lead to, and the
SHA-256 of each other file.
"""

import csv
import hashlib
import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from classroom.history.commands import Command
from classroom.history.core_player import CorePlayer
from classroom.history.twin_player import TwinPlayer
from core.money import to_units
from core.types import MarketStatus, Rules

FORMAT: Literal["clearbell-round"] = "clearbell-round"
VERSION: Literal[1] = 1
MANIFEST = "manifest.json"
# Of all members together, because they are held in memory, and of a line; a class of an hour needs a hundredth.
MOST_BYTES, MOST_LINE, MOST_COMMANDS = 200_000_000, 10_000, 1_000_000
MOST_MEMBERS, MOST_MANIFEST = 50, 1_000_000
# What `packed` writes. The other methods of the format may ask for any amount of memory.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

_Amount = Annotated[Decimal, Field(max_digits=20, decimal_places=8, gt=0)]
_Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9._-]{0,32}$")]


class BrokenArchive(Exception):
    """The file is none of a round, or was changed; in words."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MarketPart(_Part):
    """One market of the round: its rules, where its history begins, and what it leads to."""

    symbol: _Symbol
    base: str
    quote: str
    tick: _Amount
    lot: _Amount
    base_step: _Amount
    quote_step: _Amount
    status: MarketStatus
    first_sequence: Annotated[int, Field(ge=1, lt=2**62)]
    events: Annotated[int, Field(ge=0, lt=2**62)]
    trades: Annotated[int, Field(ge=0, lt=2**62)]
    commands: Annotated[int, Field(ge=0, le=MOST_COMMANDS)]
    last_price: _Amount | None
    digest: _Hash

    @property
    def commands_name(self) -> str:
        return f"{self.symbol}/commands.jsonl"

    def core_player(self, kind: type[CorePlayer] = CorePlayer) -> CorePlayer:
        last = None if self.last_price is None else to_units(self.last_price)
        return kind(self.rules, self.first_sequence, last, self.status)

    def twin_player(self) -> TwinPlayer:
        return TwinPlayer(self.lot, self.tick, (self.base_step, self.quote_step), self.last_price, self.status.value)

    @property
    def rules(self) -> Rules:
        steps = (to_units(self.lot), to_units(self.base_step), to_units(self.quote_step))
        return Rules(*steps, self.symbol, self.base, self.quote, to_units(self.tick))


class Manifest(_Part):
    format: Literal["clearbell-round"] = FORMAT
    version: Literal[1] = VERSION
    title: str
    round: int
    seed: int
    started_at: str
    ended_at: str
    markets: Annotated[list[MarketPart], Field(min_length=1, max_length=8)]
    files: dict[str, _Hash] = {}


@dataclass
class Archive:
    """The contents, by the names of the members."""

    manifest: Manifest
    members: dict[str, bytes] = field(default_factory=dict)

    def market(self, symbol: str | None) -> MarketPart:
        """Raises BrokenArchive for a market that the round does not have."""
        markets = {each.symbol: each for each in self.manifest.markets}
        wanted = symbol or next(iter(markets))
        if wanted not in markets:
            raise BrokenArchive(f"the round has no market {wanted}; it has {', '.join(markets)}")
        return markets[wanted]

    def commands(self, market: MarketPart) -> list[Command]:
        """Raises BrokenArchive."""
        content = self.members.get(market.commands_name, b"")
        # Before they are told apart: a line of two bytes becomes an object of many.
        found = content.count(b"\n")
        if found != market.commands:
            raise BrokenArchive(f"{market.symbol} has {found} commands, its manifest says {market.commands}")
        lines = content.split(b"\n")[:-1]
        return [_command(market, number, line) for number, line in enumerate(lines, 1)]


def _command(market: MarketPart, number: int, line: bytes) -> Command:
    place = f"{market.commands_name}, line {number}"
    try:
        command = json.loads(line) if len(line) <= MOST_LINE else None
    except (ValueError, RecursionError) as error:
        raise BrokenArchive(f"{place} is no JSON: {error}") from error
    if not isinstance(command, dict):
        raise BrokenArchive(f"{place} is no JSON object of at most {MOST_LINE:,} bytes")
    return command


def packed(archive: Archive) -> bytes:
    """The file's bytes."""
    files = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(archive.members.items())}
    manifest = archive.manifest.model_copy(update={"files": files})
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr(MANIFEST, json.dumps(manifest.model_dump(mode="json"), indent=2) + "\n")
        for name, content in archive.members.items():
            zipped.writestr(name, content)
    return written.getvalue()


def write_archive(path: Path, archive: Archive) -> None:
    """Written whole or not at all, for its owner alone."""
    content, growing = packed(archive), path.with_name(f".{path.name}.growing")
    growing.unlink(missing_ok=True)
    # A new file: in a folder of many, one that is there may be a link to another.
    with open(os.open(growing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as new:
        new.write(content)
    growing.replace(path)


def read_archive(path: Path) -> Archive:
    """All of the file, each member compared with its hash. Raises BrokenArchive."""
    try:
        with zipfile.ZipFile(path) as zipped:
            infos = {each.filename: each for each in zipped.infolist()}
            if len(infos) > MOST_MEMBERS or sum(each.file_size for each in infos.values()) > MOST_BYTES:
                raise BrokenArchive(f"{path.name} is larger than any round's file")
            if any(each.compress_type not in METHODS for each in infos.values()):
                raise BrokenArchive(f"{path.name} is compressed as no round's file is")
            if MANIFEST not in infos:
                raise BrokenArchive(f"{path.name} has no {MANIFEST}: it is not the file of a round")
            members = _read_all(zipped, infos)
    except OSError as error:
        raise BrokenArchive(f"{path} cannot be read: {error.strerror or error}") from error
    except (zipfile.BadZipFile, zlib.error, struct.error, ValueError, ArithmeticError, RuntimeError, EOFError) as error:
        raise BrokenArchive(f"{path.name} is not the file of a round, or is damaged: {error}") from error
    if len(members[MANIFEST]) > MOST_MANIFEST:
        raise BrokenArchive(f"{path.name}: {MANIFEST} is larger than any round's")
    manifest = _manifest(path, members.pop(MANIFEST))
    if manifest.files.keys() != members.keys():
        differing = ", ".join(sorted(manifest.files.keys() ^ members.keys()))
        raise BrokenArchive(f"{path.name}: the manifest and the file differ in {differing}")
    for name, content in members.items():
        if hashlib.sha256(content).hexdigest() != manifest.files[name]:
            raise BrokenArchive(f"{path.name}: {name} was changed since the round was exported")
    return Archive(manifest, members)


def _read_all(zipped: zipfile.ZipFile, names: Iterable[str]) -> dict[str, bytes]:
    """What a member says of its size may be a lie."""
    members, room = {}, MOST_BYTES
    for name in names:
        with zipped.open(name) as member:
            members[name] = member.read(room + 1)
        room -= len(members[name])
        if room < 0:
            raise BrokenArchive(f"{name} is larger than any round's file")
    return members


def _manifest(path: Path, content: bytes) -> Manifest:
    try:
        written = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BrokenArchive(f"{path.name}: {MANIFEST} is no JSON: {error}") from error
    found = (written.get("format"), written.get("version")) if isinstance(written, dict) else (None, None)
    if found != (FORMAT, VERSION):
        raise BrokenArchive(
            f"{path.name}: {MANIFEST} says format {found[0]!r} version {found[1]!r};"
            f" this program reads {FORMAT} version {VERSION}"
        )
    try:
        return Manifest.model_validate(written)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BrokenArchive(f"{path.name}: {MANIFEST}, {where}: {first['msg']}") from error


def json_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return "".join(f"{json.dumps(row, separators=(',', ':'))}\n" for row in rows).encode()


def csv_file(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
    return text.getvalue().encode()
