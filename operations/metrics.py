"""GET /metrics: the counters of the processes, and gauges of the database's present state.

The gauges are read for each scrape, in a handful of queries without locks. If the database is away, the answer has
`exchange_database_up` 0 and the counters, because a scrape that fails would not show the reason.
"""

import logging
from collections.abc import Iterator

from django.db import Error
from django.db.models import Count, Max, Min
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from audit.models import AuditRun, Outcome
from base.telemetry.metrics import exposed
from commands.models import Command
from markets.models import Market
from matching.models import DeadLetter
from matching.worker.heartbeat import live_beats, live_workers

logger = logging.getLogger(__name__)


@require_safe
def metrics(_: HttpRequest) -> HttpResponse:
    return HttpResponse(exposed() + _gauges(), content_type=CONTENT_TYPE_LATEST)


def _gauges() -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Gauges())
    return generate_latest(registry)


class _Gauges(Collector):
    def collect(self) -> Iterator[GaugeMetricFamily]:
        up = GaugeMetricFamily("exchange_database_up", "Whether the database answers")
        try:
            # All gauges or none.
            gauges = [*_markets(), _beats(), _dead_letters(), *_audits()]
        except Error as error:
            logger.warning("the database did not answer a scrape: %s", error)
            gauges = []
        up.add_metric([], bool(gauges))
        yield from [up, *gauges]


def _markets() -> Iterator[GaugeMetricFamily]:
    status = GaugeMetricFamily("exchange_market_status", "1 for what the market is", labels=["symbol", "status"])
    waiting = GaugeMetricFamily("exchange_waiting_commands", "Commands in the inbox", labels=["symbol"])
    workers = GaugeMetricFamily("exchange_workers", "Workers alive that serve it", labels=["symbol"])
    oldest = GaugeMetricFamily("exchange_oldest_command_seconds", "How long the first one waits", labels=["symbol"])
    markets = dict(Market.objects.values_list("symbol", "status"))
    alive = live_workers(markets)
    inboxes = Command.objects.values("market_id").annotate(waiting=Count("id"), first=Min("id")).order_by()
    inbox: dict[str, tuple[int, int]] = {row["market_id"]: (row["waiting"], row["first"]) for row in inboxes}
    firsts = Command.objects.filter(id__in=[first for _, first in inbox.values()])
    since = dict(firsts.values_list("id", "created_at"))
    now = timezone.now()
    for symbol in sorted(markets):
        number, first = inbox.get(symbol, (0, 0))
        status.add_metric([symbol, markets[symbol]], 1)
        workers.add_metric([symbol], alive[symbol])
        waiting.add_metric([symbol], number)
        # The first command may have been applied between the two queries.
        oldest.add_metric([symbol], max(0.0, (now - since.get(first, now)).total_seconds()))
    yield from (status, workers, waiting, oldest)


def _beats() -> GaugeMetricFamily:
    return GaugeMetricFamily("exchange_beats", "Processes that send what is scheduled", value=live_beats())


def _dead_letters() -> GaugeMetricFamily:
    unresolved = DeadLetter.objects.filter(resolution=None).count()
    return GaugeMetricFamily("exchange_dead_letters_unresolved", "Dead letters that nobody resolved", value=unresolved)


def _audits() -> Iterator[GaugeMetricFamily]:
    """The last audit of each mode. An audit that could not run does not count, because it has checked nothing."""
    findings = GaugeMetricFamily("exchange_last_audit_findings", "Findings of the last audit", labels=["mode"])
    age = GaugeMetricFamily("exchange_last_audit_age_seconds", "Since the last audit began", labels=["mode"])
    ran = AuditRun.objects.exclude(outcome=Outcome.NOT_RUN).values("mode").annotate(last=Max("id")).order_by()
    now = timezone.now()
    for run in AuditRun.objects.filter(id__in=[row["last"] for row in ran]).order_by("mode"):
        findings.add_metric([run.mode.lower()], run.found)
        age.add_metric([run.mode.lower()], (now - run.started_at).total_seconds())
    yield from (findings, age)
