"""A strategy to watch, and not to earn by: it buys after each minute in which something was traded, and soon sells."""

from datetime import datetime
from typing import Any

import pandas
from freqtrade.persistence import Trade
from freqtrade.strategy import IStrategy

HELD_SECONDS = 30


class Turns(IStrategy):
    INTERFACE_VERSION = 3
    timeframe = "1m"
    # A demo that has just begun has few candles: one that is closed is enough.
    startup_candle_count = 1
    process_only_new_candles = False
    minimal_roi = {"0": 0.05}
    stoploss = -0.10

    def populate_indicators(self, candles: pandas.DataFrame, metadata: dict[str, Any]) -> pandas.DataFrame:
        return candles

    def populate_entry_trend(self, candles: pandas.DataFrame, metadata: dict[str, Any]) -> pandas.DataFrame:
        candles.loc[candles["volume"] > 0, "enter_long"] = 1
        return candles

    def populate_exit_trend(self, candles: pandas.DataFrame, metadata: dict[str, Any]) -> pandas.DataFrame:
        return candles

    def custom_exit(self, pair: str, trade: Trade, current_time: datetime, *_: Any, **__: Any) -> str | None:
        held = (current_time - trade.open_date_utc).total_seconds()
        return "held long enough" if held > HELD_SECONDS else None
