"""The figures of processes, where each shows its own and where several share a folder of counters."""

import gc
import os
import re
import subprocess
import sys
from pathlib import Path

from base.telemetry import processes
from base.telemetry.metrics import exposed

ROOT = Path(__file__).resolve().parents[2]
# A second process that counts and waits, and one that has ended; then what the first one shows.
SCRIPT = """
import gc, os, subprocess, sys
from base.telemetry.metrics import exposed
child = [sys.executable, "-c", "import gc; from base.telemetry.processes import count_garbage; gc.collect();"
         " count_garbage(); print('counted', flush=True); input()"]
ended = subprocess.Popen(child, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
ended.communicate(b"\\n")
alive = subprocess.Popen(child, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
alive.stdout.readline()
gc.collect()
print(os.getpid(), alive.pid, ended.pid)
print(exposed().decode())
alive.communicate(b"\\n")
"""


def test_processes_that_share_a_folder_are_shown_one_by_one(tmp_path: Path) -> None:
    environment = {**os.environ, "DEMO": "1", "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    environment |= {"DJANGO_SETTINGS_MODULE": "exchange.settings", "PYTHONPATH": str(ROOT), "DATA_DIR": str(tmp_path)}
    script = SCRIPT.replace("\\\\n", "\\n")
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    ids, _, shown = done.stdout.partition("\n")
    own, alive, ended = ids.split()
    for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"):
        assert set(re.findall(rf'^{name}{{pid="(\d+)"}}', shown, re.MULTILINE)) == {own, alive}, name
    assert ended not in (own, alive)
    [collections] = re.findall(r'^exchange_gc_collections_total{generation="2"} (\S+)$', shown, re.MULTILINE)
    assert float(collections) >= 3, "those of the process that has ended count too"


def test_a_process_alone_shows_its_own() -> None:
    shown = exposed().decode()
    assert re.search(r"^process_resident_memory_bytes \S+$", shown, re.MULTILINE)
    before = processes.GC_COLLECTIONS.labels(2)._value.get()
    gc.collect()
    exposed()
    assert processes.GC_COLLECTIONS.labels(2)._value.get() == before + 1


def test_a_collection_waits_for_no_counter() -> None:
    """It may begin in the middle of one."""
    with processes.GC_COLLECTIONS.labels(2)._value._lock, processes.GC_SECONDS.labels(2)._value._lock:
        gc.collect()
    processes.count_garbage()
