"""How many statements a batch and a request are: what each round trip to the database is counted by.

The server counts them itself, so the figures are the same on a busy machine. What it does not count is the question
whether it is still there, which a connection of REST asks at the beginning of a request.
"""

import asyncio
import itertools
from collections.abc import Iterator

from tools.bench import engine
from tools.bench.exchange import Exchange
from tools.bench.flow import flow
from tools.bench.intake import batches, singles
from tools.bench.load import Connection, Request, press
from tools.bench.reads import statements
from tools.bench.stage import Stage


def of_batch(size: int, count: int) -> float:
    """Statements of a batch of so many orders, the mean of so many batches."""
    stage = Stage(f"BTC-USD-TRIPS{size}")
    stage.queue(flow(size, seed=7))
    with engine.batches_of(size):
        engine.drain_all(stage.symbol, "warm-up")
        stage.queue(flow(size * count))
        before = statements()
        drained = engine.drain_all(stage.symbol, f"batches of {size}")
        # Reading the counter is a statement too.
        return (statements() - before - 1) / drained.batches


def of_requests(exchange: Exchange, stage: Stage, count: int) -> tuple[float, float]:
    """Statements of a request with one order, and with a hundred; the mean of so many requests."""
    user_id = stage.users[0]
    return _each(exchange, singles(stage, user_id), count), _each(exchange, batches(stage, user_id), count)


def _each(exchange: Exchange, requests: Iterator[Request], count: int) -> float:
    connection = Connection(exchange.port)
    with asyncio.Runner() as runner:
        # The first ones open connections to the database, and read what is remembered.
        runner.run(press(connection, itertools.islice(requests, count)))
        before = statements()
        runner.run(press(connection, itertools.islice(requests, count)))
        counted = statements() - before - 1
        connection.close()
    return counted / count
