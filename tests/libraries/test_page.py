"""The page of the whole matrix is made by the tests that prove it: docs/reference/conformance.md."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from libraries.cases import CASES, Cell, NotThere
from libraries.versions import Before, chosen, newest, oldest, short

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "reference" / "conformance.md"
HEAD = """# What is known of a token, library by library

Made by the tests, which play each case with the real library, real tokens and nothing of bearerwatch but what the
tutorial says. Each is one event. A cell says the outcome, the reason, and the status that the library answered;
**bold** where the token was established to be authentic (`verified`). A number leads to a note below: there the library
does not tell, and what the event says is read off the token itself, or not said.

The same cases are played with the oldest versions there are adapters for (`make oldest`) and with the newest
(`make test`); what an older version answers otherwise stands below its table. `bearerwatch doctor` says so (W026) where
a version is installed that lies outside and something of it is replaced.

| played with | oldest | newest |
|---|---|---|
"""


def test_the_page_says_what_the_tests_have_shown() -> None:
    made = page()
    before = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    PAGE.write_text(made, encoding="utf-8")
    assert before == made, "docs/reference/conformance.md was not what the tests show: it has been made anew"


def page() -> str:
    parts, notes = [HEAD], []
    for name in chosen():
        last = ", ".join(short(version) for version in newest()[name.lower()])
        parts.append(f"| {name} | {short(oldest()[name.lower()])} | {last} |\n")
    for path in sorted(HERE.glob("test_*.py")):
        module = import_module(f"libraries.{path.stem}")
        expected: dict[str, Cell | NotThere] | None = getattr(module, "EXPECTED", None)
        if expected is None:
            continue
        title = (module.__doc__ or path.stem).strip().splitlines()[0].rstrip(".")
        parts.append(f"\n## {title}\n\n| case | event | status |\n|---|---|---|\n")
        for case, meaning in CASES.items():
            cell = expected[case]
            if isinstance(cell, NotThere):
                parts.append(f"| {case}: {meaning} | *({cell.why})* | |\n")
                continue
            said = told(cell)
            if cell.said:
                notes.append(f"{len(notes) + 1}. {title}, {case}: {cell.said}\n")
                said = f"{said} ({len(notes)})"
            parts.append(f"| {case}: {meaning} | {said} | {cell.status} |\n")
        parts += [f"\n{differs(older)}\n" for older in getattr(module, "BEFORE", ())]
    if notes:
        parts += ["\n## Notes\n\n", *notes]
    return "".join(parts)


def told(cell: Cell) -> str:
    said = f"{cell.outcome}, `{cell.reason}`" if cell.reason else cell.outcome
    return f"**{said}**" if cell.verified else said


def differs(older: Before) -> str:
    """What was otherwise in older versions."""
    cells = [
        f"{case}: *({cell.why})*" if isinstance(cell, NotThere) else f"{case}: {told(cell)}, {cell.status}"
        for case, cell in older.cells.items()
    ]
    return f"Before {older.distribution} {older.version} {older.said}: {'; '.join(cells)}."
