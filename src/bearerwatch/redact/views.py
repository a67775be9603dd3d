"""Text as whoever wrote it meant it: escapes undone, colours and soft wraps taken out, each character with its place.

A token is no less a token for being percent-encoded, escaped for JSON or HTML, coloured, or broken over lines. No
pattern can allow for all of that and for all that can be piled up of it. So where a text has any, its tokens are
looked for in a *view* of it too, and what is found there is mapped back.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from bearerwatch.redact.madeup import made_up

__all__ = [
    "HIDING",
    "HIDING_LOOSELY",
    "LISTED",
    "NOISY",
    "View",
    "dumped",
    "listed",
    "noisy",
    "undone",
    "view_of",
    "wrapped",
]

_MOST_ROUNDS = 3
_MOST_RUNS = 64
_LONGEST_RUN = 16_384
_MOST_JUDGED = 64
_LEAST_HEAD = 8
"""Characters that a token has at least where its first line ends; text is wrapped at hyphens, too, so others may have
fewer."""
_SHORTEST_RUN = "x" * 32
_KINDS = bytes(
    ord("x") if (chr(byte).isalnum() and byte < 128) or chr(byte) in "+/_-" else ord(" ") for byte in range(256)
)
_SHORTEST_HEX = 48
_DUMP = re.compile(
    r"(?<![^\s>])(?:0x)?[0-9A-Fa-f]{4,8}:?[ \t]{1,4}"
    r"(?P<hex>(?:[0-9A-Fa-f]{2}[ \t]{0,2}){1,16})(?<=[ \t])[ \t]*"
    r"(?:\|[^\r\n]{0,16}\||[^\s|][^\r\n]{0,15}(?=\r?\n|\Z))"
)
_CONTROLS = str.maketrans("", "", "\r\n\t\0\x01")
"""What text has beside what can be printed; SASL's messages part their fields so (RFC 4616 §2, RFC 7628 §3.1)."""
_HEX = re.compile(rf"[0-9a-fA-F]{{{_SHORTEST_HEX},}}\Z")
_LIST = re.compile(
    r"(?<![0-9A-Za-z.:-])(?:(?P<hex>(?P<zero>(?:0x)?)[02-7][0-9A-Fa-f](?P<apart>[ :-]|, ?)"
    r"(?:(?P=zero)[02-7][0-9A-Fa-f](?P=apart)){19,4000}(?P=zero)[02-7][0-9A-Fa-f])"
    r"|(?P<decimal>(?:[1-9][0-9]|1[0-2][0-9])(?P<comma> |, ?)(?:(?:[1-9][0-9]|1[0-2][0-9])(?P=comma)){19,4000}"
    r"(?:1[0-2][0-9]|[1-9][0-9])))(?![0-9A-Za-z])"
)
_HEX_LETTERS = r"[0-9A-Fa-f](?:[ :-]|, ?)(?:0x)?[67][0-9A-Fa-f](?:[ :-]|, ?)(?:0x)?[67]"
# Each alternative begins with a character of its own: to those the engine of ``re`` skips.
_OF_LETTERS = re.compile(rf"6{_HEX_LETTERS}|7{_HEX_LETTERS}|1[0-2][0-9](?:, ?| )1[0-2][0-9](?:, ?| )1[0-2][0-9]")
"""Three small letters in a row, as text of any length has."""
LISTED = (
    *("xx xx xx xx xx xx", "xx  xx  xx  xx  xx", "xxxx xxxx xxxx xxxx", "xxxx  xxxx  xxxx  xxxx"),
    *("xxx xxx xxx", "xxx  xxx  xxx"),
)
"""Which of them is in every list that :func:`listed` reads, where ``x`` stands for digits and letters: of those in hex,
and of those in decimal."""
_STANDARD = str.maketrans("-_", "+/")
# Its first character alone is a class, which is what the engine of ``re`` skips to quickly.
_NOISE = re.compile(
    r"[%\\&#^\x00\x1b\u00ad\u200b-\u200d\u2060\ufeff\u2018-\u201f\uff01-\uff5e](?:"
    r"(?<=%)(?P<percent>[0-9A-Fa-f]{2})"
    r"|(?<=\\)(?:u(?P<four>[0-9A-Fa-f]{4})|x(?P<two>[0-9A-Fa-f]{2})|(?P<octal>[01][0-7]{2})|(?P<escape>[\"'\\/nrt ]))"
    r"|(?<=&)(?:(?P<entity>quot|amp|lt|gt|apos|nbsp)|\#(?P<decimal>[0-9]{1,5})|\#[xX](?P<hex>[0-9A-Fa-f]{1,4}));"
    r"|(?<=\#)(?P<syslog>0[0-7]{2})"
    r"|(?<=\x1b)\[[0-9;:]{0,20}[A-Za-z]|(?<=\^)\[\[[0-9;]{0,20}m"
    r"|(?<=[\x00\u00ad\u200b-\u200d\u2060\ufeff])"
    r"|(?P<wide>(?<=[\u2018-\u201f\uff01-\uff5e]))"
    r")"
)
_ENTITIES = {"quot": '"', "amp": "&", "lt": "<", "gt": ">", "apos": "'", "nbsp": " "}
_BASES = {"decimal": 10, "octal": 8, "syslog": 8}
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_WIDE = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)} | {
    code: "'" if code < 0x201C else '"' for code in range(0x2018, 0x2020)
}
"""Full-width forms, and typographic quotes."""
_RUN = r"[A-Za-z0-9._~+/-]"
_PREFIX = r"(?:[0-9][0-9T:.,Z -]{17,30}[A-Z]{0,8}[ |\]-]{1,4}|\# |[ \t>|]{0,16})"
# A string that goes on in the next line as another one; or a run that does, up to what is left of it in the last one.
_WRAP = re.compile(
    r"(?P<join>[\"'][ \t]?(?:\+[ \t]?\r?\n[ \t]{0,40}|\r?\n[ \t]{1,40})[\"'])"
    rf"|(?P<head>{_RUN}{{8,}}+|(?<=\n){_RUN}{{1,6}}+(?<=-))(?P<wrap>[=\\]?\r?\n{_PREFIX})"
    rf"(?=(?:{_RUN}{{1,6}}-\r?\n)?(?P<tail>{_RUN}{{8,}})|{_RUN}{{1,7}}={{0,2}}[\"'\]}})>;,]{{0,8}}\s*(?:\Z|\r?\n))"
    rf"|{_RUN}{{8,}}+"  # that is not wrapped: or it would be looked at anew from each of its characters
)


class View(NamedTuple):
    """A text without its noise."""

    text: str
    begins: list[int]
    """For each of its characters, where in the original it begins."""
    ends: list[int]
    """For each of its characters, where in the original it ends."""

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The stretch of the original that *start* to *end* of the view are of."""
        return self.begins[start], self.ends[end - 1]


def undone(text: str, *, joined: bool = True) -> str | None:
    """*text* as its view has it; ``None`` if it has no noise. Several times quicker than making the view.

    Args:
        text: what may have noise.
        joined: whether lines are joined over which a token goes on.
    """
    result = text
    for _ in range(_MOST_ROUNDS):
        if not noisy(result):
            break
        before, result = result, _NOISE.sub(_meaning, result)
        if result == before:
            break
    if joined and "\n" in result:
        result = _unwrap(result)
    return None if result == text else result


NOISY = (
    r"%[0-9A-Fa-f]{2}|\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[01][0-7]{2}|[\"'\\/nrt ])|#0[0-7]{2}|\x00"
    r"|&(?:(?:quot|amp|lt|gt|apos|nbsp)|#[0-9]{1,5}|#[xX][0-9A-Fa-f]{1,4});|\x1b\[[0-9;:]*[A-Za-z]|\^\[\[[0-9;]*m"
)
"""What in a line of ASCII stands for something else; :func:`undone` leaves one line without any as it is."""
_OF_RUNS = "[A-Za-z0-9+/_-]"
_GROUP = rf"[A-Za-f][A-HQ-Xg-nw-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589]{_OF_RUNS}"
_LISTS = (
    r"[67][0-9A-Fa-f](?:[ :-]|, ?)(?:0x)?[67][0-9A-Fa-f](?:[ :-]|, ?)(?:0x)?[67][0-9A-Fa-f]",
    r"1[0-2][0-9](?:, ?| )1[0-2][0-9](?:, ?| )1[0-2][0-9]",
)
HIDING = (
    tuple(
        rf"(?:^|[^{_OF_RUNS[1:]}){run}"
        for run in (rf"{_OF_RUNS}{{0,3}}(?:{_GROUP}){{7}}", r"(?:[02-7][0-9A-Fa-f]){24}")
    )
    + _LISTS
)
"""How every run begins that :func:`wrapped` unwraps: base64 and hex of ASCII, of which every eighth bit is zero;
and every list of bytes that :func:`listed` reads."""
HIDING_LOOSELY = (rf"(?:{_GROUP}){{7}}", r"[0-9A-Fa-f]{48}", *_LISTS)
"""What is in each of them: that tells less, and in much text Hyperscan looks for it in half the time."""


def noisy(text: str) -> bool:
    """Whether *text* might mean something else than it says."""
    return (
        "%" in text
        or "\\" in text
        or "\n" in text
        or "&" in text
        or "\x1b" in text
        or not text.isascii()
        or "\x00" in text
        or "#0" in text
        or "^[" in text
    )


def _unwrap(text: str) -> str:
    pieces: list[str] = []
    done = 0
    for start, end, _ in _wraps(text):
        pieces.append(text[done:start])
        done = end
    pieces.append(text[done:])
    return "".join(pieces)


def _wraps(text: str) -> Iterator[tuple[int, int, str]]:
    """The ends of lines in *text* over which a token goes on: on both sides it looks made up.

    A last line that is short is taken for the rest of a token only if it is not the second one: after a token whose
    line ends, "ok" may well be a line of its own.
    """
    wrapped_to = -1
    for match in _WRAP.finditer(text):
        if match["join"] is not None:
            yield *match.span("join"), ""
            continue
        if match["wrap"] is None:
            continue
        head, tail = match["head"], match["tail"]
        if tail is None or len(head) < _LEAST_HEAD:
            goes_on = match.start("head") == wrapped_to
        else:
            goes_on = (made_up(head[-_MOST_JUDGED:]) or "eyJ" in head) and made_up(tail[:_MOST_JUDGED])
        if goes_on:
            wrapped_to = match.end("wrap")
            yield *match.span("wrap"), ""


def view_of(text: str, *, joined: bool = True) -> View | None:
    """*text* without its noise; ``None`` if it has none. *joined* is as with :func:`undone`."""
    view: View | None = None
    for _ in range(_MOST_ROUNDS):
        now = text if view is None else view.text
        found = _cut(now, ((*match.span(), _meaning(match)) for match in _NOISE.finditer(now))) if noisy(now) else None
        if found is None:
            break
        view = found if view is None else _through(view, found)
    now = text if view is None else view.text
    found = _cut(now, _wraps(now)) if joined and "\n" in now else None
    if found is not None:
        view = found if view is None else _through(view, found)
    return view


def wrapped(text: str, known: Sequence[tuple[int, int]] = ()) -> Iterator[tuple[int, int, str]]:
    """Runs of *text* that are base64 (RFC 4648 §4, §5) or hex of other text: ``(start, end, that text)``.

    Those within *known* stretches are left out.
    """
    kinds = text.encode("ascii", "replace").translate(_KINDS).decode()
    stop = number = 0
    while number < _MOST_RUNS and (start := kinds.find(_SHORTEST_RUN, stop)) >= 0:
        stop = kinds.find(" ", start)
        if stop < 0:
            stop = len(kinds)
        end = stop + (2 if text.startswith("==", stop) else text.startswith("=", stop))
        if _within(start, end, known):
            continue
        run = text[start : min(end, start + _LONGEST_RUN)]
        low = run.lower()
        if run == low and len(run) < _SHORTEST_HEX:
            continue
        if _HEX.match(run):
            found = _plain(bytes.fromhex(run[: len(run) // 2 * 2]))
            if found is not None:
                yield start, end, found
        elif run not in (low, run.upper()):
            number += 1
            for shift in range(4):  # it may begin amid a group of four
                body = run[shift:].rstrip("=").translate(_STANDARD)
                body = body[: len(body) - 1] if len(body) % 4 == 1 else body
                found = _plain(b64decode(body + "=" * (-len(body) % 4)))
                if found is not None:
                    yield start, end, found
                    break


def dumped(text: str) -> Iterator[tuple[int, int, str]]:
    """Hex dumps in *text*, as hexdump, xxd and tcpdump make them: ``(start, end, what was dumped)``."""
    data, start, end = b"", 0, -1
    for match in _DUMP.finditer(text):
        if data and text[end : match.start()].strip():
            yield start, end, data.decode("latin-1")
            data = b""
        start = start if data else match.start()
        data += bytes.fromhex("".join(match["hex"].split()))
        end = match.end()
    if data:
        yield start, end, data.decode("latin-1")


def listed(text: str) -> Iterator[tuple[int, int, str]]:
    """Lists of bytes in *text*, in hex or decimal, as debuggers and programs print them: as :func:`wrapped`."""
    if not _OF_LETTERS.search(text):
        return
    for match in _LIST.finditer(text):
        run = match[0]
        if not _OF_LETTERS.search(run):
            continue
        if match["hex"]:
            found = _plain(bytes.fromhex("".join(run.split(match["apart"])).replace("0x", "")))
        else:
            found = _plain(bytes(map(int, run.split(match["comma"]))))
        if found is not None:
            yield *match.span(), found


def _within(start: int, end: int, known: Sequence[tuple[int, int]]) -> bool:
    for begin, stop in known:  # noqa: SIM110 - asked of each part of each JWT: a generator takes several times as long
        if begin <= start and end <= stop:
            return True
    return False


def _plain(data: bytes) -> str | None:
    """*data* as text, if it is some."""
    if not data.isascii():
        return None
    text = data.decode("ascii")
    return text if text.translate(_CONTROLS).isprintable() else None


def _through(first: View, then: View) -> View:
    return View(then.text, [first.begins[at] for at in then.begins], [first.ends[at - 1] for at in then.ends])


def _cut(text: str, changes: Iterable[tuple[int, int, str]]) -> View | None:
    """*text* with *changes*: ``(start, end, the one character it stands for or none)``, in order and apart."""
    pieces: list[str] = []
    begins: list[int] = []
    ends: list[int] = []
    done = 0
    for start, end, meaning in changes:
        pieces += (text[done:start], meaning)
        begins.extend(range(done, start))
        ends.extend(range(done + 1, start + 1))
        if meaning:
            begins.append(start)
            ends.append(end)
        done = end
    if not pieces:
        return None
    pieces.append(text[done:])
    begins.extend(range(done, len(text)))
    ends.extend(range(done + 1, len(text) + 1))
    return View("".join(pieces), begins, ends)


def _meaning(match: re.Match[str]) -> str:
    name = match.lastgroup
    if name is None:
        return ""
    if name == "wide":
        return _WIDE[ord(match[0])]
    value = match[name]
    if name == "escape":
        return _ESCAPES.get(value, value)
    if name == "entity":
        return _ENTITIES[value]
    return chr(int(value, _BASES.get(name, 16)))
