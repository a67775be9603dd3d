"""One peer on one file, in a process of its own: prints how many seconds of processor time it took without its start.

``<peer> scan|rewrite <file> <new file>``.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["PEERS"]


def _redact_secret(what: str) -> Callable[[Path, Path], object]:
    """The whole text at once, which is quicker than line by line."""
    import redact_secret  # noqa: PLC0415

    def scan(path: Path, _new: Path) -> object:
        return redact_secret.scan(path.read_text(encoding="utf-8"))

    def rewrite(path: Path, new: Path) -> object:
        return new.write_text(redact_secret.scan_and_redact(path.read_text(encoding="utf-8")).text, encoding="utf-8")

    return scan if what == "scan" else rewrite


def _logprivacy(what: str) -> Callable[[Path, Path], object]:
    import logprivacy  # noqa: PLC0415

    all_of_it = dataclasses.replace(logprivacy.CleanerPolicy.default(), max_findings=10**7)  # it ends at a thousand

    def rewrite(path: Path, new: Path) -> object:
        return logprivacy.clean_file(path, output=new, policy=all_of_it)

    return (lambda path, _new: logprivacy.scan_file(path, policy=all_of_it)) if what == "scan" else rewrite


PEERS: dict[str, Callable[[str], Callable[[Path, Path], object]]] = {
    "redact-secret": _redact_secret,
    "logprivacy": _logprivacy,
}


def main(peer: str, what: str, path: str, new: str) -> None:
    """Do it once."""
    work = PEERS[peer](what)
    began = time.process_time()
    work(Path(path), Path(new))
    print(time.process_time() - began)


if __name__ == "__main__":
    main(*sys.argv[1:])
