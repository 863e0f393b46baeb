"""What the exchange runs with: looked up among known vulnerabilities, or listed as an SBOM (CycloneDX).

python -m tools.scripts.dependencies audit|sbom [--output FILE]

`make` itself ends with 2 whatever went wrong; this ends with 1 or 2.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tools.rig.process import ROOT

# Of what runs in production; what is used to develop reaches no client.
LOCKS = ("requirements.lock", "requirements-mysql.lock")
CLEAN, VULNERABLE, NOT_LOOKED_UP = 0, 1, 2
UNREACHED = "the database of vulnerabilities cannot be reached"
LOOK = ("--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off")
Run = Callable[[list[str]], "subprocess.CompletedProcess[str]"]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tools.scripts.dependencies", description=__doc__)
    parser.add_argument("what", choices=("audit", "sbom"))
    parser.add_argument("--output", type=Path, default=ROOT / "dist" / "sbom.json", help="where the SBOM is written")
    options = parser.parse_args(arguments)
    return audit(_run) if options.what == "audit" else write_sbom(options.output)


def audit(run: Run) -> int:
    """0 if none is known, 1 for any that is, 2 where that could not be found out: then nothing is proven."""
    done = run(["pip_audit", *LOOK, *(word for lock in LOCKS for word in ("--requirement", lock))])
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, LookupError, TypeError):
        reason = (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]
        print(
            f"the database of vulnerabilities cannot be reached, nothing was looked up: {reason[:300]}", file=sys.stderr
        )
        return NOT_LOOKED_UP
    unknown = sorted(each["name"] for each in found if "skip_reason" in each)
    for package in found:
        for each in package.get("vulns", ()):
            fixed = ", ".join(each["fix_versions"]) or "none yet"
            print(f"{package['name']} {package['version']}: {each['id']}, fixed in: {fixed}")
    # pip-audit itself calls it clean when the database knows nothing at all.
    print(f"{len(found) - len(unknown)} of {len(found)} packages were looked up")
    if any(package.get("vulns") for package in found):
        return VULNERABLE
    if len(unknown) == len(found):
        print(f"{UNREACHED}, or it knows none of them", file=sys.stderr)
    elif unknown:
        print(f"not in the database: {', '.join(unknown)}", file=sys.stderr)
    if unknown or not found:
        return NOT_LOOKED_UP
    return CLEAN


def write_sbom(output: Path) -> int:
    """The same bytes for the same lock files."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        joined, made = Path(folder) / "requirements", Path(folder) / "sbom.json"
        joined.write_text("".join((ROOT / lock).read_text() for lock in LOCKS))
        options = ["--pyproject", "pyproject.toml", "--output-reproducible", "--of", "JSON", "-o", str(made)]
        done = _run(["cyclonedx_py", "requirements", *options, str(joined)])
        if done.returncode:
            print(done.stderr, file=sys.stderr)
            return VULNERABLE
        output.write_bytes(made.read_bytes())
    print(output)
    return CLEAN


def _run(words: list[str]) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-W", "ignore", "-m", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main())
