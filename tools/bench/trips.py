"""How many round trips to the database a batch and a request are.

Those of a batch are counted where its statements are sent, because several are sent together. Those of a request are
its statements, which the server counts itself, without the question whether it is still there, which REST asks now and
then. So the figures are the same on a busy machine.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection

from tools.bench import engine
from tools.bench.exchange import Exchange
from tools.bench.flow import flow
from tools.bench.intake import batches, singles
from tools.bench.load import Connection, Request, press
from tools.bench.reads import statements
from tools.bench.stage import Stage

BEGIN_AND_COMMIT = 2


def of_batch(size: int, count: int) -> float:
    """Round trips of a batch of so many orders, the mean of so many batches."""
    stage = Stage(f"BTC-USD-TRIPS{size}")
    stage.queue(flow(size, seed=7))
    with engine.batches_of(size):
        engine.drain_all(stage.symbol, "warm-up")
        stage.queue(flow(size * count))
        sent = itertools.count()

        def sending(execute: Callable[..., Any], *arguments: Any) -> Any:
            next(sent)
            return execute(*arguments)

        with connection.execute_wrapper(sending):
            drained = engine.drain_all(stage.symbol, f"batches of {size}")
        return next(sent) / drained.batches + BEGIN_AND_COMMIT


def of_requests(exchange: Exchange, stage: Stage, count: int) -> tuple[float, float]:
    """Round trips of a request with one order, and with a hundred; the mean of so many requests."""
    user_id = stage.users[0]
    return _each(exchange, singles(stage, user_id), count), _each(exchange, batches(stage, user_id), count)


def _each(exchange: Exchange, requests: Iterator[Request], count: int) -> float:
    client = Connection(exchange.port)
    with asyncio.Runner() as runner:
        # The first ones open connections to the database, and read what is remembered.
        runner.run(press(client, itertools.islice(requests, count)))
        before = statements()
        runner.run(press(client, itertools.islice(requests, count)))
        counted = statements() - before - 1
        client.close()
    return counted / count
