"""The verdict of a row, and the tables that are put into a document."""

import pytest

from tools.bench.report import Report, Row, Table


@pytest.mark.parametrize(
    ("row", "verdict", "wanted"),
    [
        (Row("drain", 10_000, "orders/s", 10_000), "reached", ">= 10,000 orders/s"),
        (Row("drain / floor", 0.74, "x", 0.75), "NOT REACHED", ">= 0.75 x"),
        (Row("median", 8.1, "ms", 8, at_most=True), "NOT REACHED", "<= 8 ms"),
        (Row("median", 7.9, "ms", 8, at_most=True), "reached", "<= 8 ms"),
        (Row("floor", 1, "orders/s"), "", ""),
    ],
)
def test_the_verdict_of_a_row(row, verdict, wanted):
    assert (row.verdict, row.wanted) == (verdict, wanted)


def test_a_table_takes_the_place_between_its_marks(tmp_path):
    document = tmp_path / "scaling.md"
    document.write_text("Before.\n\n<!-- markets -->\nold\n<!-- end of markets -->\n\nAfter.\n")
    for rate in (7000, 8000):
        report = Report("mysql 9.7")
        table = Table("markets", ("markets", "orders a second"))
        table.add(1, rate)
        report.show(table)
        report.write_tables(document)
    before, made, after = document.read_text().partition("| markets | orders a second |\n| --- | --- |\n| 1 | 8000 |\n")
    assert before.startswith("Before.\n\n<!-- markets -->\nMeasured on ") and made
    assert after == "<!-- end of markets -->\n\nAfter.\n"


def test_a_table_without_a_place_is_not_lost_in_silence(tmp_path):
    document = tmp_path / "scaling.md"
    document.write_text("<!-- markets -->\nnobody ended it\n")
    report = Report("mysql 9.7", tables=[Table("markets", ("markets",))])
    with pytest.raises(ValueError, match="no place for markets"):
        report.write_tables(document)
