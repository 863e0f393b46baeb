"""nginx with the configuration that is deployed, in front of servers on this machine."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import httpx

from tools.rig.binaries import nginx
from tools.rig.process import HOST, ROOT, Process

CONF = ROOT / "deploy" / "nginx" / "nginx.conf"
# The one folder that it writes to where it is deployed.
TEMPORARY = "/tmp/"  # noqa: S108
STOP_SECONDS = 10


def proxy(folder: Path, port: int, web: str, stream: str, changes: Mapping[str, str] | None = None) -> Process:
    """To be started: the deployed file with other addresses and another folder. Raises UnavailableError."""
    program = nginx()
    replaced = {"http://web:8000": web, "http://stream:8001": stream, "listen 8080": f"listen {HOST}:{port}"}
    replaced |= {TEMPORARY: f"{folder}/", "/dev/stdout": f"{folder}/access.log"}
    replaced |= {"/etc/nginx/mime.types": str(program.mime_types), **(changes or {})}
    text = CONF.read_text()
    for old, new in replaced.items():
        assert old in text, f"{CONF.name} has no {old}"
        text = text.replace(old, new)
    conf = folder / "nginx.conf"
    conf.write_text(text)
    base = (*program.command, "-p", str(folder), "-e", "stderr", "-c", str(conf))
    tried = subprocess.run([*base, "-t"], capture_output=True, text=True, check=False)
    assert tried.returncode == 0, tried.stderr
    command = (*base, "-g", "daemon off;")
    return Process("nginx", command, folder / "nginx.log", None, lambda _: _is_alive(port), STOP_SECONDS)


def _is_alive(port: int) -> bool:
    try:
        return httpx.get(f"http://{HOST}:{port}/nginx-alive", trust_env=False).status_code == 204
    except httpx.TransportError:
        return False
