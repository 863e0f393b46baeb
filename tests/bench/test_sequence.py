"""A step that fails takes no other step with it, and what it left out is named."""

from tools.bench.bench import Bench
from tools.bench.load import LoadError
from tools.bench.report import Report, Row
from tools.bench.sequence import measure_in_turn


def broken(bench):
    """What fails."""
    raise LoadError("an order was not filled in 60 s")


def whole(bench):
    """What works."""
    bench.report.add(Row("a row", 1, "orders/s"))


def test_the_others_are_measured(capsys):
    bench = Bench(Report("mysql 9.7"))
    assert not measure_in_turn(bench, [broken, whole])
    assert bench.report.rows == [Row("a row", 1, "orders/s")]
    assert "no figures of broken" in capsys.readouterr().err
    assert measure_in_turn(Bench(Report("mysql 9.7")), [whole])
