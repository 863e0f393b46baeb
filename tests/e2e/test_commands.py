"""Every command that the documents and `make help` name runs, in its small form, from its own entry point.

A command that is named, and neither run here, in test_commands_long or in test_package nor an exception, fails the
first test.
"""

import json
import re
import secrets
import shutil
from importlib import import_module
from pathlib import Path

import httpx
import pytest

from clients.python.clearbell import Client, HmacKey
from tests.e2e.documents import OWN_SERVERS, command_lines, name_of, named_commands, section
from tests.e2e.shell import RUN, Shell, runs
from tools.demo.cast import PASSWORD
from tools.rig.exchange import answers
from tools.rig.process import ROOT, wait_for
from tools.rig.servers import free_port, start_redis
from tools.scripts.trace import REMARKS, STEPS

DOCKER = "needs Docker; tests/unit/test_deployment.py reads the files"
EXCEPTIONS = {
    "cd": DOCKER,
    "cp": DOCKER,
    "docker": DOCKER,
    "git": "copies this project from elsewhere",
    "gzip": DOCKER,
    "sh": DOCKER,
    "install": "needs root: a certificate for nginx",
    "make compose-check": "builds images and takes a quarter of an hour, on Docker or as root of a Debian",
    "make clients": "installs packages from the package index; tests/clients/test_stock.py has a part of it",
    "make audit-deps": "asks the package index; tests/unit/test_dependencies.py has what it answers",
    "make lock": "asks the package index",
    "tools.scripts.dependencies": "asks the package index, as `make audit-deps`",
    "redis-server": "tests/integration/test_redis_users.py starts it by the same script",
    "make pictures": "needs Chromium, and trades for three minutes",
    "make prove": "runs these tests",
    "manage.py X": "stands for any command",
    "mysqlbinlog": "needs the binary logs of a server that was lost; `make drill` restores without them",
    "pip": "asks the package index; tools/rig/driver.py installs from the same file for the tests",
    "ssh": "needs another machine",
}


def test_every_named_command_is_run_or_has_a_reason() -> None:
    import_module("tests.e2e.test_class")
    import_module("tests.e2e.test_commands_long")
    import_module("tests.e2e.test_package")
    named = named_commands()
    assert len(named) > 30
    assert {name: lines[0] for name, lines in named.items() if name not in RUN and name not in EXCEPTIONS} == {}
    assert RUN.keys() & EXCEPTIONS.keys() == set()


@runs("make help")
def test_help_names_every_target(shell: Shell) -> None:
    printed = shell.run("make help")
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [line.split()[1] for line in printed.splitlines()] == targets


@runs("make run", "call", "seen", "curl", "cat", "kill")
def test_the_session_with_curl(running: Shell) -> None:
    check_session(running.paste(section("README.md", "A session with curl")))


def test_the_session_of_the_sandbox(running: Shell) -> None:
    """The order is sent again until its answer comes, and was stored by the first of the lost ones."""
    printed = running.paste(section("docs/sandbox.md", "Faults")).lower()
    assert re.findall(r"^http\S* (\d+)", printed, re.MULTILINE) == ["503", "503", "202"]
    assert printed.count("x-sandbox-fault: lost-answer") == 2
    assert printed.count("x-sandbox-request:") == 3
    assert printed.count("idempotent-replayed: true") == 1
    # By the rate limit.
    fates = running.paste("sleep 1\n" + section("docs/sandbox.md", "Fates"))
    assert re.findall(r'"status":"(\w+)"', fates)[1::2] == ["REJECTED", "FILLED", "PARTIALLY_FILLED"]


@pytest.mark.long
def test_the_session_with_curl_ten_times_in_a_row(running: Shell) -> None:
    """Bob's OPEN was lost in one of four sessions: his stream opened after his order."""
    for _ in range(10):
        check_session(running.paste(section("README.md", "A session with curl")))


def check_session(printed: str) -> None:
    """All that the README promises of the session."""
    assert '"error"' not in printed
    assert printed.count('"code":202') == 3
    answers, connected, heard = printed.partition("event: connected")
    assert connected
    events = [json.loads(data) for data in re.findall(r"^data: (\{.*\})$", heard, re.MULTILINE)]
    assert [event["status"] for event in events if "status" in event] == ["OPEN", "PARTIALLY_FILLED", "CANCELLED"]
    assert '"asks":[{"price":"30000","quantity":"2","orderCount":1}]' in answers
    assert '"filledQuantity":"1.5"' in answers
    assert '"openOrders":0' in answers
    assert '"amount":"500"' in heard


@runs("make key")
def test_a_key_for_a_bot(running: Shell) -> None:
    """What it prints is a shell's; the key reads and trades, and nobody needs the password any more."""
    address = f"http://127.0.0.1:{running.port}"
    names = {
        name: value.strip("'")
        for name, value in re.findall(r"^export (\w+)=(.+)$", running.run(f'make -s key ARGS="--url {address}"'), re.M)
    }
    assert names["CLEARBELL_URL"] == address
    assert names["FREQTRADE__EXCHANGE__KEY"] == names["CLEARBELL_KEY"]
    with Client(address, HmacKey(names["CLEARBELL_KEY"], names["CLEARBELL_SECRET"]), trust_env=False) as bot:
        assert {each.currency for each in bot.balances()} >= {"USD", "BTC"}
    with pytest.raises(AssertionError, match="INVALID_CREDENTIALS"):
        running.run(f'make -s key AS=nobody ARGS="--url {address}"')


@runs("make follow", "grep", "make flower", "celery flower")
def test_one_order_is_followed(running: Shell) -> None:
    flower = running.begin("flower", f"make flower FLOWER_PORT={running.flower_port}")
    try:
        wait_for(lambda: answers(running.flower_port, "/healthcheck"), seconds=30)
        correlation_id = place(running)
        wait_for(lambda: correlation_id in running.run("grep -h event .data/logs/worker.log"))
        lines = section("docs/logs.md", "One order, end to end").splitlines()
        assert [name_of(line) for line in lines] == ["make follow", "grep", "curl"]
        running.variables["ID"] = correlation_id
        followed, grepped, counted = (running.run(line) for line in lines)
        assert [line.split()[1] for line in followed.splitlines()][:2] == ["web", "worker"]
        assert all(json.loads(line) for line in grepped.splitlines())
        assert 'exchange_orders_received_total{symbol="BTC-USD"}' in counted
    finally:
        flower.stop()


def token_of(name: str, http: httpx.Client) -> str:
    answer = http.post("/auth/token", json={"username": name, "password": PASSWORD})
    return str(answer.json()["data"]["accessToken"])


def place(running: Shell) -> str:
    """An order of Alice's; its correlation id."""
    with httpx.Client(base_url=f"http://127.0.0.1:{running.port}/api/v1", trust_env=False) as http:
        http.headers["Authorization"] = f"Bearer {token_of('alice', http)}"
        order = {"symbol": "BTC-USD", "side": "BUY", "type": "LIMIT", "price": "1.00", "quantity": "0.5"}
        correlation_id: str = http.post("/orders", json=order).json()["data"]["correlationId"]
    return correlation_id


@runs("manage.py audit", "manage.py audit --quick", "manage.py audit --full", "manage.py audit --replay")
def test_the_audit_beside_the_demo(running: Shell) -> None:
    [documented] = [line for line in command_lines("docs/audit.md") if line.startswith("DEMO=1")]
    assert "quick: clean" in running.run(documented)
    for option in ("--full", "--replay BTC-USD"):
        assert "clean" in running.run(documented.replace("--quick", option))


@runs("manage.py record_snapshots")
def test_a_snapshot_beside_the_demo(running: Shell) -> None:
    """Its book is small, or the demo's Redis is another one: the command says so, and fails for neither."""
    printed = running.run("DEMO=1 .venv/bin/python manage.py record_snapshots BTC-USD")
    assert printed.splitlines()[-1].startswith("BTC-USD: ")


@runs("manage.py lift_lockout")
def test_a_lock_out_is_lifted(running: Shell, tmp_path: Path) -> None:
    lines = [line for line in command_lines("docs/operations.md") if name_of(line) == "manage.py lift_lockout"]
    with start_redis(tmp_path) as redis:
        here = f"DEMO=1 REDIS_URL={redis.url}/1 .venv/bin/python"
        printed = [running.run(line.replace("python", here, 1)) for line in lines]
    assert [text.splitlines()[-1] for text in printed] == [
        f"{what} may sign in again" for what in ("alice", "192.0.2.7")
    ]


@runs("manage.py rotate_api_keys")
def test_api_keys_are_rotated_beside_the_demo(running: Shell) -> None:
    printed = running.run("DEMO=1 .venv/bin/python manage.py rotate_api_keys")
    assert printed.splitlines()[-1].endswith("were already")


@runs("make watch", "manage.py watch")
def test_a_market_in_a_terminal(running: Shell) -> None:
    """Bob's order is in the book, marked as his own, and in the list of his orders."""
    running.variables |= {"CLEARBELL_PASSWORD": PASSWORD}
    with httpx.Client(base_url=f"http://127.0.0.1:{running.port}/api/v1", trust_env=False) as http:
        http.headers["Authorization"] = f"Bearer {token_of('bob', http)}"
        order = {"symbol": "ETH-USD", "side": "SELL", "type": "LIMIT", "price": "9000", "quantity": "2"}
        placed = http.post("/orders?wait=2000", json=order).json()["data"]
    assert placed["status"] == "OPEN"
    url = f"--url http://127.0.0.1:{running.port}"
    by_make = running.run(f'make watch SYMBOL=ETH-USD AS=bob ARGS="{url}"')
    command = f"DEMO=1 .venv/bin/python manage.py watch ETH-USD --once --user bob {url}"
    for printed in (by_make, running.run(command)):
        lines = [line.split() for line in printed.splitlines()]
        assert ["*", "9000", "2", "1"] in [line[:4] for line in lines]
        assert f"SELL 2 @ 9000 LIMIT GTC OPEN #{placed['orderId']}".split() in lines
        assert "\x1b" not in printed


@runs("tools.feed")
def test_the_feed_from_the_rows(running: Shell) -> None:
    """The demo has no feed in Redis: what was traded before is read from the rows."""
    correlation_id = place(running)
    with httpx.Client(base_url=f"http://127.0.0.1:{running.port}/api/v1", trust_env=False) as http:
        running.variables["FEED_TOKEN"] = token_of("admin", http)
    [documented] = [line for line in command_lines("docs/operations.md") if name_of(line) == "tools.feed"]
    here = {"FEED_TOKEN=... ": "", "trades": "orders", "/var/lib/feed": str(running.folder)}
    here |= {"https://exchange.example.com": "http://127.0.0.1:8000", "cache:6379": f"127.0.0.1:{free_port()}"}
    for documented_text, text in here.items():
        documented = documented.replace(documented_text, text)
    feed = running.begin("feed", documented)
    try:
        wait_for(lambda: feed.has_logged(correlation_id))
    finally:
        feed.stop()


@pytest.mark.long
@runs("make demo")
def test_demo(shell: Shell) -> None:
    with shell.begin("demo", f"make demo SECONDS=8 PORT={shell.port}") as make:
        assert make.running
        assert make.running.wait(60) == 0
        assert re.search(r"orders\s+\d+ accepted", make.log.read_text())


@pytest.mark.long
@runs("manage.py migrate", "manage.py createsuperuser", "gunicorn", "uvicorn", "celery worker", "celery beat")
def test_the_processes_by_hand(shell: Shell) -> None:
    stream_port, password = free_port(), "correct horse"
    with start_redis(shell.folder / "redis") as redis:
        shell.variables = {
            **{name: secrets.token_hex(32) for name in ("SECRET_KEY", "JWT_SIGNING_KEY", "API_KEY_SECRETS")},
            "REDIS_URL": f"{redis.url}/1",
            "BROKER_URL": f"{redis.url}/0",
            "DJANGO_SUPERUSER_PASSWORD": password,
        }
        lines = [
            line for line in section("docs/operations.md", OWN_SERVERS).splitlines() if RUN.get(name_of(line)) == HERE
        ]
        migrate, create, *programs = (line.partition("#")[0].replace("8001", str(stream_port)) for line in lines)
        assert len(programs) == 4
        shell.run(migrate)
        shell.run(f"{create} --noinput --username root --email root@example.com")
        processes = [
            shell.begin(name_of(line).split()[-1], line.replace("LOG_PROCESS=stream ", "")) for line in programs
        ]
        try:
            wait_for(lambda: answers(shell.port, "/health/ready"), seconds=30)
            wait_for(lambda: answers(stream_port), seconds=30)
            wait_for(lambda: processes[2].has_logged(" ready."), seconds=30)
            wait_for(lambda: processes[3].has_logged("beat: Starting"), seconds=30)
        finally:
            for process in processes:
                process.stop()


HERE = test_the_processes_by_hand.__name__


@runs("make trace")
def test_the_drawing_of_the_road_is_the_way_of_an_order(shell: Shell) -> None:
    printed = shell.run("make trace")
    assert re.fullmatch(r"\d+ files, \d+ changes of file \(.*\)", printed.splitlines()[-1])
    visited = set(re.findall(r"^  ([a-z_/]+\.py) ", printed, re.MULTILINE))
    drawing = (ROOT / "README.md").read_text().partition("## The road of an order\n")[2].split("```")[1]
    steps = []
    for words in sorted([*STEPS, *REMARKS], key=len, reverse=True):
        if words in drawing:
            steps += [words] if words in STEPS else []
            drawing = drawing.replace(words, "")
    assert re.findall(r"\w+", drawing) == [], "the drawing names what tools/scripts/trace.py does not know"
    assert [step for step in steps if not any(file.startswith(STEPS[step]) for file in visited)] == []


@pytest.mark.long
@runs("make test", "tools.scripts.test")
def test_a_few_tests(shell: Shell) -> None:
    [documented] = [line for line in command_lines("CONTRIBUTING.md") if name_of(line) == "tools.scripts.test"]
    assert re.search(r"SQLite .* passed", shell.run(documented))
    printed = shell.run('make test CHECK= ARGS="--only sqlite tests/unit/test_tidy.py -q"')
    assert re.search(r"SQLite .* passed", printed)


@runs("make format", "make clean")
def test_a_folder_is_formatted_and_cleaned(shell: Shell) -> None:
    """Of its own: the project's must stay as it is."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, shell.folder)
    untidy = shell.folder / "untidy.py"
    untidy.write_text('"""Untidy."""\nimport sys, os\nPATH=[ sys.path,os.sep ]\n')
    shell.run(f"make -C {shell.folder} format")
    assert untidy.read_text() == '"""Untidy."""\n\nimport os\nimport sys\n\nPATH = [sys.path, os.sep]\n'
    assert (shell.folder / ".ruff_cache").exists()
    shell.run(f"make -C {shell.folder} clean")
    assert sorted(path.name for path in shell.folder.iterdir()) == ["Makefile", "pyproject.toml", "untidy.py"]
