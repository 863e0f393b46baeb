"""What is counted, for Prometheus."""

from prometheus_client import Counter

DEAD_LETTERS = Counter("exchange_dead_letters", "Commands that the engine gave up", ["symbol"])
