"""Secrets whose name is at the head of their column: in SQL, in tables, in CSV, and in what is bound to a statement.

``INSERT INTO users (email, password) VALUES (…)`` names each value once, far from it, and so does a table; of the
parameters that are printed behind a statement, their order says which one it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from bearerwatch.redact.checks import CHECKS
from bearerwatch.redact.live import PASSWORD
from bearerwatch.redact.names import LONG_TOKEN, NONE, PASSWORD_LIKE, TOKEN_LIKE, secret_name
from bearerwatch.redact.places import Besides, Check, given, hard, taken
from bearerwatch.redact.spans import Span

__all__ = ["COLUMNS"]

_WORDS = ("key", "pass", "pwd", "secret", "token")
"""Lower case; one of them is in the name of such a column."""
_ANY = f"(?i:{'|'.join(_WORDS)})"
_MOST_COLUMNS = 64
_MOST_ROWS = 2_000
_STRING = (
    r"(?:[NnEeBbUu]{0,2}\\?'(?:[^'\\\n]|''|\\[^'\n]|\\'(?=[^,)\]]))*+\\?'|[bu]?\\?\"(?:[^\"\\\n]|\\[^\"\n])*+\\?\")"
)
_ITEM = re.compile(
    rf"\s*+(?P<v>{_STRING}|[^\s,()\[\]'\"][^,()\[\]'\"]{{0,200}}+(?:\([^()]{{0,200}}\))?)\s*+(?P<then>[,)\]]|\Z)"
)
_QUOTES = re.compile(r"[NnEeBbUu]{0,2}\\?[\"']")


def _secret(held: int, text: str, start: int, end: int, check_of_passwords: Check = given) -> Span | None:
    """What stands in a column that holds *held*; tokens have no blanks in them, nor has what fills a cell."""
    if " " in text[start:end] and (held != PASSWORD_LIKE or check_of_passwords is hard):
        return None
    if held == PASSWORD_LIKE:
        span = taken(text, start, end, check_of_passwords)
        return None if span is None else Span(*span, PASSWORD)
    check = CHECKS["weak" if held == LONG_TOKEN else "keyed"]
    span = taken(text, start, end, given)
    return None if span is None or not check(text, *span) else Span(*span, "column")


def _held(columns: Sequence[str], beside: str = "") -> list[int]:
    """What each of *columns* holds; a ``key`` is one if what it is *beside* is about tokens."""
    names = [column.strip(" \t`\"'[]*\\").rsplit(".", 1)[-1] for column in columns]
    about = secret_name(beside) == TOKEN_LIKE
    return [
        TOKEN_LIKE if about and name.lower() == "key" else secret_name(name) if len(name) < 60 else NONE
        for name in names
    ]


def _items(text: str, at: int) -> Iterator[tuple[int, int]]:
    """Where the values of a list are that begins at *at*, without their quotes; and where it ends."""
    for _ in range(_MOST_COLUMNS):
        item = _ITEM.match(text, at)
        if item is None:
            return
        start, end = item.span("v")
        opening = _QUOTES.match(text, start, end)
        if opening is not None:
            start, end = opening.end(), end - 1
            end -= text.startswith("\\", end - 1) and text[opening.end() - 2] == "\\"
        yield start, end
        at = item.end()
        if item["then"] != ",":
            return


_INSERT = re.compile(
    r"(?i:insert\s(?:(?:low_priority|delayed|ignore|or\s[a-z]{1,10})\s)?into|replace\sinto|merge\sinto)\s{1,4}"
    rf"(?P<table>[^\s(]{{1,160}})\s{{0,4}}\((?P<columns>(?=[^()]{{0,2000}}{_ANY})[^()]{{1,2000}}+)\)\s{{0,40}}"
    r"(?:(?i:output|overriding)\s[^()]{1,80})?(?i:values)\s{0,40}(?=\()"
)
_ROW = re.compile(r"\s{0,40},?\s{0,40}\((?!\))")


def _inserted(text: str) -> list[Span]:
    """Of the values that are inserted those whose column is a secret's (SQL:2023 part 2, §14.11)."""
    found: list[Span] = []
    for insert in _INSERT.finditer(text):
        held = _held(insert["columns"].split(","), insert["table"].rsplit(".", 1)[-1].strip('`"[]\\'))
        if not any(held):
            continue
        at = insert.end()
        for _ in range(_MOST_ROWS):
            row = _ROW.match(text, at)
            if row is None:
                break
            at = row.end()
            for kind, (start, end) in zip(held, _items(text, at), strict=False):
                if kind != NONE and text[start - 1] in "\"'" and (span := _secret(kind, text, start, end)):
                    found.append(span)
                at = end
            at = text.find(")", at, at + 400) + 1
            if not at:
                break
    return found


_BOUND = re.compile(
    r"(?i:(?<![a-z_])(?:arg|param|parameter|binding|bind|bind_param)s?(?:eters)?(?::\s)?)[\"']?\s{0,2}(?:[:=]\s{0,2})?(?:"
    r"(?P<list>[\[(]{1,2}\s?)(?=[\"'buBU0-9NT-])|(?=\$1\s=))"
)
_NUMBERED = re.compile(r"\$(?P<n>[0-9]{1,3})\s=\s(?:'(?P<t>(?:[^'\n]|'')*+)'|NULL)")
_PLACE = re.compile(
    r"(?:(?P<column>[A-Za-z_][A-Za-z0-9_]{0,60})[\"`\]\\]{0,2}\s?(?:=|<>|!=|<=?|>=?|(?i:i?like)|\sIS)\s?)?"
    r"(?P<mark>(?<![A-Za-z0-9_/])\?(?![A-Za-z0-9_])|%s|\$(?P<n>[0-9]{1,3}))"
)
_INTO = re.compile(
    r"(?i:insert\sinto)\s{1,4}[^\s(]{1,160}\s{0,4}\((?P<columns>[^()]{1,2000})\)\s{0,40}(?i:values)\s{0,40}\((?P<marks>[^()]{1,2000})\)"
)
_STATEMENT = 4_000


def _bound(text: str) -> list[Span]:
    """Of what is bound to the parameters of a statement before it, what the statement says is a secret."""
    found: list[Span] = []
    done = 0
    for bound in _BOUND.finditer(text):
        marks = _marks(text[max(bound.start() - _STATEMENT, done) : bound.start()])
        done = bound.end()
        if not any(held for _, held in marks):
            continue
        if bound["list"]:
            if text.startswith(("]", ")"), bound.end()):
                continue
            values = dict(enumerate(_items(text, bound.end()), 1))
        else:
            values = {
                int(one["n"]): one.span("t") for one in _NUMBERED.finditer(text, bound.end(), bound.end() + _STATEMENT)
            }
        more = max(len(marks) - len(values), 0) if bound["list"] else 0  # what else is in the text has marks as well
        for number, held in marks:
            for which in {number, number - more} if held != NONE else ():
                start, end = values.get(which, (0, 0))
                if start > 0 and (span := _secret(held, text, start, end)):
                    found.append(span)
    return found


def _marks(statement: str) -> list[tuple[int, int]]:
    """The parameters of *statement*, by number, and what each of them holds."""
    into = _INTO.search(statement)
    columns = _held(into["columns"].split(",")) if into is not None else []
    begin, end = into.span("marks") if into is not None else (0, 0)
    marks: list[tuple[int, int]] = []
    inserted = 0
    for number, mark in enumerate(_PLACE.finditer(statement), 1):
        held = secret_name(mark["column"]) if mark["column"] else NONE
        if begin <= mark.start("mark") < end:
            column = statement.count(",", begin, mark.start("mark"))
            held = columns[column] if column < len(columns) else NONE
            inserted += 1
        marks.append((int(mark["n"]) if mark["n"] else number, held))
    return marks


_HEAD = re.compile(r"(?<![^\n])(?P<head>[^\n]{1,4000})\n(?=[\s|:+=-]{0,4000}-)")
_RULE = re.compile(r"[\s|:+=-]*-[\s|:+=-]*\Z")
_TITLE = re.compile(r"\s*[*`]{0,2}[A-Za-z][A-Za-z0-9_]*(?:[ _.-][A-Za-z0-9_]+){0,2}[*`]{0,2}\s*\Z")
"""The head of a column that has a name."""


def _tables(text: str) -> list[Span]:
    """What stands under the head of a secret's column in a table: Markdown's, psql's, MySQL's (GFM §4.10)."""
    found: list[Span] = []
    done = 0
    for head in _HEAD.finditer(text):
        if head.start() < done or "|" not in head["head"]:
            continue
        cells = head["head"].split("|")
        held = [kind if _TITLE.match(cell) else NONE for kind, cell in zip(_held(cells), cells, strict=True)]
        if any(held) and _RULE.match(_line(text, head.end())):
            done, spans = _rows(text, head.end(), "|", held)
            found += spans
    return found


def _rows(text: str, at: int, by: str, held: Sequence[int]) -> tuple[int, list[Span]]:
    """Where the rows below a head end, whose columns hold what *held* says, and the secrets in them."""
    found: list[Span] = []
    for _ in range(_MOST_ROWS):
        line = _line(text, at)
        if by != "|" or not _RULE.match(line):
            row = line.split(by)
            if len(row) != len(held):
                break
            found += _row(text, at, row, held)
        if at + len(line) == len(text):
            break
        at += len(line) + 1
    return at, found


def _line(text: str, at: int) -> str:
    end = text.find("\n", at)
    return text[at : end if end >= 0 else len(text)]


def _row(text: str, at: int, cells: Sequence[str], held: Sequence[int]) -> Iterator[Span]:
    for kind, cell in zip(held, cells, strict=False):
        inner = cell.strip(" \t\r`\"'\\")
        if (
            kind != NONE
            and inner
            and (span := _secret(kind, text, start := at + cell.index(inner), start + len(inner), hard))
        ):
            yield span
        at += len(cell) + 1


_NAME = r"[\"']?[A-Za-z_][A-Za-z0-9_ -]{0,40}[\"']?"
_CSV = re.compile(rf"(?<![^\n])(?P<head>{_NAME}(?P<by>[,;\t]){_NAME}(?:(?P=by){_NAME}){{0,30}}+)\r?\n(?=[^\n]{{6}})")


def _fields(text: str) -> list[Span]:
    """What stands in a secret's column of CSV or TSV (RFC 4180 §2)."""
    found: list[Span] = []
    done = 0
    for head in _CSV.finditer(text):
        names = head["head"].split(head["by"])
        held = _held(names)
        if head.start() >= done and any(held):
            done, spans = _rows(text, head.end(), head["by"], held)
            found += spans
    return found


_CELL = re.compile(
    r"<(?P<tag>t[hd])(?:\s[^<>]{0,200})?>\s{0,40}(?:<[a-z]{1,8}(?:\s[^<>]{0,100})?>\s{0,4}){0,2}(?P<t>[^<>\n]{0,2048}+)"
)


def _cells(text: str) -> list[Span]:
    """What stands in HTML under or beside the name of a secret."""
    found: list[Span] = []
    heads: list[int] = []
    column = 0
    beside = NONE
    last = 0
    for cell in _CELL.finditer(text):
        gone = text[last : cell.start()].lower()
        if "<table" in gone or "</table" in gone:
            heads = []
        if "<tr" in gone or "</tr" in gone:
            column, beside = 0, NONE
        last = cell.end()
        value = cell["t"].strip()
        name = secret_name(value.rstrip(":")) if len(value) < 40 else NONE
        held = beside or (heads[column] if cell["tag"] == "td" and column < len(heads) else NONE)
        if (
            held != NONE
            and name == NONE
            and value
            and (span := _secret(held, text, start := text.index(value, cell.start("t")), start + len(value), hard))
        ):
            found.append(span)
        if cell["tag"] == "th":
            heads = [*heads[:column], name] if column else [name]
        beside = name
        column += 1
    return found


_CODES = re.compile(
    r"(?i:(?:recovery|backup|scratch|emergency|one-time|single-use)[ _-](?:[a-z-]{1,16}[ _-])?codes?)"
    r"[^\n:=\[]{0,60}(?:[:=]\s{0,12}|\n\s{0,12})(?:\[\s{0,12})?"
)
_CODE = re.compile(
    r"(?:[0-9]{1,2}[.)]\s|[-*•]\s)?[\"'`]?(?P<t>(?=[A-Za-z-]{0,20}[0-9])[A-Za-z0-9]{4,12}"
    r"(?:[- ](?=[A-Za-z0-9]*[0-9])[A-Za-z0-9]{4,12}){0,3})(?![A-Za-z0-9:/.])"
    r"[\"'`]?\s{0,2}[,;]?\s{0,12}"
)
_LEAST_CODES = 3


def _codes(text: str) -> list[Span]:
    """A list of codes of which each lets in once."""
    found: list[Span] = []
    for heading in _CODES.finditer(text):
        at = heading.end()
        spans: list[Span] = []
        while (code := _CODE.match(text, at)) is not None and len(spans) < _MOST_COLUMNS:
            spans.append(Span(*code.span("t"), "code"))
            at = code.end()
        if len(spans) >= _LEAST_CODES and len({span.end - span.start for span in spans}) <= 2:
            found += spans
    return found


def _either(regex: re.Pattern[str]) -> str:
    return re.sub(r"[?]P<[a-z]+>", "", regex.pattern)


_PLACES = "|".join(
    f"(?:{regex})"
    for regex in (
        _either(_INSERT),
        rf"{_ANY}[^\x00]*(?:{_either(_BOUND)})",
        rf"(?:\|[^\n]*{_ANY}|{_ANY}[^\n]*\|)[^\n]*\n",
        rf"(?:[,;\t][A-Za-z0-9_ \"'-]*{_ANY}|{_ANY}[A-Za-z0-9_ \"'-]*[,;\t])[A-Za-z0-9_ ,;\t\"'-]*\r?\n",
        rf"(?i:<t[hd])[^<>]*>[^\x00]*{_ANY}",
    )
)


def _finder(number: int) -> Callable[[str], list[Span]]:
    earlier = _WORDS[:number]

    def find(text: str) -> list[Span]:
        low = text.lower()
        if any(word in low for word in earlier):
            return []  # they have found it
        found: list[Span] = []
        if "into" in low:
            found += _inserted(text)
        if "bind" in low or "arg" in low or "param" in low:
            found += _bound(text)
        if "<t" in low:
            found += _cells(text)
        if "\n" in text:
            found += _tables(text)
            found += _fields(text)
        return found

    return find


COLUMNS: tuple[Besides, ...] = (
    *((word, _finder(number), _PLACES) for number, word in enumerate(_WORDS)),
    ("code", _codes, _either(_CODES)),
)
"""For the gate."""
