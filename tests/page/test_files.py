"""How the page's files are served, without a browser: kept for ever, packed, and small."""

import gzip
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.test import Client, override_settings

from page.files import FOR_EVER, NOT_KEPT, address, files_of
from page.pages import DEMO_ACCOUNTS, DEMO_PASSWORD, FIRST
from tools.demo.cast import HUMANS, PASSWORD
from tools.rig.process import ROOT

FOLDER = ROOT / "page" / "static" / "page"
COMPRESSED_BYTES = 200_000
SCRIPT_LINES = 300
VENDORED = FOLDER / "vendor"


def scripts() -> list[str]:
    return [path.relative_to(FOLDER).as_posix() for path in (FOLDER / "js").glob("*.js")]


def test_a_file_is_kept_for_ever_under_the_version_of_all() -> None:
    answer = Client().get(f"{address('page')}js/trading.js", headers={"Accept-Encoding": "gzip, br"})
    assert (answer.status_code, answer["Cache-Control"], answer["Content-Encoding"]) == (200, FOR_EVER, "gzip")
    assert answer["Content-Type"] == "text/javascript; charset=utf-8"
    assert gzip.decompress(answer.content) == (FOLDER / "js" / "trading.js").read_bytes()
    plain = Client().get(f"{address('page')}js/trading.js")
    assert plain.content == gzip.decompress(answer.content)
    assert "Content-Encoding" not in plain.headers


def test_a_page_of_another_version_finds_its_files_and_keeps_none() -> None:
    answer = Client().get("/static/page/0123456789ab/base.css")
    assert (answer.status_code, answer["Cache-Control"]) == (200, NOT_KEPT)
    for name in ("nothing.js", "../pages.py", "js/../../../pages.py"):
        assert Client().get(f"{address('page')}{name}").status_code == 404


def test_the_page_names_every_file_that_it_loads() -> None:
    page = Client().get("/m/BTC-USD").content.decode()
    named = set(re.findall(rf'(?:href|src)="{address("page")}([^"]+)"', page))
    assert named <= set(files_of("page").by_name)
    modules = {name for name in scripts() if not name.startswith("js/account")}
    assert modules <= named, "each is asked for at once, and not in turn"
    imported = re.compile(r'from "(?:\./|\.\./vendor/)([\w.-]+)"')
    for name in scripts():
        for module in imported.findall((FOLDER / name).read_text()):
            assert (FOLDER / "js" / module).exists() or (VENDORED / module).exists(), f"{name} imports {module}"


def test_what_draws_the_first_picture_is_asked_for_first() -> None:
    static = re.compile(r'^import .* from "\./(\w+)\.js"', re.M)
    first, left = set(), {"trading"}
    while left:
        first |= left
        left = {name for each in left for name in static.findall((FOLDER / "js" / f"{each}.js").read_text())} - first
    assert first == FIRST
    asked = re.findall(r'modulepreload" href="\S+/js/(\w+)\.js"', Client().get("/").content.decode())
    assert set(asked[: len(FIRST)]) == first


def test_all_of_it_is_small() -> None:
    sent = {name: len(file.packed or file.body) for name, file in files_of("page").by_name.items()}
    assert sum(sent.values()) < COMPRESSED_BYTES, sent


def test_a_script_is_short_and_written_like_the_others() -> None:
    for name in scripts():
        lines = (FOLDER / name).read_text().splitlines()
        assert len(lines) <= SCRIPT_LINES, name
        assert lines[0].startswith("// "), f"{name} does not say what it is"
        assert not [line for line in lines if "\t" in line or line != line.rstrip() or len(line) > 150], name


def test_what_is_of_others_has_its_licence_and_is_named() -> None:
    notice = (ROOT / "NOTICE").read_text()
    for path in VENDORED.glob("*.js"):
        assert path.with_suffix(".LICENSE").exists()
        assert path.name in notice


def test_the_accounts_of_the_demo_are_shown_by_a_demo_alone() -> None:
    assert DEMO_PASSWORD == PASSWORD
    assert tuple(member.name for member in HUMANS if not member.is_staff) == DEMO_ACCOUNTS
    with override_settings(DEMO=True):
        assert 'name="demo-account" content="alice"' in Client().get("/").content.decode()
    with override_settings(DEMO=False):
        page = Client().get("/").content.decode()
    assert "demo-account" not in page
    assert PASSWORD not in page


def test_a_page_asks_neither_the_database_nor_redis_and_opens_no_session() -> None:
    """Without the mark of a test with a database a query would fail."""
    for path in ("/", "/m/NOPE", "/account"):
        answer = Client().get(path)
        assert answer.status_code == 200
        assert not answer.cookies


def test_money_is_counted_exactly_and_orders_are_checked_as_the_exchange_does(tmp_path: Path) -> None:
    """By node, which takes a .js for a module beside a package.json that says so: the page needs none."""
    node = shutil.which("node") or shutil.which("nodejs")
    if node is None:
        pytest.skip("NO NODE HERE: the decimals of the page are NOT TESTED (apt install nodejs)")
    shutil.copytree(FOLDER / "js", tmp_path / "js")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    for path in (ROOT / "tests" / "page").glob("*.test.mjs"):
        shutil.copy(path, tmp_path)
    done = subprocess.run([node, "--test", "."], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"# pass 1\d", done.stdout), done.stdout
