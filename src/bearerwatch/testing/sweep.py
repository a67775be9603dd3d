"""The canary sweep: after a run, is any token used in it to be read anywhere it should not be?

    from bearerwatch.testing import Sweep

    report = Sweep({"admin": token, "guessed 1": guess})(["state/", "logs/", "sqlite:///app.db"])
    assert report.clean, report

What is searched for: any 12 consecutive characters of every token; in clear, percent-encoded, JSON-escaped
(and in some more escapes), in base64 at all three alignments and both alphabets. Where: folders and files as
they stand, and then again decoded: Parquet columns, SQLite tables, gzip, bzip2, xz, zstd, zip and tar, nested
up to five deep; other databases by URL. What is left out is listed in every report, and is little: see
:attr:`Report.excluded`.

A search that finds nothing proves nothing unless it would have found something. :func:`prove` therefore
plants tokens, one per kind of place, sweeps everything, and is content only if each planted token was found,
and no other.
"""

from __future__ import annotations

import os
import stat
import tempfile
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bearerwatch.testing.needles import WINDOW, Match, Needles
from bearerwatch.testing.plants import Planted, plant
from bearerwatch.testing.unpack import Tables, database, members
from bearerwatch.testing.views import views

__all__ = ["Finding", "Proof", "Report", "Sweep", "Unread", "prove"]

_CHUNK = 4 << 20
_OVERLAP = 4096
_DEPTH = 5
_UNPACK_LIMIT = 4 << 30
_PER_PLACE = 10
"""Findings kept per place, token and form: a log full of one token is told by its first ten lines."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A token, or a part of one, where it should not be. Says which token by its label, never by its text."""

    place: str
    """Path or URL; inside an archive ``path!member``, inside a table ``path#table.column row n``."""
    offset: int
    """Byte offset in that place."""
    label: str
    form: str
    """How it stood there: ``clear``, ``base64``, ``percent-encoded``, ``escaped``, ..."""
    length: int
    """Characters found in one run."""

    def __str__(self) -> str:
        return f"{self.place}:{self.offset}: {self.length} characters of token {self.label!r} ({self.form})"


@dataclass(frozen=True, slots=True, order=True)
class Unread:
    """A place that could not be searched, or not be decoded, and why."""

    place: str
    why: str

    def __str__(self) -> str:
        return f"{self.place}: {self.why}"


@dataclass(slots=True)
class Report:
    """What a sweep searched and found."""

    tokens: int
    """How many tokens were looked for."""
    findings: list[Finding] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    files: int = 0
    """Files searched, members of archives included."""
    searched: int = 0
    """Bytes searched, decoded ones included."""
    seconds: float = 0.0
    excluded: tuple[str, ...] = ()
    """What was left out and why."""

    @property
    def clean(self) -> bool:
        """Nothing found, and everything read."""
        return not self.findings and not self.unread

    def to_dict(self) -> dict[str, Any]:
        """For ``json.dumps``."""
        return {
            "clean": self.clean,
            "tokens": self.tokens,
            "files": self.files,
            "bytes": self.searched,
            "seconds": round(self.seconds, 3),
            "findings": [str(f) for f in self.findings],
            "unread": [str(u) for u in self.unread],
            "excluded": list(self.excluded),
        }

    def __str__(self) -> str:
        head = f"{self.tokens} tokens looked for in {self.files} files, {self.searched} bytes"
        lines = [*map(str, self.findings), *(f"not read: {u}" for u in self.unread)]
        return "\n".join([head, *(lines or ["none found"])])


class Sweep:
    """Looks for tokens in places.

    Args:
        tokens: label -> token, everyone used in the run: good ones, guessed ones, expired ones.
        public: texts that are no secret; windows that occur in them do not count.

    Raises:
        ValueError: a token is shorter than a window.
    """

    def __init__(self, tokens: Mapping[str, str], *, public: Iterable[str] = ()) -> None:
        shown = tuple(public)
        self._needles = Needles(tokens, public=shown)
        self._count = len(tokens)
        self._excluded = [
            f"{self._needles.public_windows} windows wholly inside the JOSE header segment of a JWT"
            + (", or inside the texts named as public" if shown else "")
            + f": the same public text in every token (of {WINDOW} characters each)"
        ]

    def __repr__(self) -> str:
        return f"<Sweep for {self._count} tokens>"

    def __call__(self, places: Iterable[Path | str], *, exclude: Mapping[Path, str] | None = None) -> Report:
        """Search *places*.

        Args:
            places: files, folders (walked without following symbolic links), database URLs.
            exclude: path -> reason. Not searched; listed in the report.

        Returns:
            the report. A place that does not exist or cannot be read is in :attr:`Report.unread`.
        """
        begun = time.monotonic()
        left_out = {path.resolve(): reason for path, reason in (exclude or {}).items()}
        report = Report(self._count)
        report.excluded = (*self._excluded, *(f"{path}: {why}" for path, why in sorted(left_out.items())))
        with Tables() as tables:
            for place in places:
                if isinstance(place, str) and "://" in place:
                    self._database(place, report)
                else:
                    for path in _files(Path(place), left_out, report):
                        self._file(path, str(path), report, tables)
        report.findings = sorted(set(report.findings))
        report.unread.sort()
        report.seconds = time.monotonic() - begun
        return report

    def _file(self, path: Path, name: str, report: Report, tables: Tables, depth: int = 0) -> None:
        try:
            self._raw(path, name, report)
            report.files += 1
            with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
                scratch = Path(folder)
                for batch in tables(path, scratch):
                    self._rows(name, batch.text, batch.marks, report)
                for member in members(path, scratch, _UNPACK_LIMIT):
                    inner = f"{name}!{member.name}"
                    if depth == _DEPTH:
                        report.unread.append(Unread(inner, f"an archive nested more than {_DEPTH} deep"))
                    else:
                        self._file(member.path, inner, report, tables, depth + 1)
        except OSError as error:
            report.unread.append(Unread(name, error.strerror or type(error).__name__))
        except ValueError as error:
            report.unread.append(Unread(name, str(error)))

    def _raw(self, path: Path, name: str, report: Report) -> None:
        kept: Counter[tuple[str, str]] = Counter()
        ends: dict[tuple[str, str], int] = {}
        with path.open("rb") as file:
            base, tail = 0, b""
            while block := file.read(_CHUNK):
                report.searched += len(block)
                text = tail + block
                for offset, length, label, form in self._matches(text):
                    start = base + offset
                    # Chunks overlap: this one may have been found at the end of the chunk before.
                    if start < ends.get((label, form), -1) or kept[label, form] == _PER_PLACE:
                        continue
                    ends[label, form] = start + length
                    kept[label, form] += 1
                    report.findings.append(Finding(name, start, label, form, length))
                tail = text[-_OVERLAP:]
                base += len(text) - len(tail)

    def _rows(self, name: str, text: bytes, marks: list[tuple[int, str]], report: Report) -> None:
        report.searched += len(text)
        kept: Counter[tuple[str, str]] = Counter()
        for offset, length, label, form in self._matches(text):
            kept[label, form] += 1
            if kept[label, form] > _PER_PLACE:
                continue
            start, value = marks[bisect_right(marks, offset, key=lambda mark: mark[0]) - 1]
            report.findings.append(Finding(f"{name}#{value}", offset - start, label, form, length))

    def _database(self, url: str, report: Report) -> None:
        shown = _without_password(url)
        try:
            for batch in database(url):
                self._rows(shown, batch.text, batch.marks, report)
        except ValueError as error:
            report.unread.append(Unread(shown, str(error)))

    def _matches(self, text: bytes) -> Iterator[tuple[int, int, str, str]]:
        """(offset in *text* as it stands, length, label, form) of each run found in any reading of it."""
        for view in views(text):
            for start, stop in view.spans:
                for match in _longest(self._needles(view.text, start, stop)):
                    if not view.fresh(match.start, match.start + match.length):
                        continue
                    form = match.form if not view.name else view.name
                    if view.name and match.form != "clear":
                        form = f"{view.name}, {match.form}"
                    yield view.origin(match.start), match.length, match.label, form


def _longest(matches: Iterable[Match]) -> Iterator[Match]:
    """Of runs that lie within one another the longest: tokens of one issuer begin alike."""
    past = -1
    for match in sorted(matches, key=lambda match: (match.start, -match.length)):
        if match.start + match.length > past:
            past = match.start + match.length
            yield match


@dataclass(slots=True)
class Proof:
    """A sweep whose own eyesight was tested in the same run."""

    report: Report
    planted: list[Planted]
    missed: list[Planted]
    """Planted tokens the sweep did not find: what it says of other places is then worth nothing."""
    leaks: list[Finding]
    """Every finding that is not a planted token in its own place."""

    @property
    def holds(self) -> bool:
        """Every planted token was found, and no other, and every place was read."""
        return not self.missed and not self.leaks and not self.report.unread

    def to_dict(self) -> dict[str, Any]:
        """For ``json.dumps``."""
        return {
            "holds": self.holds,
            "planted": len(self.planted),
            "missed": [p.kind for p in self.missed],
            "leaks": [str(f) for f in self.leaks],
            "unread": [str(u) for u in self.report.unread],
            "tokens": self.report.tokens - len(self.planted),
            "files": self.report.files,
            "bytes": self.report.searched,
            "seconds": round(self.report.seconds, 3),
            "excluded": list(self.report.excluded),
        }


def prove(
    tokens: Mapping[str, str],
    places: Iterable[Path | str],
    *,
    plants: Path,
    public: Iterable[str] = (),
    exclude: Mapping[Path, str] | None = None,
) -> Proof:
    """Plant a fresh token in every kind of place under *plants*, then sweep *places* and *plants* for all.

    Args:
        tokens: as for :class:`Sweep`.
        places: as for :class:`Sweep`; *plants* may lie inside one of them or apart.
        plants: a folder to plant in. Made anew; what is planted stays there to be looked at.
        public: as for :class:`Sweep`.
        exclude: as for :class:`Sweep`.
    """
    planted = plant(plants)
    sweep = Sweep({**tokens, **{p.label: p.token for p in planted}}, public=public)
    report = sweep([*places, plants], exclude=exclude)
    own = {p.label: p for p in planted}
    seen: set[str] = set()
    leaks = []
    for finding in report.findings:
        one = own.get(finding.label)
        if one is None or not finding.place.startswith(str(one.place)):
            leaks.append(finding)
        elif not one.inside or finding.place != str(one.place):
            seen.add(finding.label)
    return Proof(report, planted, [p for p in planted if p.label not in seen], leaks)


def _files(place: Path, left_out: Mapping[Path, str], report: Report) -> Iterator[Path]:
    try:
        mode = place.lstat().st_mode
    except OSError as error:
        report.unread.append(Unread(str(place), error.strerror or type(error).__name__))
        return
    if place.resolve() in left_out:
        return
    if stat.S_ISREG(mode):  # lstat: a symbolic link is neither
        yield place
    elif stat.S_ISDIR(mode):
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError as error:
            report.unread.append(Unread(str(place), error.strerror or type(error).__name__))
            return
        for entry in entries:
            yield from _files(Path(entry.path), left_out, report)


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    if not at:
        return url
    scheme, _, login = head.partition("://")
    return f"{scheme}://{login.partition(':')[0]}:***@{tail}"
