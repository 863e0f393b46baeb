"""The documented commands that take a minute or more, in their small form."""

import re
import shlex
from importlib.util import find_spec

import pytest

from tests.e2e.documents import OWN_SERVERS, section
from tests.e2e.shell import MAKE, Shell, runs
from tools.rig.binaries import mysql_client
from tools.rig.driver import provide_driver
from tools.rig.packages import UnavailableError
from tools.rig.process import ROOT
from tools.rig.servers import Server, start_mysql, start_redis

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
SQL = re.compile(r"^```sql\n(.*?)^```", re.MULTILINE | re.DOTALL)
SECONDS = 590
ROWS = ("drain, one symbol", "two symbols on two workers", "the core alone", "all events received", "history")


@pytest.fixture
def mysql() -> None:
    """Skips the test where there is no MySQL to be had."""
    try:
        provide_driver()
        mysql_client("mysql")
    except UnavailableError as reason:
        pytest.skip(f"no MySQL can be had here: {reason}")


@runs("make check")
def test_the_checks(shell: Shell) -> None:
    shell.run("make check", SECONDS)


@pytest.mark.skipif(find_spec("pyorderbook") is None, reason="the benchmark's packages are not installed")
@pytest.mark.usefixtures("mysql")
@runs("make bench")
def test_the_benchmark(shell: Shell) -> None:
    """All of its parts: one of them hung for weeks. Its results are stored by a full run alone."""
    stored = [ROOT / "tools" / "bench" / name for name in ("RESULTS.md", "throughput.svg")]
    before = [file.read_bytes() for file in stored]
    printed = shell.run("make bench ARGS=--quick", SECONDS)
    assert [file.read_bytes() for file in stored] == before
    for row in (
        "drain, one symbol",
        "two symbols on two workers",
        "the core alone",
        "orders sent to all events",
        "history",
    ):
        assert row in printed


@pytest.mark.usefixtures("mysql")
@runs("make chaos")
def test_the_chaos_run(shell: Shell) -> None:
    few = "kills --size ci --workers 2 --databases 1 --redis 1 --quick-audits 1"
    assert "Nothing was wrong." in shell.run(f'make chaos ARGS="{few}"', SECONDS)


@pytest.mark.usefixtures("mysql")
@runs("make siege")
def test_the_siege(shell: Shell) -> None:
    printed = shell.run('make siege ARGS="--only slow-bodies --seconds 2 --rounds 1 --floor 2000"', SECONDS)
    assert "Nothing was wrong." in printed
    assert "| slow-bodies |" in printed


@pytest.mark.usefixtures("mysql")
@runs("make drill")
def test_the_restore_is_practised(shell: Shell) -> None:
    assert "Nothing was wrong." in shell.run('make drill ARGS="--seconds 4"', SECONDS)


@pytest.mark.usefixtures("mysql")
@runs("mysql", "tools.scripts.backup dump", "tools.scripts.backup restore")
def test_a_mysql_of_ones_own(shell: Shell) -> None:
    """The demo with the user that is made for it; the other users of docs/operations.md, each with its own grants."""
    options = ("--server-id=1", "--gtid-mode=ON", "--enforce-gtid-consistency=ON")
    with (
        start_mysql(shell.folder / "mysql", durable=True, options=options) as server,
        start_redis(shell.folder / "redis") as redis,
    ):
        client = f"{shlex.join(mysql_client('mysql'))} --no-defaults -h127.0.0.1 -P{server.port} -uroot"
        shell.run(f'{client} -e "DROP DATABASE exchange"')
        *statements, demo = (
            line
            for line in section("docs/operations.md", OWN_SERVERS).splitlines()
            if re.match("mysql |DATABASE_URL=mysql", line)
        )
        for line in statements:
            shell.run(line.replace("mysql -e", f"{client} -e"))
        demo = demo.replace(":3306", f":{server.port}").replace(":6379", f":{redis.port}").replace("make", MAKE)
        assert "accepted" in shell.run(f"{demo} SECONDS=10 PORT={shell.port}")
        make_users(shell, client)
        check_backup(shell, client, server)


def make_users(shell: Shell, client: str) -> None:
    """As documented, on this machine; the database is there."""
    [documented] = SQL.findall((ROOT / "docs" / "operations.md").read_text())
    statements = documented.replace("10.0.0.%", "127.0.0.1").replace("CREATE DATABASE", "CREATE DATABASE IF NOT EXISTS")
    users = shell.folder / "users.sql"
    users.write_text(statements.replace("CREATE USER", "CREATE USER IF NOT EXISTS"))
    shell.run(f"{client} <{users}")


def check_backup(shell: Shell, client: str, server: Server) -> None:
    address, file = f"127.0.0.1:{server.port}", shell.folder / "exchange.sql.gz"
    audit, backup = ".venv/bin/python manage.py audit --full", ".venv/bin/python -m tools.scripts.backup"
    assert "clean" in shell.run(f"DEMO=1 DATABASE_URL=mysql://auditor:...@{address}/exchange {audit}")
    shell.run(f"{backup} dump mysql://backup:...@{address}/exchange {file}")
    shell.run(f"{client} -e 'CREATE DATABASE copy'")
    shell.run(f"{backup} restore {file} mysql://root@{address}/copy")
    assert "clean" in shell.run(f"DEMO=1 DATABASE_URL=mysql://root@{address}/copy {audit}")
