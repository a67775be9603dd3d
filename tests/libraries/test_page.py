"""The page of the whole matrix is made by the tests that prove it: docs/reference/conformance.md."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from libraries.cases import CASES, Cell, NotThere

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "reference" / "conformance.md"
HEAD = """# What is known of a token, library by library

Made by the tests, which play each case with the real library, real tokens and nothing of bearerwatch but what the
tutorial says. Each is one event. A cell says the outcome, the reason, and the status that the library answered;
**bold** where the token was established to be authentic (`verified`). A number leads to a note below: there the library
does not tell, and what the event says is read off the token itself, or not said.
"""


def test_the_page_says_what_the_tests_have_shown() -> None:
    made = page()
    before = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    PAGE.write_text(made, encoding="utf-8")
    assert before == made, "docs/reference/conformance.md was not what the tests show: it has been made anew"


def page() -> str:
    parts, notes = [HEAD], []
    for path in sorted(HERE.glob("test_*.py")):
        expected: dict[str, Cell | NotThere] | None = getattr(import_module(f"libraries.{path.stem}"), "EXPECTED", None)
        if expected is None:
            continue
        title = (import_module(f"libraries.{path.stem}").__doc__ or path.stem).strip().splitlines()[0].rstrip(".")
        parts.append(f"\n## {title}\n\n| case | event | status |\n|---|---|---|\n")
        for case, meaning in CASES.items():
            cell = expected[case]
            if isinstance(cell, NotThere):
                parts.append(f"| {case}: {meaning} | *({cell.why})* | |\n")
                continue
            said = f"{cell.outcome}, `{cell.reason}`" if cell.reason else cell.outcome
            said = f"**{said}**" if cell.verified else said
            if cell.said:
                notes.append(f"{len(notes) + 1}. {title}, {case}: {cell.said}\n")
                said = f"{said} ({len(notes)})"
            parts.append(f"| {case}: {meaning} | {said} | {cell.status} |\n")
    if notes:
        parts += ["\n## Notes\n\n", *notes]
    return "".join(parts)
