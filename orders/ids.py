"""Which ids of orders were issued."""

from base.storage.known_ids import KnownIds
from orders.models import Order

EXPECTED = 10_000_000

order_ids = KnownIds("orders", EXPECTED, lambda: Order)
