"""A market's history as a file: whatever was traded, the core and the twin play it again to the same digest."""

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from audit.checks import Report
from audit.reference_data import load_reference_data
from classroom.history.archive import Archive, Manifest, json_lines, read_archive, write_archive
from classroom.history.recording import History, record
from classroom.history.replay import replay
from core.types import MarketStatus
from matching.models import OrderBook
from tests.integration.test_properties import Drain, Engine
from tests.proof.test_all_kinds_stored import KINDS, Stored
from tests.support import kinds
from tests.support.commands import MARKETS
from tests.support.sampling import PROVE, dice, sample

ENGINES = (Engine(500, 500), Engine(7, 2), Engine(3, 500, False))


def recorded(symbol: str, first: int = 1, status: MarketStatus = MarketStatus.TRADING) -> History:
    market = load_reference_data(Report(), timezone.now()).markets[symbol]
    return record(market, first, OrderBook.objects.get(market_id=symbol).next_sequence, status)


def stored(folder: Path, *histories: History) -> Path:
    manifest = Manifest(
        title="a test", round=1, seed=7, started_at="then", ended_at="now", markets=[each.part for each in histories]
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
    for _ in range(400 if PROVE else 60):
        both.play(kinds.random_command(lot, KINDS))
        if lot.random() < 0.2:
            both.play(Drain())
    both.play(Drain())
    history = recorded(both.database.market.symbol)
    assert history.part.trades > 5
    [verdict] = replay(read_archive(stored(tmp_path, history)))
    assert verdict.is_same, verdict
    assert verdict.twin == verdict.core
