"""Opening and changing markets. A status is a command in the market's own sequence: no trade comes after a halt.

`Market.status`, by which intake goes, changes at once. The engine is told by the command, behind the orders that came
before it.
"""

from typing import Any

from django.db import transaction

from commands.queue import submit_switch
from markets import services
from markets.models import Market, MarketStatus


@transaction.atomic
def create_market(**fields: Any) -> Market:
    """Open a market, trading or not. Raises SymbolTaken and InvalidField."""
    market = services.create_market(**fields)
    if market.status != MarketStatus.TRADING:
        submit_switch(market.symbol, market.status)
    return market


@transaction.atomic
def change_market(market: Market, **fields: Any) -> Market:
    """Change limits or halt, restrict and resume. Raises InvalidField or ValidationFailed.

    The market's row is written first: of two operators at the same moment, the commands come in the order in which
    the row was changed.
    """
    changed = services.change_market(market, **fields)
    if "status" in fields:
        submit_switch(market.symbol, fields["status"])
    return changed
