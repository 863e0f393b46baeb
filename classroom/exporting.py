"""A round that is closed as one file, with all that was done in it and who did it."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from django.utils import timezone

from audit.checks import Report
from audit.reference_data import load_reference_data
from base.storage.snapshot import one_snapshot
from base.web.errors import timestamp
from base.web.exports import cell
from classroom.history.archive import Archive, Manifest, csv_file, json_lines
from classroom.history.core_player import CannotBeRecorded
from classroom.history.recording import History, record
from classroom.models import News, Round, RoundMarket, RoundState, Seat
from classroom.rounds import RoundRefused
from classroom.standing import read_standing
from core.money import plain, plain_units, plain_units_or_none, to_decimal

# A class of an hour has a tenth of it.
MOST_EVENTS = 500_000


def file_name(round_: Round) -> str:
    return f"round-{round_.pk}.zip"


def export_round(round_: Round) -> Archive:
    """All files of the round. Raises RoundRefused."""
    if round_.state != RoundState.CLOSED:
        raise RoundRefused("only a round that is closed can be exported: end it or reset it first")
    markets = list(RoundMarket.objects.filter(round=round_).order_by("id"))
    events = sum((each.end_sequence or 0) - each.first_sequence for each in markets)
    if events > MOST_EVENTS:
        raise RoundRefused(f"the round has {events:,} events, and a file holds at most {MOST_EVENTS:,}")
    try:
        with one_snapshot():
            data = load_reference_data(Report(), timezone.now())
            histories = [record(data.markets[each.market_id], *_span(each)) for each in markets]
    except CannotBeRecorded as error:
        raise RoundRefused(f"the round cannot be exported: {error}") from error
    assert round_.ended_at is not None
    manifest = Manifest(
        title=round_.title,
        round=round_.pk,
        seed=round_.seed,
        started_at=timestamp(round_.started_at),
        ended_at=timestamp(round_.ended_at),
        markets=[each.part for each in histories],
    )
    return Archive(manifest, {**_of_class(round_), **_of_markets(round_, histories)})


def path_for(round_: Round, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder / file_name(round_)


def _span(market: RoundMarket) -> tuple[int, int]:
    assert market.end_sequence is not None, market
    return market.first_sequence, market.end_sequence


def _of_class(round_: Round) -> dict[str, bytes]:
    seats = list(Seat.objects.filter(round=round_).order_by("id"))
    standing = read_standing(round_)
    news = News.objects.filter(round=round_).order_by("id")
    lines = ([each.rank, each.name, each.team, plain(each.profit)] for each in standing)
    told = ([round(each.at_seconds, 3), timestamp(each.published_at), each.text] for each in news)
    people = ([each.user_id, each.name, each.team, "bot" if each.is_bot else "student"] for each in seats)
    return {
        "scenario.json": json_lines([round_.plan]),
        "people.csv": _csv(("user", "name", "team", "kind"), people),
        "standing.csv": _csv(("rank", "name", "team", "profit"), lines),
        "news.csv": _csv(("second", "time", "text"), told),
    }


def _of_markets(round_: Round, histories: Iterable[History]) -> dict[str, bytes]:
    names = dict(Seat.objects.filter(round=round_).values_list("user_id", "name"))
    files = {}
    for history in histories:
        symbol = history.part.symbol
        files[history.part.commands_name] = json_lines(history.commands)
        files[f"{symbol}/orders.csv"] = _orders(history, names)
        files[f"{symbol}/events.csv"] = _events(history)
        files[f"{symbol}/trades.csv"] = _trades(history, names)
    return files


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A name or news that a spreadsheet would take for a formula is marked as a text."""
    return csv_file(columns, ([cell(each) for each in row] for row in rows))


def _orders(history: History, names: dict[int, str]) -> bytes:
    columns = ("order", "name", "side", "type", "price", "quantity", "filled", "status", "reason")
    rows = (
        [
            *(each.id, names.get(each.user_id, each.user_id), each.side, each.type),
            *(plain_units_or_none(each.price), plain_units_or_none(each.quantity)),
            *(plain_units(each.filled_quantity), each.status, each.reason),
        ]
        for each in sorted(history.orders.values())
    )
    return _csv(columns, rows)


def _events(history: History) -> bytes:
    rows = (
        [each.sequence, each.order_id, each.status, each.reason, plain_units(each.filled_quantity), each.trade_sequence]
        for each in history.events
    )
    return _csv(("event", "order", "status", "reason", "filled", "trade"), rows)


def _trades(history: History, names: dict[int, str]) -> bytes:
    columns = ("trade", "time", "price", "quantity", "buyer", "seller", "taker", "buyer_fee", "seller_fee")
    rows = (
        [
            *(each.sequence, timestamp(each.created_at), plain_units(each.price), plain_units(each.quantity)),
            *(names.get(each.buyer_id, each.buyer_id), names.get(each.seller_id, each.seller_id), each.taker_side),
            *(plain(to_decimal(each.buyer_fee)), plain(to_decimal(each.seller_fee))),
        ]
        for each in history.trades
    )
    return _csv(columns, rows)
