"""Writes a market's candles to a CSV file, and goes on where the file ends.

The last line is the candle of now, which is written anew until it is over. So after a stop of a week, or a crash, the
same command fills what is missing.

python candle_recorder.py candles.csv --symbol BTC-USD --interval 1m
"""

import csv
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

from clearbell import Candle, Client
from clearbell.command_line import parser

COLUMNS = ("open_time", "open", "high", "low", "close", "volume", "quote_volume", "trades")
MOST = 100


class Recording:
    """The file, and from when on its candles are to be read: the last line's, which may not have been over."""

    def __init__(self, file: TextIO) -> None:
        self.file = file
        self.start: datetime | None = None
        # Where the last line begins.
        self.end = 0
        self._find_the_end()

    def _find_the_end(self) -> None:
        position = 0
        for line in iter(self.file.readline, ""):
            # A line without an end was cut off while it was written.
            if line.endswith("\n") and not line.startswith(COLUMNS[0]):
                self.start, self.end = datetime.fromisoformat(line.partition(",")[0]), position
            position = self.file.tell()
        if self.start is None:
            self.file.seek(0)
            self.file.truncate()
            csv.writer(self.file, lineterminator="\n").writerow(COLUMNS)
            self.end = self.file.tell()

    def write(self, candles: Iterator[Candle]) -> int:
        """Write them in the place of the last line. Returns how many there were."""
        count = 0
        for count, candle in enumerate(candles, 1):
            if count == 1:
                self.file.seek(self.end)
                self.file.truncate()
            self.start, self.end = candle.open_time, self.file.tell()
            row = [candle.open_time.isoformat(), *(getattr(candle, name) for name in COLUMNS[1:])]
            csv.writer(self.file, lineterminator="\n").writerow(row)
        self.file.flush()
        return count


def candles_since(client: Client, symbol: str, interval: str, start: datetime | None) -> Iterator[Candle]:
    """From the first that there is on, or from the one that opened at `start`."""
    start = start or datetime(2000, 1, 1, tzinfo=UTC)
    while page := client.klines(symbol, interval, start_time=start, limit=MOST):
        yield from page
        start = page[-1].open_time + timedelta(milliseconds=1)


def main() -> None:
    arguments = parser(__doc__, is_private=False)
    arguments.add_argument("file", type=Path)
    arguments.add_argument("--symbol", default="BTC-USD")
    arguments.add_argument("--interval", default="1m", help="1m, 5m, 1h, 1d and so on")
    arguments.add_argument("--every", type=float, default=10.0, help="seconds")
    asked = arguments.parse_args()
    asked.file.touch()
    with Client(asked.url) as client, asked.file.open("r+", newline="") as file:
        recording = Recording(file)
        while True:
            count = recording.write(candles_since(client, asked.symbol, asked.interval, recording.start))
            print(f"{count} written, the last opened at {recording.start}", flush=True)
            time.sleep(asked.every)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped; the same command goes on")
