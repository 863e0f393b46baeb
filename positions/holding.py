"""The moving average: what a holding cost, and what was gained by selling from it. Pure, in units of 1e-8."""

from typing import NamedTuple


class Holding(NamedTuple):
    """A quantity of an asset; what it cost, and what was gained so far, both in the cost currency."""

    quantity: int = 0
    cost: int = 0
    realized: int = 0

    def take_in(self, quantity: int, cost: int) -> "Holding":
        """More of it, at this cost in all."""
        return self._replace(quantity=self.quantity + quantity, cost=self.cost + cost)

    def take_out(self, quantity: int) -> "Holding":
        """Less of it, at the average cost: nothing is gained."""
        return self._replace(quantity=self.quantity - quantity, cost=self.cost - self._share(quantity))

    def sell(self, quantity: int, proceeds: int) -> "Holding":
        """Less of it. What it brought above its average cost is gained."""
        return self.take_out(quantity)._replace(realized=self.realized + proceeds - self._share(quantity))

    def pay(self, quantity: int, fee: int) -> "Holding":
        """Less of it, and a fee, for nothing: the rest costs what all of it did, and the fee is lost."""
        left = self._replace(quantity=self.quantity - quantity, realized=self.realized - fee)
        return left if left.quantity else Holding(0, 0, left.realized - left.cost)

    def _share(self, quantity: int) -> int:
        """The cost of a part; all of it for all, so that nothing is left over."""
        return self.cost if quantity == self.quantity else rounded(self.cost * quantity, self.quantity)


def rounded(numerator: int, denominator: int) -> int:
    """The quotient of two whole numbers, the denominator above zero, halves rounded to the even one."""
    quotient, rest = divmod(numerator, denominator)
    return quotient + (2 * rest > denominator or (2 * rest == denominator and quotient % 2))
