"""The picture of a market: its ladder, its trades and one's own orders, as lines for a terminal of any size."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import accumulate

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from marketdata.watch.state import Data, Watched

BUY, SELL = "green", "red"
BAR = 14
# Beside the levels and the orders: the head, the spread, and what divides them.
FURNITURE = 7
LEAST_LEVELS, MOST_LEVELS = 3, 20
MOST_ORDERS = 10


def draw(watched: Watched, height: int) -> RenderableType:
    """The whole picture, no higher than the terminal."""
    orders = _orders(watched)
    room = height - FURNITURE - len(orders)
    levels = max(LEAST_LEVELS, min(MOST_LEVELS, room // 2))
    columns = Table.grid(padding=(0, 4))
    columns.add_row(_ladder(watched, levels), _tape(watched, levels))
    return Group(_head(watched), Text(), columns, *orders)


def _head(watched: Watched) -> Text:
    ticker = watched.ticker
    change = ticker.get("priceChangePercent")
    colour = SELL if str(change).startswith("-") else BUY
    head = Text.assemble((watched.symbol, "bold"), f"  {ticker.get('lastPrice') or 'not traded yet'}")
    if change is not None:
        head.append(f"  {'' if change.startswith('-') else '+'}{change}%", colour)
    if ticker:
        head.append(f"  24 h: {ticker['low'] or '-'} to {ticker['high'] or '-'}, volume {ticker['volume']}")
    for stream, note in watched.notes.items():
        if note:
            head.append(f"\n{stream}: {note}", "yellow")
    return head


def _ladder(watched: Watched, levels: int) -> Table:
    """The best asks, worst first, then the best bids; beside each what is to be had up to there, as a bar."""
    book = watched.book
    asks, bids = list(book.get("asks", ()))[:levels], list(book.get("bids", ()))[:levels]
    places = tuple(_places(level[name] for level in (*asks, *bids)) for name in ("price", "quantity"))
    whole = max((sums[-1] for sums in (_sums(asks), _sums(bids)) if sums), default=Decimal(0))
    own = {(order["side"], order["price"]) for order in (watched.orders or {}).values()}
    table = _table("", "price", "quantity", "orders", "up to here")
    for level, total in reversed(list(zip(asks, _sums(asks), strict=True))):
        _add_level(table, level, SELL, places, _bar(total, whole), ("SELL", level["price"]) in own)
    spread = "one side is empty" if book.get("spread") is None else f"spread {book['spread']}"
    table.add_row("", Text(spread, "dim", no_wrap=True))
    for level, total in zip(bids, _sums(bids), strict=True):
        _add_level(table, level, BUY, places, _bar(total, whole), ("BUY", level["price"]) in own)
    return table


def _add_level(table: Table, level: Data, colour: str, places: Sequence[int], bar: str, has_own: bool) -> None:
    price, quantity = (_padded(level[name], few) for name, few in zip(("price", "quantity"), places, strict=True))
    own = Text("*" if has_own else "", "bold")
    table.add_row(own, Text(price, colour), quantity, str(level["orderCount"]), Text(bar, colour))


def _sums(levels: Sequence[Data]) -> list[Decimal]:
    return list(accumulate(Decimal(level["quantity"]) for level in levels))


def _bar(total: Decimal, whole: Decimal) -> str:
    return "█" * max(1, int(BAR * total / whole)) if whole else ""


def _tape(watched: Watched, levels: int) -> Table:
    trades = list(watched.trades)[: 2 * levels + 1]
    places = tuple(_places(trade[name] for trade in trades) for name in ("price", "quantity"))
    table = _table("traded", "quantity", "at (UTC)")
    for trade in trades:
        price, quantity = (_padded(trade[name], few) for name, few in zip(("price", "quantity"), places, strict=True))
        colour = BUY if trade["takerSide"] == "BUY" else SELL
        table.add_row(Text(price, colour), quantity, Text(trade["createdAt"][11:19], "dim"))
    return table


def _orders(watched: Watched) -> list[RenderableType]:
    """One's own orders as lines, the open ones first, and the last that closed; nothing where nobody is signed in."""
    if watched.orders is None:
        return []
    newest = sorted(watched.orders.values(), key=lambda order: int(order["orderId"]), reverse=True)
    lines = [Text(), Text(f"{watched.account}: {len(newest)} open in {watched.symbol}", "bold")]
    lines += [_order(order, "") for order in newest[:MOST_ORDERS]]
    if len(newest) > MOST_ORDERS:
        lines.append(Text(f"  and {len(newest) - MOST_ORDERS} more", "dim"))
    return [*lines, *(_order(order, "dim") for order in watched.closed)]


def _order(order: Data, style: str) -> Text:
    quantity = order["quantity"] or f"for {order['quoteQuantity']}"
    at = f" @ {order['price']}" if order["price"] else ""
    stop = f" stop {order['stopPrice']}" if order.get("stopPrice") else ""
    filled = f", {order['filledQuantity']} filled" if Decimal(order["filledQuantity"]) else ""
    reason = f" ({order['reason']})" if order["reason"] else ""
    line = Text("  ", style)
    line.append(f"{order['side']:<4}", BUY if order["side"] == "BUY" else SELL)
    line.append(f" {quantity}{at}{stop}  {order['type']} {order['timeInForce'] or ''}".rstrip())
    line.append(f"  {order['status']}{reason}{filled}  #{order['orderId']}")
    return line


def _table(*headings: str) -> Table:
    table = Table.grid(padding=(0, 1))
    for heading in headings:
        right = heading not in ("", "up to here")
        table.add_column(justify="right" if right else "left", no_wrap=True, min_width=len(heading))
    table.add_row(*(Text(heading, "dim") for heading in headings))
    return table


def _places(numbers: Iterable[str]) -> int:
    """The most decimal places among them."""
    return max((len(number.partition(".")[2]) for number in numbers), default=0)


def _padded(number: str, places: int) -> str:
    """With so many places, so that points stand below each other. Its digits stay as they came."""
    whole, _, fraction = number.partition(".")
    return f"{whole}.{fraction:<0{places}}" if places else whole
