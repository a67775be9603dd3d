"""What redaction costs a log record, and how fast files are looked through and rewritten, beside its peers."""

from __future__ import annotations

from collections.abc import Iterator

from bench import _redact_files, _redact_logging
from bench._rows import Measured

IDS = (*_redact_files.IDS, *_redact_logging.IDS)
METHOD = """\
*Records.* A logger with a `StreamHandler` that writes `%(asctime)s %(levelname)s %(name)s: %(message)s` to the null
device. Each way of redacting runs in a process of its own, and logs the same records without it and with it, in turn,
300 at a time; what is added is the difference of the medians, over all chunks of 60 records, of the process's
processor time. The processes take turns, all of it is repeated with new ones, and the figure is the median of the
repetitions. *A/A* is the bare logger against itself. Each record has values of its own, and each that leaks a new
token. Clean records are requests, tasks and queries; tricky ones speak of tokens, passwords and authorization and
hold none; leaking ones hold a JWT or an opaque token in an argument, in a dict or in the message. bearerwatch is
installed by `install_logging()`, with Hyperscan and, as `.pure`, without; the notes say how many tokens each of them
caught, or how many records it changed that hold none, and a run ends at once if bearerwatch lets one through or
changes a record that holds none. redact-secret is measured as a function of the finished line, in a formatter, and as
its own filter; secretmask in a formatter; logprivacy and python-log-redactor as their READMEs say.

*Files.* A log of 500 MB, made up: access lines, JSON, SQL, tasks and tracebacks with ids of spans, traces and tasks.
34 % of its lines have a word in them that stands before secrets, and one in a thousand has a secret. `bearerwatch
leaks FILE` and `bearerwatch leaks --redact FILE` are measured as whole processes, their start included, on one core,
and ripgrep as `rg --threads=1 --count FILE` and `rg --threads=1 --passthru --replace=[token] FILE`, once with the
forms that bearerwatch's own gate looks for, and once with seven that one might write by hand. The commands take
turns; the figure is the size of the file by the median processor time (user and system), input and output being in
memory. What ripgrep puts in a token's place is the same for all, where bearerwatch puts a keyed fingerprint and tells
the place of each. The run ends at once if bearerwatch misses a line that leaks, names another one, leaves a secret
behind or changes any other line. redact-secret and logprivacy are measured on the beginning of the log, without the
time they take to start. The limits are 1.8 times ripgrep's rate with bearerwatch's forms for looking through, and 2
times its rate for rewriting."""


def run(ids: list[str], *, quick: bool) -> Iterator[Measured]:
    """Measure *ids*, some of ``IDS``."""
    for part in (_redact_logging, _redact_files):
        mine = [name for name in ids if name in part.IDS]
        if mine:
            yield from part.measure(mine, quick=quick)
