"""A grid: buys below the price and sells above it, a step apart. What is filled comes back a step further.

A dead man's switch cancels all of it half a minute after this program has died, or cannot reach the exchange.

CLEARBELL_PASSWORD=exchange-demo python grid.py --user alice --symbol BTC-USD --size 0.01 --step 0.002 --levels 4
"""

import threading
from decimal import Decimal

from clearbell import Client, Gap, Market, NoAnswer, Order, OrderUpdate, Refused, limit
from clearbell.command_line import credentials, parser

DEAD_SECONDS, ALIVE_SECONDS = 30, 10


class Grid:
    """So many orders on each side of a price."""

    def __init__(self, client: Client, market: Market, size: Decimal, step: Decimal) -> None:
        self.client, self.market, self.size = client, market, size
        self.step = max(step // market.tick_size, 1) * market.tick_size
        # The orders that are this grid's, until they are filled.
        self.placed: set[int] = set()

    def run(self, price: Decimal, levels: int) -> None:
        middle = price // self.market.tick_size * self.market.tick_size
        # Before the first order, so that no fill is missed.
        with self.client.order_events() as stream:
            next(stream)
            for level in range(1, levels + 1):
                self.place("BUY", middle - level * self.step)
                self.place("SELL", middle + level * self.step)
            for news in stream:
                match news:
                    case OrderUpdate(order):
                        self.react(order)
                    case Gap(orders=orders):
                        for order in orders:
                            self.react(order)

    def place(self, side: str, price: Decimal) -> None:
        try:
            self.placed.add(self.client.place(limit(self.market.symbol, side, self.size, price)).order_id)
            print(f"{side} {self.size} @ {price}", flush=True)
        except Refused as refusal:
            print(f"{side} @ {price}: {refusal}", flush=True)

    def react(self, order: Order) -> None:
        """A buy that was filled is sold a step higher, a sale is bought back a step lower."""
        if order.order_id in self.placed and not order.active:
            self.placed.discard(order.order_id)
            if order.status == "FILLED":
                is_buy = order.side == "BUY"
                self.place("SELL" if is_buy else "BUY", order.price + (self.step if is_buy else -self.step))


def stay_alive(client: Client, symbol: str, over: threading.Event) -> None:
    while not over.is_set():
        try:
            client.cancel_all_after(DEAD_SECONDS, symbol=symbol)
        except (Refused, NoAnswer) as error:
            print(f"the dead man's switch was not set: {error}", flush=True)
        over.wait(ALIVE_SECONDS)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--symbol", default="BTC-USD")
    arguments.add_argument("--size", type=Decimal, default=Decimal("0.01"), help="of each order, in base")
    arguments.add_argument("--step", type=Decimal, default=Decimal("0.002"), help="between two, as a fraction")
    arguments.add_argument("--levels", type=int, default=4, help="on each side")
    arguments.add_argument("--price", type=Decimal, help="of the middle, where nothing was traded yet")
    asked = arguments.parse_args()
    over = threading.Event()
    with Client(asked.url, credentials(asked)) as client:
        price = client.ticker(asked.symbol).last_price or asked.price
        if price is None:
            raise SystemExit("nothing was traded yet: name a --price")
        alive = threading.Thread(target=stay_alive, args=(client, asked.symbol, over), daemon=True)
        alive.start()
        try:
            Grid(client, client.market(asked.symbol), asked.size, price * asked.step).run(price, asked.levels)
        finally:
            over.set()
            client.cancel_all(symbol=asked.symbol)
            # Else it could set the switch once more.
            alive.join()
            client.cancel_all_after(0, symbol=asked.symbol)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("the grid is taken back")
