"""Judges a redactor by the corpus.

A leak: any twelve characters in a row of the secret survive, as they are or in any spelling that leads back to them.
A false positive: a look-alike comes out other than it went in. Context lost: words that had to stay are gone.

Run as ``python judge.py [seed] [--texts]``.
"""

from __future__ import annotations

import base64
import html
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    __package__ = Path(__file__).resolve().parent.name

from .leaks import leaks
from .lookalikes import classed
from .values import JOSE_KINDS, OPAQUE_KINDS, Case

__all__ = ["Verdict", "judge", "leaked", "views"]

WINDOW = 12
_DEPTH = 3
_MOST_VIEWS = 400
_RUN = re.compile(r"[A-Za-z0-9+/_-]{16,}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){16,}")
_HEXDUMP = re.compile(r"^[0-9a-f]{8}  ((?:[0-9a-f]{2} ?)+)  \|.*\|$", re.MULTILINE)
_INVISIBLE = re.compile("(?:\x1b|\\^\\[|\\\\x1b|\\\\u001b)\\[[0-9;]*m|[\u200b-\u200f\u2060\ufeff\u00ad\x00]|<wbr>")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_SOFT = re.compile(r"=\r?\n|\\\r?\n")
_WRAP = re.compile(r"\r?\n(?:[ \t]+|# |[0-9-]{10} [0-9:]{8} [A-Z]+ \| )?")
_PIECES = re.compile(r"""['"][ \t]*\+?[ \t]*\r?\n[ \t]*['"]""")


def _unescape(text: str) -> str:
    def plain(match: re.Match[str]) -> str:
        code = match[1] or match[2]
        return chr(int(code, 16)) if code else match[3]

    return _ESCAPE.sub(plain, text)


def _unbase64(text: str) -> str:
    """Every run that may be base64, read from each of its four beginnings."""
    found = []
    for run in _RUN.findall(text):
        plain = run.replace("-", "+").replace("_", "/")
        for shift in range(4):
            body = plain[shift:]
            body = body[: len(body) - 1] if len(body) % 4 == 1 else body
            found.append(base64.b64decode(body + "=" * (-len(body) % 4)).decode("latin-1"))
    return "\n".join(found)


def _unhex(text: str) -> str:
    dumped = "".join(bytes.fromhex(row).decode("latin-1") for row in _HEXDUMP.findall(text))
    return "\n".join([dumped, *(bytes.fromhex(run).decode("latin-1") for run in _HEX.findall(text))])


_WAYS: tuple[Callable[[str], str], ...] = (
    unquote,
    html.unescape,
    _unescape,
    lambda text: _INVISIBLE.sub("", text),
    lambda text: _SOFT.sub("", text),
    lambda text: _WRAP.sub("", text),
    lambda text: _PIECES.sub("", text),
    lambda text: re.sub(r"=([0-9A-F]{2})", lambda m: chr(int(m[1], 16)), text),
    _unbase64,
    _unhex,
)


def views(text: str) -> Iterator[str]:
    """*text*, and what it reads when decoded, up to three decodings one in the other; the nearest come first."""
    seen = {text, ""}
    level = [text]
    yield text
    for _ in range(_DEPTH):
        following = []
        for one in level:
            for way in _WAYS:
                other = way(one)
                if other not in seen:
                    seen.add(other)
                    following.append(other)
                    yield other
                    if len(seen) > _MOST_VIEWS:
                        return
        level = following


def leaked(secret: str, text: str) -> str | None:
    """A piece of *secret* that is to be read in *text*, if there is one; a secret shorter than that counts whole."""
    size = min(WINDOW, len(secret))
    pieces = {secret[at : at + size] for at in range(len(secret) - size + 1)}
    for view in views(text):
        common = pieces.intersection(view[at : at + size] for at in range(len(view) - size + 1))
        if common:
            return min(common, key=secret.index)
    return None


class Verdict(NamedTuple):
    """What a redactor let through, and what it spoilt."""

    cases: list[Case]
    leaking: dict[str, str]
    """By the id of the case: what came out."""
    losing: dict[str, list[str]]
    """By the id of the case: the words that are gone."""
    restless: list[str]
    """Ids of cases where redacting twice is not redacting once."""
    clean: int
    false_positives: list[tuple[str, str, str]]
    """Class, line, and what came of it."""

    def recall(self, group: Callable[[Case], str]) -> dict[str, tuple[int, int]]:
        """By group: how many were found, of how many."""
        total = Counter(map(group, self.cases))
        missed = Counter(group(case) for case in self.cases if case.id in self.leaking)
        return {name: (count - missed[name], count) for name, count in total.items()}


def judge(redact: Callable[[str], str], seed: int = 1) -> Verdict:
    """What *redact* makes of the corpus of *seed*."""
    cases = list(leaks(seed))
    leaking: dict[str, str] = {}
    losing: dict[str, list[str]] = {}
    restless = []
    for case in cases:
        out = redact(case.text)
        if leaked(case.secret, out):
            leaking[case.id] = out
        if gone := [word for word in case.keep if word not in out]:
            losing[case.id] = gone
        if redact(out) != out:
            restless.append(case.id)
    lines = list(classed(seed))
    outs = [(name, line, redact(line)) for name, line in lines]
    wrong = [(name, line, out) for name, line, out in outs if out != line]
    return Verdict(cases, leaking, losing, restless, len(lines), wrong)


def _class(case: Case) -> str:
    return case.id.rsplit("/", 1)[0]


def _kind(case: Case) -> str:
    tail = re.sub(r"(?<=\D)-\d+$", "", case.id.rsplit("/", 1)[1])
    return next((kind for kind in (*JOSE_KINDS, *OPAQUE_KINDS) if tail.endswith(kind)), "other")


def report(verdict: Verdict, *, texts: bool) -> Iterator[str]:
    """The verdict, for reading."""
    free = [case for case in verdict.cases if case.context_free]
    missed = [case for case in free if case.id in verdict.leaking]
    all_missed, every = len(verdict.leaking), len(verdict.cases)
    yield f"recall {every - all_missed}/{every} ({1 - all_missed / every:.1%})"
    yield f"context-free {len(free) - len(missed)}/{len(free)} ({1 - len(missed) / len(free):.1%})"
    yield f"false positives {len(verdict.false_positives)}/{verdict.clean}"
    yield f"context lost {len(verdict.losing)}, not idempotent {len(verdict.restless)}"
    yield "\nfamily            found   of"
    for name, (found, count) in verdict.recall(lambda case: case.family).items():
        yield f"{name:16} {found:6} {count:4}  {found / count:.0%}"
    yield "\nkind of value (all families)"
    for name, (found, count) in sorted(verdict.recall(_kind).items(), key=lambda item: item[1][0] / item[1][1]):
        yield f"{name:16} {found:6} {count:4}  {found / count:.0%}"
    yield "\nclasses that leak"
    for name, (found, count) in verdict.recall(_class).items():
        if found < count:
            yield f"{name:44} {found:3}/{count}"
    yield "\nlooks alike, and changed"
    for name, line, out in verdict.false_positives:
        yield f"{name}: {line!r}\n    -> {out!r}"
    yield "\ncontext lost"
    for case_id, gone in verdict.losing.items():
        yield f"{case_id}: {gone}"
    if verdict.restless:
        yield f"\nnot idempotent: {verdict.restless}"
    if texts:
        yield "\nleaking"
        for case in verdict.cases:
            if case.id in verdict.leaking:
                yield f"{case.id}\n    in  {case.text!r}\n    out {verdict.leaking[case.id]!r}"


def main() -> None:
    """Judge the engine as it is, with nothing in flight."""
    from bearerwatch import redact_text

    seed = next((int(word) for word in sys.argv[1:] if word.isdigit()), 1)
    for line in report(judge(redact_text, seed), texts="--texts" in sys.argv):
        sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
