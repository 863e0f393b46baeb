"""A user's positions: what each asset that they own cost, and what it gained.

A position is kept with the last ledger entry that it holds. A request brings it forward from there, in steps, and
keeps each step by a guarded write: of two requests at once one does the step, and the other reads it again. Nothing is
done for positions while the exchange trades, so the engine does not know of them.
"""

import time
from collections.abc import Mapping

from balances.models import Balance
from base.web.errors import ExchangeError
from core.money import to_decimal, to_units
from markets.marks import first_prices, last_prices, main_markets
from markets.models import Market
from markets.newest import newest_events
from positions import answers
from positions.entries import Account, carry, entries_after
from positions.holding import Holding
from positions.models import Position
from positions.representation import represent, represent_cash

STEP = 2_000
# About 100,000 entries: whoever has more comes again, and goes on where this request stopped.
BUDGET_SECONDS = 1.0


class PositionsBehind(ExchangeError):
    """The ledger since the last request is longer than one request reads. The next one goes on from there."""

    code = "POSITIONS_BEHIND"
    status = 503
    retry_after_seconds = 1


def read_positions(user_id: int) -> tuple[list[answers.Position], Mapping[str, int]]:
    """The positions by asset, and the number of an event of each market that they include. Raises PositionsBehind."""
    newest, deadline = newest_events(), time.monotonic() + BUDGET_SECONDS
    assets = {market.symbol: (market.base_id, market.quote_id) for market in Market.objects.all()}
    balances = Balance.objects.filter(user_id=user_id).order_by("currency_id")
    owned = {balance.currency_id: to_units(balance.total) for balance in balances}
    mains = {asset: main for asset, main in main_markets().items() if asset in owned and main in assets}
    holdings = _bring_all_forward(user_id, mains, deadline)
    prices = last_prices(mains.values())
    positions = []
    for asset, quantity in owned.items():
        as_of = {symbol: number for symbol, number in newest.items() if asset in assets.get(symbol, ())}
        if asset in mains:
            price, currency = prices.get(mains[asset]), assets[mains[asset]][1]
            positions.append(represent(asset, currency, holdings.get(asset), quantity, price, as_of))
        else:
            positions.append(represent_cash(asset, quantity, as_of))
    return positions, newest


def _bring_all_forward(user_id: int, mains: Mapping[str, str], deadline: float) -> dict[str, Holding]:
    """The holdings by asset, of those assets whose main market has traded: the others have no price at all."""
    first = first_prices(mains.values())
    kept = {position.asset_id: position for position in Position.objects.filter(user_id=user_id)}
    holdings = {}
    for asset, main in mains.items():
        if main in first:
            position = kept.get(asset) or Position(user_id=user_id, asset_id=asset)
            account = Account(user_id, asset, main, to_units(first[main]))
            holdings[asset] = _bring_forward(account, position, deadline)
    return holdings


def _bring_forward(account: Account, position: Position, deadline: float) -> Holding:
    """The account's holding after its newest entry, kept for the next time. Raises PositionsBehind when time is up."""
    while True:
        holding = Holding(*map(to_units, (position.quantity, position.cost, position.realized)))
        entries = entries_after(account, position.entry_id, STEP)
        if not entries:
            return holding
        _keep(position, carry(holding, account, entries), entries[-1].id)
        if time.monotonic() > deadline:
            raise PositionsBehind("the ledger is long: ask again, and this goes on from where it is")
        position = Position.objects.get(user=account.user_id, asset=account.asset)


def _keep(position: Position, holding: Holding, entry_id: int) -> None:
    """Store the step, unless another request has stored one meanwhile."""
    if position.pk is None:
        Position.objects.bulk_create([position], ignore_conflicts=True)
    Position.objects.filter(user=position.user_id, asset=position.asset_id, entry_id=position.entry_id).update(
        entry_id=entry_id,
        quantity=to_decimal(holding.quantity),
        cost=to_decimal(holding.cost),
        realized=to_decimal(holding.realized),
    )
