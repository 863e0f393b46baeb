"""Looking dependencies up: what was not looked up is not called clean. The SBOM is the same for the same locks."""

import json
import re
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tools.scripts.dependencies import CLEAN, LOCKS, NOT_LOOKED_UP, VULNERABLE, audit, main

ROOT = Path(__file__).resolve().parents[2]
GOOD = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
UNKNOWN = {"name": "c", "skip_reason": "Dependency not found on PyPI"}


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (json.dumps({"dependencies": [GOOD]}), CLEAN, "1 of 1 packages were looked up"),
        (json.dumps({"dependencies": [GOOD, BAD]}), VULNERABLE, "b 2: PYSEC-1, fixed in: 3"),
        (json.dumps({"dependencies": [BAD, UNKNOWN]}), VULNERABLE, "b 2: PYSEC-1"),
        (json.dumps({"dependencies": [GOOD, UNKNOWN]}), NOT_LOOKED_UP, "not in the database: c"),
        (json.dumps({"dependencies": [UNKNOWN]}), NOT_LOOKED_UP, "cannot be reached, or it knows none of them"),
        (json.dumps({"dependencies": []}), NOT_LOOKED_UP, "0 of 0"),
        ("", NOT_LOOKED_UP, "cannot be reached, nothing was looked up: no route"),
        ("null", NOT_LOOKED_UP, "cannot be reached"),
    ],
)
def test_what_was_not_looked_up_is_not_clean(
    answer: str, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(lambda words: CompletedProcess(words, 0, answer, "many lines\nno route")) == code
    shown = capsys.readouterr()
    assert said in shown.out + shown.err


def test_the_sbom_has_every_package_that_is_locked_and_is_reproducible(tmp_path: Path) -> None:
    for name in ("first", "second"):
        assert main(["sbom", "--output", str(tmp_path / name)]) == 0
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    made = json.loads((tmp_path / "first").read_text())
    texts = [(ROOT / lock).read_text() for lock in LOCKS]
    locked = {name for text in texts for name in re.findall(r"^([\w.-]+(?:\[.*\])?)==", text, re.MULTILINE)}
    assert {component["name"] for component in made["components"]} == locked
    assert made["metadata"]["component"]["name"] == "exchange"
    assert all(reference["hashes"] for component in made["components"] for reference in component["externalReferences"])
