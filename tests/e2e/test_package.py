"""The wheel, the sdist and the SBOM: what is in them, and that the exchange runs from where it was installed."""

import json
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.e2e.shell import Shell, runs
from tests.unit.test_tidy import tracked
from tools.rig.process import ROOT
from tools.scripts.dependencies import LOCKS

PACKAGES = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "tools"}
# A page is rendered, and what it loads is found.
LOOK = (
    "import exchange, pathlib; from django.template.loader import get_template;"
    " from django.contrib.staticfiles import finders;"
    " print(pathlib.Path(exchange.__file__).parent, bool(get_template('admin/overview.html')),"
    " bool(finders.find('operations/overview.js')))"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    Shell(folder).run(f"make package DIST={folder}")
    return folder


@pytest.mark.long
@runs("make package")
def test_all_that_runs_is_in_them(built: Path) -> None:
    ours = {str(path.relative_to(ROOT)) for path in tracked("") if path.relative_to(ROOT).parts[0] in PACKAGES}
    assert {"base/templates/admin/confirm.html", "operations/static/operations/overview.css"} <= ours
    [wheel], [sdist] = built.glob("*.whl"), built.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as opened:
        inside = {name for name in opened.namelist() if ".dist-info/" not in name}
    assert inside == ours
    with tarfile.open(sdist) as unpacked:
        names = {name.partition("/")[2] for name in unpacked.getnames()}
    assert ours | {"deploy/gunicorn.conf.py", "docs/operations.md", "CHANGELOG.md"} <= names
    assert [name for name in names if name.startswith(("tests/", "tools/"))] == []


@pytest.mark.long
def test_it_runs_from_where_it_was_installed(built: Path, tmp_path: Path) -> None:
    """In an environment of its own, which borrows from this one only the packages that it depends on."""
    home = tmp_path / "venv"
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    [wheel] = built.glob("*.whl")
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    [packages] = home.glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"))

    def manage(*words: str) -> str:
        environment = {"DEMO": "1", "PATH": "/usr/bin:/bin", "LOG_LEVEL": "ERROR"}
        command = [str(home / "bin" / "exchange-manage"), *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "no issues" in manage("check")
    manage("migrate", "--verbosity", "0")
    assert (tmp_path / ".data" / "exchange.sqlite3").exists()
    assert re.fullmatch(rf"{packages}/exchange True True\n", manage("shell", "-v", "0", "-c", LOOK))


@pytest.mark.long
@runs("make sbom")
def test_the_sbom_has_every_package_that_is_locked_and_is_reproducible(tmp_path: Path) -> None:
    for name in ("first", "second"):
        Shell(tmp_path).run(f"make sbom DIST={tmp_path / name}")
    first, second = (tmp_path / name / "sbom.json" for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    made = json.loads(first.read_text())
    texts = [(ROOT / lock).read_text() for lock in LOCKS]
    locked = {name for text in texts for name in re.findall(r"^([\w.-]+)(?:\[.*\])?==", text, re.MULTILINE)}
    components = made["components"]
    assert {component["name"] for component in components} == locked
    assert all(reference["hashes"] for component in components for reference in component["externalReferences"])
    assert made["metadata"]["component"]["name"] == "exchange"
