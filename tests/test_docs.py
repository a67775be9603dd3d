"""The reference cannot lie: what exists is documented."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from bearerwatch._units import names
from bearerwatch.event import REASONS, AuthEvent, Kind, Outcome
from bearerwatch.settings import _ENV, Settings

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def _read(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*AuthEvent.__struct_fields__, *REASONS, *Outcome, *Kind])
def test_every_word_of_the_event_schema_is_in_its_reference(name):
    assert f"`{name}`" in _read("reference/events.md")


@pytest.mark.parametrize("name", [field.name for field in fields(Settings) if field.name != "instance"])
def test_every_setting_is_in_its_reference(name):
    page = _read("reference/settings.md")

    assert f"`{name}`" in page
    assert name == "state_dir" or f"`{_ENV[name]}`" in page


@pytest.mark.parametrize(
    "rule",
    sorted(
        path.stem for path in (ROOT / "src/bearerwatch/detect/rules").glob("*.yml") if not path.stem.endswith(".test")
    ),
)
def test_every_rule_is_in_its_reference(rule):
    assert f"`{rule}`" in _read("reference/rules.md")


@pytest.mark.parametrize("command", names("bearerwatch.cli"))
def test_every_command_is_in_its_reference(command):
    assert f"bearerwatch {command}" in _read("reference/commands.md")


def test_every_warning_the_code_gives_is_in_its_reference():
    given = set()
    for source in (ROOT / "src").rglob("*.py"):
        given |= set(re.findall(r"\bbearerwatch\.([WE]\d{3})\b", source.read_text(encoding="utf-8")))
        given |= set(re.findall(r'"([WE]\d{3})"', source.read_text(encoding="utf-8")))
    page = _read("reference/warnings.md")

    assert given
    assert {code for code in given if f"`bearerwatch.{code}`" not in page} == set()


def test_links_between_pages_lead_somewhere():
    broken = []
    pages = [*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("samples/**/*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")

    assert broken == []
