"""The documentation cannot lie: what exists is in it, and its generated pages are what the code says."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from bearerwatch.settings import _ENV, Settings

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def _read(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def test_pages_made_from_the_code_say_what_the_code_says():
    done = subprocess.run(
        [sys.executable, DOCS / "generate.py", "--check"], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", [field.name for field in fields(Settings) if field.name != "instance"])
def test_every_setting_is_in_its_reference(name):
    page = _read("reference/settings.md")

    assert f"`{name}`" in page
    assert name == "state_dir" or f"`{_ENV[name]}`" in page


def test_every_environment_variable_the_code_reads_is_in_its_reference():
    read = set()
    for source in (ROOT / "src").rglob("*.py"):
        read |= set(re.findall(r"\bBEARERWATCH_[A-Z_]*[A-Z]\b", source.read_text(encoding="utf-8")))
    page = _read("reference/settings.md")

    assert read
    assert {name for name in read if f"`{name}`" not in page} == set()


def test_every_warning_the_code_gives_is_in_its_reference():
    given = set()
    for source in (ROOT / "src").rglob("*.py"):
        text = source.read_text(encoding="utf-8")
        given |= set(re.findall(r"\bbearerwatch\.([WE]\d{3})\b", text)) | set(re.findall(r'"([WE]\d{3})"', text))
    page = _read("reference/warnings.md")

    assert given
    assert {code for code in given if f"`bearerwatch.{code}`" not in page} == set()


def test_the_rule_of_the_guide_loads_and_passes_its_own_tests(tmp_path):
    for name, text in re.findall(r"```yaml\n# rules/(\S+)\n(.*?)```", _read("guides/rules.md"), re.DOTALL):
        (tmp_path / name).write_text(text, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "bearerwatch.cli", "rules", "test", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "admin_probing" in done.stdout


def test_links_between_pages_lead_somewhere():
    broken = []
    for page in [*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("samples/**/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")

    assert broken == []
