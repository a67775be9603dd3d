"""A layout, the string a server was told to write lines by, turned round: one regular expression that reads them.

It does not backtrack: each variable takes all up to the first character of what follows it, and is not asked again (but
for one that has spaces and no quotes). So a line costs time in proportion to its length, whoever wrote what is in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from bearerwatch.errors import ConfigurationError
from bearerwatch.ingest.access._fields import Field, ordered, put_together
from bearerwatch.ingest.access._line import AccessLine, Unreadable

__all__ = ["ESCAPED", "KEPT", "PLAIN", "Part", "Template"]

Part = str | tuple[str, Field | None]
"""A literal, or a variable: its name in the layout, and what it stands for if it is of use."""

ESCAPED = r'[^"\\]*+(?:\\.[^"\\]*+)*+'
"""Between quotes where a backslash takes the meaning off whatever follows it."""
KEPT = r'[^"]*+(?:(?<=\\)"[^"]*+)*+'
"""Between quotes where a quote alone is escaped, and a backslash is not."""
PLAIN = r'[^"]*+'
"""Between quotes where nothing can be escaped."""
_MAX_PARTS = 200
_MAX_LOOSE = 8_192
_SPACED = frozenset({"request", "path", "user_agent", "authorization", "forwarded_for", "forwarded"})
_STATUS = r"(?:[0-9]{1,4}|-|)"
_LOOSE = f".{{0,{_MAX_LOOSE}}}?"
_NEEDED = frozenset({"status", "request", "target", "path", "method"})


class Template:
    """Reads lines of one layout.

    Args:
        parts: the layout, in order.
        unescape: takes back what the server escaped.
        quoted: the expression of what stands between quotes.
        hostile: whether a client can write what ends its field, for want of escapes. Then a line that does not fit to
            its end is taken for what stands before the first of a client's fields, so that nobody can keep their own
            traces out.
        tail: whether a line may go on after the layout's end.
        server: whose layout it is, for errors.

    Raises:
        ConfigurationError: two variables stand side by side, or the layout says too little of a request.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        *,
        unescape: Callable[[str], str],
        quoted: str,
        hostile: bool = False,
        tail: bool = False,
        server: str,
    ) -> None:
        self._unescape = unescape
        self._server = server
        joined = _joined(parts)
        if not _NEEDED & {part[1].name for part in joined if not isinstance(part, str) and part[1] is not None}:
            raise ConfigurationError(
                f"the {server} layout names neither a request nor a status: write it as {server}'s configuration has it"
            )
        if len(joined) > _MAX_PARTS:
            raise ConfigurationError(f"the {server} layout has more than {_MAX_PARTS} parts: shorten it")
        pattern, fields, safe = _compiled(joined, quoted, server)
        self._strict = re.compile(pattern + (r"(?s:[\s\]].*)?" if tail else "") + r"\s*", re.DOTALL).fullmatch
        self._plan = [(number, field.name, field.read, field.free) for number, field in ordered(fields)]
        self._asked = any(field.name == "authorization" for _, field in fields)
        self._prefix = None
        if hostile and safe is not None:
            count, shorter = safe
            self._prefix = re.compile(shorter, re.DOTALL).match
            self._prefix_plan = [step for step in self._plan if step[0] <= count]

    def __call__(self, line: str) -> AccessLine:
        """What *line* says.

        Raises:
            Unreadable: it is not of this layout.
        """
        plan, asked = self._plan, self._asked
        match = self._strict(line)
        if match is None and self._prefix is not None:
            match = self._prefix(line)
            plan, asked = self._prefix_plan, False
        if match is None:
            raise Unreadable(
                "layout", f"the line is not of the {self._server} layout; say --format '{self._server}:<its layout>'"
            )
        values: dict[str, object] = {}
        for number, name, read, free in plan:
            raw = match[number]
            if raw is None or name in values:
                continue
            value = read(self._unescape(raw) if free and "\\" in raw else raw)
            if value is not None:
                values[name] = value
        return put_together(values, asked=asked)


def _joined(parts: Sequence[Part]) -> list[Part]:
    """The same, with literals that follow one another as one."""
    found: list[Part] = []
    for part in parts:
        if isinstance(part, str):
            if not part:
                continue
            if found and isinstance(found[-1], str):
                found[-1] += part
                continue
        found.append(part)
    return found


def _compiled(
    parts: list[Part], quoted: str, server: str
) -> tuple[str, list[tuple[int, Field]], tuple[int, str] | None]:
    """The expression, its groups, and how much of both stands before the first text of a client that may run on."""
    pattern, fields = "", list[tuple[int, Field]]()
    safe: tuple[int, str] | None = None
    loose = 0
    for place, part in enumerate(parts):
        if isinstance(part, str):
            pattern += re.escape(part)
            continue
        name, field = part
        before = parts[place - 1] if place else ""
        after = parts[place + 1] if place + 1 < len(parts) else ""
        between = isinstance(before, str) and before.endswith('"') and isinstance(after, str) and after.startswith('"')
        inner = quoted if between else _unquoted(part, after, server)
        if field is not None and field.name == "status":
            inner = _STATUS
        loose += inner == _LOOSE
        if loose > 1:
            raise ConfigurationError(
                f"the {server} layout has several values that may hold spaces, and {name} stands in no quotes: "
                "put it in quotes, there and in the server's configuration"
            )
        if safe is None and _a_clients(part, between=between) and any(f.name == "status" for _, f in fields):
            safe = len(fields), pattern
        if field is None:
            pattern += f"(?:{inner})"
        else:
            fields.append((len(fields) + 1, field))
            pattern += f"({inner})"
    return pattern, fields, safe


def _a_clients(part: tuple[str, Field | None], *, between: bool) -> bool:
    """Whether a client may choose what stands there; what is of no use is told by how it is written."""
    name, field = part
    return field.free if field is not None else between or "{" in name or "(" in name[2:] or "http_" in name


def _unquoted(part: tuple[str, Field | None], after: Part, server: str) -> str:
    """The expression of a variable that stands in no quotes."""
    name, field = part
    if not isinstance(after, str):
        if field is None and after[1] is not None and after[1].name in ("target", "path"):
            return r'[^/"\s]*+'  # a path begins with a slash
        if field is not None and field.name == "path" and after[1] is not None and after[1].name == "query":
            return r'[^?"]*+'  # and a query string, where it is written so, with a question mark
        raise ConfigurationError(
            f"the {server} layout has nothing between {name} and {after[0]}: no line can be told apart by it. "
            "Put a space or quotes between them, there and in the server's configuration"
        )
    timed = field is not None and field.name in ("started", "ended") and " " in name  # as its own layout says
    spaced = timed or (field is not None and field.name in _SPACED)
    if not after:
        return ".*+" if spaced or field is None else r"\S*+"
    if after[0] != " " or not spaced:
        return f"[^{re.escape(after[0])}]*+"
    if field is not None and field.name == "request":  # told by its own words
        return r"\S*+(?: \S++)?(?: HTTP/[0-9.]++)?"
    return _LOOSE
