"""Runs a command on one core and says what it took: ``<core> <file for its output> <command> <argument>...``.

A process of its own, and a small one: what a child has used at most is never told as less than what the process had
that started it (getrusage(2), ``ru_maxrss``).
"""

from __future__ import annotations

import json
import os
import sys
import time


def main(core: str, output: str, *command: str) -> None:
    """Print its exit code, its seconds by the clock and of processor time, and the most memory it had, in MB."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core)})
    began = time.perf_counter()
    child = os.posix_spawn(
        command[0],
        command,
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)],
    )
    _, status, used = os.wait4(child, 0)
    scale = 1 if sys.platform == "darwin" else 1024
    print(
        json.dumps(
            {
                "code": os.waitstatus_to_exitcode(status),
                "wall": time.perf_counter() - began,
                "cpu": used.ru_utime + used.ru_stime,
                "memory": used.ru_maxrss * scale / 1e6,
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
