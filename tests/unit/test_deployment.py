"""What is started, watched and written about in production fits together, and fits the product."""

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml
from django_prometheus.db import metrics as database_metrics
from django_prometheus.middleware import Metrics
from prometheus_client import Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

from base.telemetry import metrics, processes
from exchange.guards import weakness
from tools.compose.standins import CONTEXT, wanted

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE, RABBITMQ = (ROOT / "docker-compose.yml").read_text(), (DEPLOY / "compose.rabbitmq.yml").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
PIECES = {**SERVICES, "rabbitmq": yaml.safe_load(RABBITMQ)["services"]["rabbitmq"]}
SECOND = (DEPLOY / "compose.servers.yml").read_text() + (DEPLOY / "compose.worker.yml").read_text()
ONE_SHOT = {"migrate", "audit"}
SETTINGS = {name: service["environment"] for name, service in SERVICES.items() if "environment" in service}
OURS = {name for name, service in SERVICES.items() if service["image"].startswith("exchange:")}
VARIABLE = re.compile(r"\$\{(\w+)([^}]*)\}")
# Read from the database whenever Prometheus asks, and told by the exporter of the machine.
AT_SCRAPE = {
    *("exchange_database_up", "exchange_waiting_commands", "exchange_oldest_command_seconds", "exchange_market_status"),
    *("exchange_workers", "exchange_beats", "exchange_dead_letters_unresolved", "exchange_last_audit_findings"),
    *("exchange_last_audit_age_seconds", "exchange_server_away", "exchange_rate_limited_total"),
}
OF_OTHERS = {
    *("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"),
    *("up", "node_filesystem_avail_bytes", "node_filesystem_size_bytes"),
}


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if not found:
        pytest.skip(f"no {name} on this machine")
    return found


# ------------------------------------------------------------------------------------------------- compose


@pytest.mark.parametrize("name", sorted(PIECES))
def test_a_service_is_watched_restarted_and_bounded(name: str) -> None:
    service = PIECES[name]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
    assert service["logging"]["options"]["max-size"]
    if name not in ONE_SHOT:
        assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
        assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_process_of_ours_writes_nowhere_and_waits_for_the_tables(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp", "/run/metrics:mode=1777"]
    assert service["depends_on"] == (
        {"mysql": {"condition": "service_healthy"}}
        if name == "migrate"
        else {"migrate": {"condition": "service_completed_successfully"}}
    )
    assert SETTINGS[name]["DEMO"] == "off"
    assert SETTINGS[name]["TRUSTED_PROXIES"] == "1"


def test_images_are_pinned() -> None:
    images = {service["image"] for name, service in PIECES.items() if name not in OURS}
    images |= set(re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    assert [image for image in images if not re.search(r":v?\d+\.\d+\.\d+(-\w+)*$", image)] == []


def test_only_the_proxy_is_reached_from_outside() -> None:
    ports = {name: port for name, service in PIECES.items() for port in service.get("ports", ())}
    assert {name for name, port in ports.items() if not port.startswith("127.0.0.1:")} == {"nginx"}
    assert yaml.safe_load(COMPOSE)["networks"]["back"] == {"internal": True}
    assert {name for name, service in SERVICES.items() if "front" in service["networks"]} == {"nginx", "web", "stream"}


def test_secrets_have_no_default() -> None:
    used = VARIABLE.findall(COMPOSE + RABBITMQ)
    secret = {(name, rest) for name, rest in used if re.search("PASSWORD|KEY|AUTH", name)}
    assert len({name for name, _ in secret}) == 7 + 8 + 1
    # Without a password there is no user feed.
    assert [name for name, rest in secret if not rest.startswith(":?")] == ["REDIS_FEED_PASSWORD"]


def test_a_script_fills_in_the_secrets_and_leaves_what_is_set(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text((ROOT / ".env.example").read_text().replace("MYSQL_PASSWORD=", "MYSQL_PASSWORD=mine"))
    run("sh", "deploy/secrets.sh", str(file))
    values = dict(re.findall(r"^(\w+)=(.*)$", file.read_text(), re.MULTILINE))
    assert [name for name, value in values.items() if not value] == ["ALLOWED_HOSTS"]
    secrets = {value for name, value in values.items() if name not in ("ALLOWED_HOSTS", "MYSQL_PASSWORD")}
    assert len(secrets) == len(values) - 2
    assert [weakness(secret) for secret in secrets if weakness(secret)] == []
    assert values["MYSQL_PASSWORD"] == "mine"
    assert file.stat().st_mode & 0o077 == 0


def test_no_password_is_on_a_command_line() -> None:
    words = [str(word) for service in PIECES.values() for word in (service.get("command"), service.get("entrypoint"))]
    assert [word for word in words if re.search(r"\$\{\w*(PASSWORD|KEY|AUTH)", word)] == []


def test_what_our_scripts_call_in_redis_and_our_keys_are_granted() -> None:
    """Who adds one finds out here, and not by a line in the log of Redis."""
    # A sandbox runs in a demo alone, where Redis has one user.
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "tools", "sandbox"}
    code = "".join(path.read_text() for package in packages for path in (ROOT / package).rglob("*.py"))
    users = (DEPLOY / "redis" / "users.acl").read_text()
    called = {word.lower() for word in re.findall(r"redis\.p?call\('(\w+)'", code)}
    keys = set(re.findall(r'"(exchange:[a-z-]+:)', code))
    assert len(called) > 20
    assert len(keys) > 3
    assert [word for word in sorted(called) if f"+{word} " not in users.replace("\n", " ")] == []
    assert [key for key in sorted(keys) if f"~{key}" not in users] == []


def test_each_process_is_its_own_user_in_redis() -> None:
    processes = {name: name for name in OURS - ONE_SHOT} | {
        name: "worker" for name in OURS if name.startswith("worker-")
    }
    for name, user in processes.items():
        secret = f"{user}:${{REDIS_{user.upper()}_PASSWORD:?a secret of your own, see .env.example}}"
        urls = [SETTINGS[name][variable] for variable in ("BROKER_URL", "REDIS_URL", "CACHE_URL")]
        assert urls == [f"redis://{secret}@{where}" for where in ("redis:6379/0", "redis:6379/1", "cache:6379/0")]
    for name in ONE_SHOT:
        assert "REDIS_URL" not in SETTINGS[name], "it needs none"


def test_the_example_names_what_is_needed_and_gives_nothing() -> None:
    example = (ROOT / ".env.example").read_text()
    needed = {name for name, rest in VARIABLE.findall(COMPOSE) if rest.startswith(":?")}
    assert set(re.findall(r"^(\w+)=$", example, re.MULTILINE)) == needed
    mentioned = set(re.findall(r"^#?(\w+)=", example, re.MULTILINE))
    tls = (DEPLOY / "compose.tls.yml").read_text()
    assert {name for name, _ in VARIABLE.findall(COMPOSE + RABBITMQ + SECOND + tls)} == mentioned
    assert re.search(r"^\.env$", (ROOT / ".gitignore").read_text(), re.MULTILINE)


def test_nothing_of_the_demo_is_deployed() -> None:
    texts = [COMPOSE, RABBITMQ, (ROOT / "Dockerfile").read_text(), (ROOT / ".env.example").read_text()]
    texts += [path.read_text() for path in DEPLOY.rglob("*.*") if path.suffix != ".pyc"]
    assert [text for text in texts if re.search(r"demo-only|exchange-demo|DEMO: \"?(1|on)|UNAUTHENTICATED", text)] == []


def test_flower_asks_who_it_is_and_is_not_proxied() -> None:
    assert SETTINGS["flower"]["FLOWER_BASIC_AUTH"].startswith("${FLOWER_BASIC_AUTH:?")
    assert "flower" not in (DEPLOY / "nginx" / "nginx.conf").read_text()


def test_each_market_has_one_worker() -> None:
    own = {queue.removeprefix("orders.") for queue in re.findall(r"-Q, (orders\.[\w-]+)", COMPOSE)}
    assert own
    assert set(SETTINGS["worker-others"]["WORKER_EXCEPT"].split(",")) == own


def test_the_broker_may_be_rabbitmq_for_whoever_rings_or_hears() -> None:
    changed = yaml.safe_load(RABBITMQ)["services"]
    assert set(changed) - {"rabbitmq"} == OURS
    assert {
        service["environment"]["BROKER_URL"].partition(":")[0] for name, service in changed.items() if name in OURS
    } == {"amqp"}


def test_a_worker_on_a_second_machine_is_one_of_the_first_and_finds_its_servers() -> None:
    """tools/compose/hosts.py starts both."""
    servers = yaml.safe_load((DEPLOY / "compose.servers.yml").read_text())["services"]
    worker = yaml.safe_load((DEPLOY / "compose.worker.yml").read_text().replace("!reset", "").replace("!override", ""))
    [service] = worker["services"].values()
    assert service["extends"]["service"] in SERVICES
    assert {host.partition(":")[0] for host in service["extra_hosts"]} == set(servers)
    published = {name: port.rpartition("}:")[2] for name, facts in servers.items() for port in facts["ports"]}
    ports = {name: port.partition(":")[0] for name, port in published.items()}
    environment = {**SETTINGS["worker-eth-usd"], **service["environment"]}
    addresses = " ".join(environment[name] for name in ("DATABASE_URL", "REDIS_URL", "CACHE_URL", "BROKER_URL"))
    assert dict(re.findall(r"@(\w+):(\d+)/", addresses)) == ports


def test_what_the_check_starts_has_a_stand_in() -> None:
    """All but those of which Debian has no package, which docs/operations.md names."""
    images = {service["image"] for name, service in PIECES.items() if name not in OURS and "profiles" not in service}
    missing = images - set(wanted().values())
    assert missing == {SERVICES["grafana"]["image"]}
    assert set(re.findall(r" AS ([\w-]+)$", (CONTEXT / "Dockerfile").read_text(), re.MULTILINE)) - {"debian"} == set(
        wanted()
    )


def test_the_image_holds_what_runs_and_nobody_is_root_in_it() -> None:
    dockerfile, ignored = (ROOT / "Dockerfile").read_text(), (ROOT / ".dockerignore").read_text().splitlines()
    assert "--require-hashes -r /requirements.lock -r /requirements-mysql.lock" in dockerfile
    assert re.findall(r"^USER (.+)$", dockerfile, re.MULTILINE) == ["10001:10001"]
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "tools"}
    assert ignored[1] == "*"
    assert {f"!{package}" for package in packages} | {"!deploy/gunicorn.conf.py", "!manage.py"} <= set(ignored)


def test_the_wheel_holds_what_the_image_holds() -> None:
    """tests/e2e/test_package.py builds it, and looks into it."""
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "tools"}
    assert set(tool["include"]) == {f"{package}*" for package in packages}


def test_docker_compose_understands_it(tmp_path: Path) -> None:
    docker, alone = shutil.which("docker"), shutil.which("docker-compose")
    if docker and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0:
        compose = [docker, "compose"]
    elif alone and b" v1." not in (told := subprocess.run([alone, "version"], capture_output=True, check=False).stdout):
        assert told
        compose = [alone]
    else:
        pytest.skip("no docker compose on this machine")
    values = tmp_path / "values"
    needed = {name for name, _ in VARIABLE.findall(COMPOSE + RABBITMQ)} | {"TLS_FOLDER", "TLS_GROUP"}
    values.write_text("".join(f"{name}={'/tls' if name == 'TLS_FOLDER' else 1}\n" for name in needed))
    files = ["docker-compose.yml", "deploy/compose.rabbitmq.yml", "deploy/compose.tls.yml"]
    for chosen in (files[:1], files[:2], files):
        run(*compose, "--env-file", str(values), *[f"--file={file}" for file in chosen], "config", "--quiet")


# ------------------------------------------------------------------------------------------------- log lines


def extracted(source: str) -> list[dict[str, str]]:
    """The expressions of each stage.json of Alloy's configuration, by name."""
    blocks = re.findall(r"stage\.json \{.*?expressions = \{(.*?)\}", source, re.DOTALL)
    return [dict(re.findall(r'(\w+)\s*= "((?:[^"\\]|\\.)*)"', block)) for block in blocks]


def test_the_log_lines_are_read_as_they_are_written(log: Callable[[], list[dict[str, Any]]]) -> None:
    """Alloy itself runs nowhere here: its pieces are wired, and what it looks for is in the lines."""
    source = (DEPLOY / "alloy" / "config.alloy").read_text()
    assert source.count("{") == source.count("}")
    components = {f"{kind}.{name}" for kind, name in re.findall(r'^([\w.]+) "(\w+)" \{', source, re.MULTILINE)}
    used = re.findall(r"((?:local|loki)\.[\w.]+)\.(?:targets|receiver)", source)
    assert len(used) == 3
    assert set(used) <= components
    envelope, labels, fields = extracted(source)
    assert envelope == {"line": "log", "attrs": "attrs"}
    asked = SERVICES["web"]["logging"]["options"]["labels"].split(",")
    assert sorted(text.replace('\\"', "") for text in labels.values()) == sorted(asked)
    assert f'project!=\\"{yaml.safe_load(COMPOSE)["name"]}\\"' in source
    order_log = structlog.get_logger("orders.log")
    order_log.info("order accepted", correlationId="c", requestId="r", orderId=1, userId=2, symbol="BTC-USD")
    [line] = log()
    assert set(fields.values()) <= set(line)
    assert datetime.fromisoformat(line["timestamp"]).tzinfo
    told = (ROOT / "docs" / "logs.md").read_text()
    assert [name for name in fields if f"`{name}`" not in told] == []


def test_the_log_stack_is_there_on_request_alone() -> None:
    assert {name for name, service in SERVICES.items() if service.get("profiles") == ["logs"]} == {"loki", "alloy"}
    loki = yaml.safe_load((DEPLOY / "loki" / "loki.yml").read_text())
    port = loki["server"]["http_listen_port"]
    [grafana] = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/loki.yml").read_text())["datasources"]
    assert grafana["url"] == f"http://loki:{port}"
    assert f'url = "http://loki:{port}/loki/api/v1/push"' in (DEPLOY / "alloy" / "config.alloy").read_text()
    assert loki["compactor"]["retention_enabled"]
    mounted = [volume for service in SERVICES.values() for volume in service.get("volumes", ())]
    assert [path for path in mounted if path.startswith("./") and not (ROOT / path.partition(":")[0]).exists()] == []
    assert [path for path in mounted if "docker.sock" in path] == []


# ------------------------------------------------------------------------------------------------- what is watched


def exposed() -> Iterator[str]:
    """Every name that /metrics may show of what the product counts."""
    requests = vars(Metrics.get_instance()).values()
    for metric in [*vars(metrics).values(), *vars(processes).values(), *requests, *vars(database_metrics).values()]:
        if isinstance(metric, MetricWrapperBase):
            name = metric.describe()[0].name
            endings = {Counter: ["_total"], Histogram: ["_bucket", "_sum", "_count"]}.get(type(metric), [""])
            yield from (name + ending for ending in endings)


def names_in(expression: str) -> set[str]:
    """The metrics of a PromQL expression: its words outside braces and brackets, but functions and operators."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(by|on)\s*\([^)]*\)", " ", expression)
    return {word for word in re.findall(r"\b[a-z][a-z0-9_]*\b(?!\s*\()", bare) if word not in {"and", "or", "by", "on"}}


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
    return list(group["rules"])


def dashboard() -> list[str]:
    panels = json.loads((DEPLOY / "grafana" / "dashboards" / "exchange.json").read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


def test_names_are_found_in_an_expression() -> None:
    expression = 'sum by (le) (rate(a_bucket{x="by"}[5m])) / on () b_total > 2 * 3600 or absent(c{y=~"d"})'
    assert names_in(expression) == {"a_bucket", "b_total", "c"}


def test_alerts_and_dashboard_ask_for_what_there_is() -> None:
    expressions = [rule["expr"] for rule in rules()] + dashboard()
    asked = set().union(*map(names_in, expressions))
    assert len(asked) > 20
    assert asked - set(exposed()) - AT_SCRAPE - OF_OTHERS == set()


def test_all_that_is_counted_is_shown_or_watched() -> None:
    asked = set().union(*map(names_in, [rule["expr"] for rule in rules()] + dashboard()))
    counted = {
        name for name in exposed() if name.startswith("exchange_") and not name.endswith(("_sum", "_count", "_bucket"))
    }
    assert (counted | AT_SCRAPE) - asked == set()


def test_all_that_is_counted_is_told() -> None:
    told = set(re.findall(r"`(exchange_\w+)`", OPERATIONS.partition("\n## What is counted\n")[2].partition("\n## ")[0]))
    counted = {re.sub("_(sum|count|bucket)$", "", name) for name in exposed() if name.startswith("exchange_")}
    assert told == counted | AT_SCRAPE


def test_every_alert_has_its_section_and_every_section_its_alert() -> None:
    section = OPERATIONS.partition("\n## Alerts\n")[2].partition("\n## ")[0]
    named = [rule["alert"] for rule in rules()]
    assert re.findall(r"^### (\w+)$", section, re.MULTILINE) == named
    assert [rule["annotations"]["runbook"] for rule in rules()] == [
        f"docs/operations.md#{name.lower()}" for name in named
    ]


def test_every_alert_is_tested() -> None:
    tests = yaml.safe_load((DEPLOY / "prometheus" / "alerts.test.yml").read_text())["tests"]
    fired = {case["alertname"] for test in tests for case in test["alert_rule_test"] if case.get("exp_alerts")}
    assert fired == {rule["alert"] for rule in rules()}


def test_everything_that_counts_is_measured() -> None:
    jobs = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    targets = {target for job in jobs for target in job["static_configs"][0]["targets"]}
    workers = {f"{name}:{values['METRICS_PORT']}" for name, values in SETTINGS.items() if "METRICS_PORT" in values}
    assert workers
    others = {"web:8000", "stream:8001", "flower:5555", "node:9100", "127.0.0.1:9090"}
    assert targets == workers | others
    assert {target.partition(":")[0] for target in targets} - {"127.0.0.1"} <= set(SERVICES)
    folder = SETTINGS["web"]["PROMETHEUS_MULTIPROC_DIR"]
    assert f"{folder}:mode=1777" in SERVICES["web"]["tmpfs"]
    # Docker gives what it mounts the folder's own mode when a container starts again.
    assert f"install -d -m 1777 {folder}" in (ROOT / "Dockerfile").read_text()


def test_prometheus_understands_its_rules() -> None:
    promtool = program("promtool")
    run(promtool, "check", "config", "deploy/prometheus/prometheus.yml")
    run(promtool, "test", "rules", "deploy/prometheus/alerts.test.yml")
