"""A market's history as a file: whatever was traded, the core and the twin play it again to the same digest."""

import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from audit.checks import Report
from audit.reference_data import load_reference_data
from classroom.history import archive as history_archive
from classroom.history.archive import Archive, BrokenArchive, Manifest, json_lines, read_archive, write_archive
from classroom.history.recording import History, record
from classroom.history.replay import book_at, replay
from core.types import MarketStatus
from matching.models import OrderBook
from tests.integration.test_properties import Drain, Engine
from tests.proof.test_all_kinds_stored import KINDS, Stored
from tests.support import kinds
from tests.support.commands import MARKETS
from tests.support.sampling import PROVE, dice, sample
from tests.support.world import World
from tools.classroom.plan import write_private
from tools.classroom.replay import main

ENGINES = (Engine(500, 500), Engine(7, 2), Engine(3, 500, False))


def recorded(symbol: str, first: int = 1, status: MarketStatus = MarketStatus.TRADING) -> History:
    market = load_reference_data(Report(), timezone.now()).markets[symbol]
    return record(market, first, OrderBook.objects.get(market_id=symbol).next_sequence, status)


def stored(folder: Path, *histories: History) -> Path:
    manifest = Manifest(
        title="clear \x1b[2J",
        round=1,
        seed=7,
        started_at="then",
        ended_at="now",
        markets=[each.part for each in histories],
    )
    path = folder / "round.zip"
    write_archive(path, Archive(manifest, {each.part.commands_name: json_lines(each.commands) for each in histories}))
    return path


@pytest.mark.django_db
@pytest.mark.parametrize("engine", sample(ENGINES, 3, "round history"), ids=str)
def test_a_stream_of_all_kinds_is_played_again(engine: Engine, tmp_path: Path, settings: Any, monkeypatch: Any) -> None:
    settings.ENGINE_TIME_BOX_SECONDS, settings.INTAKE_MAX_AGE_SECONDS = 60, 3600
    settings.ENGINE_BATCH_SIZE, settings.ENGINE_FILLS_PER_TRANSACTION, settings.ENGINE_BOOK_CACHE = engine
    monkeypatch.setattr("commands.queue.ring_now", lambda _symbol: None)
    lot = dice("round history", engine)
    both = Stored(lot.choice(MARKETS))
    for number in range(400 if PROVE else 60):
        both.play(kinds.random_command(lot, KINDS))
        if lot.random() < 0.2:
            both.play(Drain())
        if number % 15 == 14:
            # A short stream may else be halted to its end.
            both.play(kinds.SetStatus("TRADING"))
    both.play(Drain())
    history = recorded(both.database.market.symbol)
    assert history.part.trades > 0
    [verdict] = replay(read_archive(stored(tmp_path, history)))
    assert verdict.is_same, verdict
    assert verdict.twin == verdict.core


@pytest.mark.django_db
def test_the_book_at_a_number_and_files_that_are_wrong(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for who, line in (
        (world.bob, "sell 2 @ 100"),
        (world.bob, "sell 3 @ 101 show 1"),
        (world.alice, "buy 4 @ 101"),
        (world.alice, "buy 1 @ 99"),
    ):
        world.play(who, line)
    history = recorded(world.symbol)
    path = stored(tmp_path, history)
    archive = read_archive(path)
    [market] = archive.manifest.markets
    assert [book_at(archive, market, number).lines[1:] for number in (0, 1, 2)] == [
        [],
        ["                                     | 100            2              1"],
        [
            "                                     | 100            2              1",
            "                                     | 101            1              1",
        ],
    ]
    moment = book_at(archive, market, 5)
    assert (moment.first, moment.last) == (3, market.events - 1), "a taker's fills belong to one command"
    for number in (-1, market.events + 1, 10**30):
        with pytest.raises(BrokenArchive, match="has no event"):
            book_at(archive, market, number)
    with pytest.raises(BrokenArchive, match="the round has no market X"):
        archive.market("X")

    def faulty(*commands: dict[str, Any], **changes: Any) -> str:
        part = market.model_copy(update={"commands": len(commands), **changes})
        with pytest.raises(BrokenArchive) as refused:
            replay(read_archive(stored(tmp_path, History(part, list(commands), [], {}, []))))
        return str(refused.value)

    order = {"id": 1, "user": 1, "side": "BUY", "price": "1", "quantity": "1"}
    assert "line 1: do is 'dance'" in faulty({"do": "dance"})
    assert "line 1: cancel: 7 is missing, or no such order was placed" in faulty(
        {"do": "cancel", "id": 7, "reason": "USER_CANCELLED"}
    )
    assert "price is 'NaN', which is no amount" in faulty({"do": "place", "order": {**order, "price": "NaN"}})
    for nothing in ("0", "-1", "1e-9"):
        # The core would trade nothing for ever.
        assert "which is no amount" in faulty({"do": "place", "order": {**order, "quantity": nothing}})
    assert "side is 'HOLD'" in faulty({"do": "place", "order": {**order, "side": "HOLD"}})
    assert "unknown fields: \x1b[2J" in faulty({"do": "place", "order": {**order, "\x1b[2J": 1}})
    assert main([str(path)]) == 2
    said = capsys.readouterr()
    assert r"clear \x1b[2J" in said.out
    assert r"unknown fields: \x1b[2J" in said.err
    assert "\x1b" not in said.out + said.err, "a terminal would obey"
    assert "a quantity or a quote quantity" in faulty({"do": "place", "order": {**order, "quantity": None}})
    assert "cannot do this" in faulty(*[{"do": "place", "order": order}] * 2)
    assert "has 1 commands, its manifest says 2" in faulty({"do": "place", "order": order}, commands=2)
    monkeypatch.setattr(history_archive, "_command", None)
    assert "has 3 commands, its manifest says 1" in faulty({}, {}, {}, commands=1), "none is read"
    monkeypatch.undo()
    shorter = market.model_copy(update={"commands": market.commands - 1})
    [verdict] = replay(read_archive(stored(tmp_path, History(shorter, history.commands[:-1], [], {}, []))))
    assert not verdict.is_same
    assert verdict.core == verdict.twin


def test_what_is_no_file_of_a_round(tmp_path: Path) -> None:
    path = tmp_path / "round.zip"

    def refused(**members: bytes) -> str:
        with zipfile.ZipFile(path, "w") as zipped:
            for name, content in members.items():
                zipped.writestr(name.replace("_", "."), content)
        with pytest.raises(BrokenArchive) as error:
            read_archive(path)
        return str(error.value)

    assert "has no manifest.json" in refused(other_txt=b"x")
    assert "is no JSON" in refused(manifest_json=b"{")
    assert "says format None version None" in refused(manifest_json=b"[]")
    assert "version 2; this program reads clearbell-round version 1" in refused(
        manifest_json=b'{"format": "clearbell-round", "version": 2}'
    )
    assert "manifest.json, title: " in refused(manifest_json=b'{"format": "clearbell-round", "version": 1}')
    path.write_bytes(b"PK\x03\x04" + b"x" * 100)
    with pytest.raises(BrokenArchive, match="not the file of a round"):
        read_archive(path)
    with pytest.raises(BrokenArchive, match="cannot be read: No such file"):
        read_archive(tmp_path / "nothing.zip")


def test_a_file_that_would_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, manifest = tmp_path / "round.zip", Manifest.model_construct(title="t")
    monkeypatch.setattr(history_archive, "MOST_BYTES", 10_000)
    # Each alone is small enough.
    write_archive(path, Archive(manifest, {f"{number}.csv": bytes(4_000) for number in range(3)}))
    with pytest.raises(BrokenArchive, match="larger than any round's file"):
        read_archive(path)
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr("manifest.json", "{  }")
    with monkeypatch.context() as smaller:
        smaller.setattr(history_archive, "MOST_MANIFEST", 2)
        with pytest.raises(BrokenArchive, match=r"manifest.json is larger"):
            read_archive(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as zipped:
        zipped.writestr("manifest.json", "{}")
    with pytest.raises(BrokenArchive, match="compressed as no round's file is"):
        read_archive(path)
    write_archive(path, Archive(manifest, {"news.csv": b"abc" * 100}))
    damaged = bytearray(path.read_bytes())
    # Where the bytes of the manifest begin.
    damaged[30 + len("manifest.json")] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(BrokenArchive, match="damaged"):
        read_archive(path)


def test_files_of_a_class_are_their_owners_alone_and_follow_no_link(tmp_path: Path) -> None:
    """The folder of an export may be one in which others write."""
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    for name, write in (
        ("round.zip", lambda path: write_archive(path, Archive(Manifest.model_construct(title="t")))),
        ("students.csv", lambda path: write_private(path, "name,password")),
    ):
        path = tmp_path / name
        path.touch(mode=0o644)
        (tmp_path / f".{name}.growing").symlink_to(victim)
        write(path)
        assert path.stat().st_mode & 0o777 == 0o600
    assert victim.read_text() == "untouched"
