"""How xdist's lanes share the tests: a file at a time, those that take longest first. Loaded by the runner, by `-p`.

Each lane has servers of its own: the runner hands their addresses over, and tests.support.environment takes them.
"""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# First the longest, so that no lane is left alone with one of them at the end.
FIRST = ("tests/chaos", "tests/proof", "tests/e2e", "tests/integration/stream", "tests/integration")
# Their tests have nothing in common that would have to be made twice, and are long.
APART = ("tests/proof/test_streams.py", "tests/proof/test_failpoints.py")
_ON_ONE_EXCHANGE = ("idempotency", "malformed_messages", "market_limits", "open_orders", "redis_users", "scenarios")
# By the first part of a path. Those that kill servers would disturb one another in two lanes at a time, and those that
# share a running exchange or demo would start it twice.
TOGETHER = {
    "tests/chaos": "chaos",
    "tests/proof/test_description.py": "exchange",
    **{f"tests/integration/test_{name}.py": "exchange" for name in _ON_ONE_EXCHANGE},
    "tests/page/": "exchange",
    **{f"tests/clients/test_{name}.py": "exchange" for name in ("live", "examples", "snippets", "mcp")},
    "tests/e2e/test_demo.py": "demo",
    "tests/e2e/test_recovery.py": "demo",
}


def group(test: str) -> str:
    """The name of what is given to a lane at a time."""
    file = test.partition("::")[0]
    if file in APART:
        return test
    return next((name for start, name in TOGETHER.items() if file.startswith(start)), file)


def rank(test: str) -> int:
    return next((number for number, start in enumerate(FIRST) if test.startswith(start)), len(FIRST))


class Lanes(LoadScopeScheduling):
    """Hands out groups in the order of their first tests."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Lanes:
    return Lanes(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: rank(item.nodeid))
