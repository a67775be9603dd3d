"""Megabytes a second in which a log is looked through and rewritten, beside ripgrep and other peers."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice, zip_longest
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench._redact_log import Log, generate
from bench._redact_made import leaked
from bench._redact_peer import PEERS
from bench._rows import Measured, Row

__all__ = ["FEW", "IDS", "measure", "patterns", "ripgrep"]

SCAN, REWRITE, MEMORY = IDS = ("redact.files.scan", "redact.files.rewrite", "redact.files.rss")
_LIMITS = {SCAN: 1.8, REWRITE: 2.0}
"""How many times as fast as ripgrep with the same patterns."""
_MEMORY = 100.0
_OURS, _SAME, _FEW = "bearerwatch", "ripgrep, our forms", "ripgrep, seven forms"
_SHARED = Path("/dev/shm")
_SAMPLE = 4_000_000
FEW = (
    r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*",
    r"(?i:bearer|token|jwt) [A-Za-z0-9._~+/-]{20,}",
    r"(?i:token|secret|passw(or)?d|api_?key)[\"']?[:=]\s?[\"']?[A-Za-z0-9._~+/-]{16,}",
    r"://[^\s:@/]+:[^\s@/]+@",
    r"gh[pousr]_[A-Za-z0-9]{36}",
    r"xox[abps]-[A-Za-z0-9-]{15,}",
    r"AKIA[A-Z0-9]{16}",
)
"""What one who knows the log's tokens might give ripgrep."""


class _Took(NamedTuple):
    """What a command took."""

    code: int
    wall: float
    """Seconds."""
    cpu: float
    memory: float
    """MB."""


def measure(ids: list[str], *, quick: bool) -> Iterator[Measured]:
    """Measure *ids*, some of ``IDS``."""
    rg = ripgrep()
    size, rounds = (50_000_000, 3) if quick else (500_000_000, 7)
    with tempfile.TemporaryDirectory(prefix="bearerwatch-bench-", dir=_roomy(4 * size)) as name:
        bench = _Bench(Path(name), rg, size)
        measured = [one for one in (SCAN, REWRITE) if one in ids or MEMORY in ids]
        for one in measured:
            row = bench.row(one, rounds)
            if one in ids:
                yield row
        if MEMORY in ids:
            yield bench.memory()


def ripgrep() -> str:
    """Where ripgrep is.

    Raises:
        RuntimeError: nowhere.
    """
    beside = Path(sys.executable).with_name("rg")
    found = str(beside) if beside.exists() else shutil.which("rg")
    if found is None:
        raise RuntimeError(
            "ripgrep is not there, and files are measured beside it: 'make bench' installs it where its wheel has a "
            "build for the machine; else install it from your distribution (Debian: apt install ripgrep)"
        )
    return found


def patterns() -> list[str]:
    """What we look for in lines, as ripgrep takes it: our forms, what hides other text, and what is escaped."""
    from bearerwatch.redact.coarse import expressions  # noqa: PLC0415
    from bearerwatch.redact.views import HIDING, NOISY  # noqa: PLC0415

    line_end = re.compile(r"\\r\?\\n|\\x0a|\[\\n\]|(?<=\|)\\n")  # which none of its lines has
    return [line_end.sub(r"\\r", one) for one in (*(one for _, one in expressions()), *HIDING, NOISY)]


class _Bench:
    """The log, and the commands that are measured on it."""

    def __init__(self, folder: Path, rg: str, size: int) -> None:
        self._folder = folder
        self._file, self._copy = folder / "shop.log", folder / "copy.log"
        self._log: Log = generate(self._file, size)
        self._sample = folder / "sample.log"
        with self._file.open("rb") as lines:
            self._sample.write_bytes(b"".join(lines.readlines(min(_SAMPLE, size))))
        self._out = folder / "out"
        self._core = max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BEARERWATCH_")}
        self._environment = {**kept, "BEARERWATCH_STATE": str(folder), "BEARERWATCH_KEYS": secrets.token_hex(32)}
        self._memory: dict[str, float] = {}
        # Of bytes, one thread, and with all the memory for automata that it could want.
        plain = [rg, "--no-config", "--threads=1", "--no-unicode", "--text"]
        plain += ["--regex-size-limit=1G", "--dfa-size-limit=1G"]
        self._rg: dict[str, list[str]] = {}
        for name, regexes in ((_SAME, patterns()), (_FEW, FEW)):
            listed = folder / f"{len(self._rg)}.patterns"
            listed.write_text("\n".join(regexes) + "\n", encoding="ascii")
            self._rg[name] = [*plain, f"--file={listed}"]

    def row(self, name: str, rounds: int) -> Measured:
        """One row."""
        work = self._scan if name == SCAN else self._rewrite
        took: dict[str, list[_Took]] = {tool: [] for tool in (_OURS, *self._rg)}
        for number in range(rounds + 1):
            for tool, taken in took.items():
                one = work(tool)
                if number:  # the first has read libraries and byte code
                    taken.append(one)
        ours = took[_OURS]
        self._memory[name] = max(one.memory for one in ours)
        rates = {tool: self._rate(median(one.cpu for one in taken)) for tool, taken in took.items()}
        for peer in PEERS:
            rates[peer] = self._peer(peer, "scan" if name == SCAN else "rewrite")
        spent, start = sorted(one.cpu for one in ours), self._start()
        how = (
            f"{self._log.bytes / 1e6:.0f} MB, {self._log.lines:,} lines, {len(self._log.leaks):,} of which leak, "
            f"in {'memory' if self._folder.is_relative_to(_SHARED) else 'the page cache'}; {rounds} rounds; ours "
            f"{median(spent):.2f} s ({spent[0]:.2f} to {spent[-1]:.2f} s; {median(one.wall for one in ours):.2f} s by "
            f"the clock), of which it takes {start:.2f} s to start: without that, "
            f"{self._rate(max(median(spent) - start, 0.001)):,.0f} MB/s; {self._counted()}; redact-secret and "
            f"logprivacy on the first {self._sample.stat().st_size / 1e6:.0f} MB"
        )
        mine = rates.pop(_OURS)
        limit = round(_LIMITS[name] * rates[_SAME], 1)
        return Measured(row=Row(id=name, unit="MB/s", ours=mine, peers=rates, limit=limit), how=how)

    def memory(self) -> Measured:
        """The most memory ours had."""
        scan, rewrite = self._memory[SCAN], self._memory[REWRITE]
        how = (
            f"the most that was resident, by the system's account, of all rounds on {self._log.bytes / 1e6:.0f} MB: "
            f"{scan:.0f} MB looking through, {rewrite:.0f} MB rewriting"
        )
        return Measured(row=Row(id=MEMORY, unit="MB", ours=round(max(scan, rewrite), 1), limit=_MEMORY), how=how)

    def _rate(self, seconds: float) -> float:
        return round(self._log.bytes / 1e6 / seconds, 1)

    def _scan(self, tool: str) -> _Took:
        if tool == _OURS:
            took = self._ours(str(self._file))
            found = {int(line.split(":", 2)[1]) for line in self._out.read_text(encoding="utf-8").splitlines()}
            if found != self._log.leaks.keys():
                missed, more = len(self._log.leaks.keys() - found), len(found - self._log.leaks.keys())
                raise RuntimeError(f"{missed} lines that leak were not found, and {more} were that do not")
            return took
        return self._run([*self._rg[tool], "--count", str(self._file)], 0)

    def _rewrite(self, tool: str) -> _Took:
        if tool != _OURS:
            return self._run([*self._rg[tool], "--passthru", "--replace=[token]", str(self._file)], 0)
        shutil.copyfile(self._file, self._copy)
        took = self._ours("--redact", str(self._copy))
        self._compare()
        self._copy.unlink()
        return took

    def _compare(self) -> None:
        """Fail unless the new file is the old one but for the secrets."""
        leaks = self._log.leaks
        with self._file.open("rb") as old, self._copy.open("rb") as new:
            for number, (before, after) in enumerate(zip_longest(old, new), 1):
                if before != after and number not in leaks:
                    raise RuntimeError(f"line {number}, which holds no secret, is not what it was")
                if number in leaks and (after is None or leaked(leaks[number], after.decode())):
                    raise RuntimeError(f"line {number} still holds its secret")

    def _start(self) -> float:
        """Seconds that ours takes where there is next to nothing to do."""
        little = self._folder / "little.log"
        with self._file.open("rb") as lines:
            little.write_bytes(b"".join(islice(lines, 10)))
        return median(self._ours(str(little), code=None).cpu for _ in range(5))

    def _counted(self) -> str:
        """How many lines each ripgrep finds."""
        counts = []
        for tool, command in self._rg.items():
            self._run([*command, "--count", str(self._file)], 0)
            counts.append(f"{tool} finds {int(self._out.read_text(encoding='ascii')):,} lines")
        return ", ".join(counts)

    def _ours(self, *arguments: str, code: int | None = 1) -> _Took:
        return self._run([sys.executable, "-m", "bearerwatch.cli", "leaks", "--quiet", *arguments], code)

    def _run(self, command: list[str], code: int | None) -> _Took:
        launcher = [sys.executable, "-S", str(Path(__file__).with_name("_timed.py")), str(self._core), str(self._out)]
        done = subprocess.run(
            [*launcher, *command], stdout=subprocess.PIPE, text=True, check=True, env=self._environment
        )
        took = _Took(**json.loads(done.stdout))
        if code is not None and took.code != code:
            raise RuntimeError(f"{Path(command[0]).name} ended with {took.code}, not {code}; see what it said above")
        return took

    def _peer(self, peer: str, what: str) -> float:
        command = [sys.executable, "-m", "bench._redact_peer", peer, what, str(self._sample), str(self._out)]
        seconds = []
        for _ in range(3):
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=self._environment)
            seconds.append(float(done.stdout.splitlines()[-1]))
        return round(self._sample.stat().st_size / 1e6 / median(seconds), 1)


def _roomy(size: int) -> str | None:
    """A folder in memory where that has room, so that no disk is measured."""
    return str(_SHARED) if _SHARED.is_dir() and shutil.disk_usage(_SHARED).free > size else None
