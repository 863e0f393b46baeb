"""A step that fails takes no other step with it, and leaves no table of results that looks whole."""

from tools.bench import run
from tools.bench.load import LoadError
from tools.bench.report import Row


def test_the_others_are_measured(monkeypatch, capsys):
    def broken(bench):
        """What fails."""
        raise LoadError("an order was not filled in 60 s")

    def whole(bench):
        """What works."""
        bench.report.add(Row("a row", 1, "orders/s"))

    written = []
    monkeypatch.setenv("BENCH_DATABASE", "mysql 9.7")
    monkeypatch.setattr(run, "call_command", lambda *_, **__: None)
    monkeypatch.setattr(run, "STEPS", (broken, whole))
    monkeypatch.setattr(run, "_write", written.append)
    assert run.main([]) == 1
    shown = capsys.readouterr()
    assert "a row" in shown.out
    assert "no figures of broken" in shown.err
    assert written == []

    monkeypatch.setattr(run, "STEPS", (whole,))
    assert run.main([]) == 0
    assert [bench.report.rows for bench in written] == [[Row("a row", 1, "orders/s")]]
