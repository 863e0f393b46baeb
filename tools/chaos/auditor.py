"""Quick audits one after the other, in a process of their own that Django has set up: `manage.py shell` calls `run`."""

import json
import time
from contextlib import suppress

from django.db import Error, close_old_connections

from audit.models import Mode, Outcome
from audit.run import audit, keep

PAUSE_SECONDS = 0.5


def run(count: int) -> None:
    """Until so many audits could run, whatever they found; prints a line of JSON for each try."""
    while count:
        close_old_connections()
        result = audit(Mode.QUICK)
        # The next one goes on from here; where it cannot be kept, from where this one began.
        with suppress(Error):
            keep(result)
        findings = [finding.represent() for finding in result.report.findings] if result.report else []
        result_line = {
            "outcome": result.outcome,
            "seconds": result.seconds,
            "error": result.error,
            "findings": findings[:5],
        }
        print(json.dumps(result_line), flush=True)
        count -= result.outcome != Outcome.NOT_RUN
        time.sleep(PAUSE_SECONDS)
