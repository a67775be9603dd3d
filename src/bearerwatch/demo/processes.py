"""The processes of the demonstration: started in sessions of their own, stopped by id, none left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bearerwatch.errors import BearerwatchError

__all__ = ["Fleet", "Process", "listening"]

_PATIENCE = 8.0
"""Seconds a process has to end after SIGTERM."""


@dataclass(slots=True)
class Process:
    """One started process; with its children it is a session."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.popen.poll() is None

    def tail(self, lines: int = 12) -> str:
        """The last it said."""
        with suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""


class Fleet:
    """Starts processes and, at the end, stops every one of them.

    Args:
        logs: folder for what each prints, ``<name>.log``.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._processes: list[Process] = []

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        inherit: Sequence[socket.socket] = (),
    ) -> Process:
        """Start *command*; *inherit* are sockets it keeps open, at the same descriptor numbers."""
        log = self._logs / f"{name}.log"
        with log.open("ab") as out:
            popen = subprocess.Popen(
                list(command),
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                pass_fds=[sock.fileno() for sock in inherit],
                start_new_session=True,
            )
        process = Process(name, popen, log)
        self._processes.append(process)
        return process

    def check(self) -> None:
        """Raise if one has ended by itself.

        Raises:
            BearerwatchError: names it and quotes the end of its log.
        """
        for process in self._processes:
            if not process.running:
                raise BearerwatchError(
                    f"{process.name} ended by itself with status {process.popen.returncode}; "
                    f"its log {process.log} ends:\n{process.tail()}"
                )

    def command_lines(self) -> str:
        """The command line of every process started and of each of its workers, one a line; Linux alone."""
        sessions = {process.popen.pid for process in self._processes}
        lines = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended meanwhile
                if os.getsid(int(folder.name)) in sessions:
                    words = (folder / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
                    lines.append(b" ".join(words).decode(errors="replace"))
        return "".join(f"{line}\n" for line in sorted(lines))

    def stop(self, *processes: Process) -> list[str]:
        """Stop *processes*, or all that are left, last started first.

        Returns:
            what went wrong: who had to be killed, or ended with an error.
        """
        chosen = list(processes) or list(self._processes)
        chosen.reverse()
        for process in chosen:
            if process.running:
                with suppress(ProcessLookupError):
                    process.popen.terminate()
        faults = []
        deadline = time.monotonic() + _PATIENCE
        for process in chosen:
            try:
                status = process.popen.wait(max(0.1, deadline - time.monotonic()))
                if status not in (0, -signal.SIGTERM):
                    faults.append(f"{process.name} ended with status {status}; see {process.log}")
            except subprocess.TimeoutExpired:
                faults.append(f"{process.name} did not stop within {_PATIENCE:.0f} s and was killed")
            # Its workers are in its session: whoever is left of them goes too.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.popen.pid, signal.SIGKILL)
            process.popen.wait()
            self._processes.remove(process)
        return faults


def listening() -> socket.socket:
    """A listening socket on a free loopback port.

    It is handed to the server process, so nobody can take the port in between, and requests sent before the
    server is ready wait instead of failing.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.bind(("127.0.0.1", 0))
    sock.listen(512)
    sock.set_inheritable(True)
    return sock
