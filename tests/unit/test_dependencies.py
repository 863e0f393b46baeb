"""Looking dependencies up among known vulnerabilities. tests/e2e/test_package.py makes the SBOM."""

import json
from subprocess import CompletedProcess

import pytest

from tools.scripts.dependencies import CLEAN, NOT_LOOKED_UP, VULNERABLE, audit

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
