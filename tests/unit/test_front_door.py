"""What a reader meets first: licence, notice, links, the forms, and the versions."""

import re
import tomllib
from datetime import date
from pathlib import Path

import pytest
import yaml

from tests.unit.test_tidy import ROOT, tracked

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PAGES = [path for path in tracked(".md") if "tests" not in path.relative_to(ROOT).parts]


def anchors(page: Path) -> set[str]:
    """The headings of a page, as links name them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```|`[^`\n]+`", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|srcset|href)="([^"]+)"', text)
    broken = []
    for target in targets:
        path, _, anchor = target.partition("#")
        if ":" in path:
            continue
        file = (page.parent / path) if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def test_every_document_is_reached_from_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    assert "docs/index.md" in (ROOT / "README.md").read_text()
    documents = {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert sorted(name for name in documents if f"]({name}" not in index) == []


def test_the_licence_is_whole_and_named() -> None:
    licence = (ROOT / "LICENSE").read_text()
    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
    assert PROJECT["license"] == "Apache-2.0"
    assert all((ROOT / name).read_text() for name in PROJECT["license-files"])
    assert "Clearbell" in PROJECT["description"]


def test_what_is_vendored_has_a_licence_and_a_line_in_the_notice() -> None:
    folders = {file.parent for file in tracked("") if {"vendor", "vendored"} & set(file.relative_to(ROOT).parts)}
    notice = (ROOT / "NOTICE").read_text()
    for folder in folders:
        files = {file.name for file in folder.iterdir()} | {file.name for file in folder.parent.iterdir()}
        assert any("LICENSE" in name.upper() for name in files), folder
        assert folder.name in notice or any(name.partition(".")[0] in notice for name in files), folder


def test_the_forms_for_issues_are_forms() -> None:
    forms = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    assert [form.stem for form in forms] == ["bug", "config", "idea", "question"]
    for form in forms:
        if form.stem != "config":
            read = yaml.safe_load(form.read_text())
            assert read["name"]
            assert read["description"]
            identified = [part["id"] for part in read["body"] if part["type"] != "markdown"]
            assert len(set(identified)) == len(identified) > 1


def test_versions_are_dated_and_the_newest_is_this_one() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    sections = re.findall(r"^## (\d+)\.(\d+)\.(\d+), (\S+): .+$", text, re.MULTILINE)
    versions = [tuple(map(int, section[:3])) for section in sections]
    assert len(sections) == len(re.findall(r"^## \d", text, re.MULTILINE)) > 1
    assert versions == sorted(versions, reverse=True)
    dates = [date.fromisoformat(section[3]) for section in sections]
    assert dates == sorted(dates, reverse=True)
    assert ".".join(map(str, versions[0])) == PROJECT["version"]
