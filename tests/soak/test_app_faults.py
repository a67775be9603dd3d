"""Fifty rounds of ``kill -9`` on the workers of real servers: DESIGN's one-event sentence, counted by the clients."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes import leaked
from watched.fleet import SERVERS, TOKENS, Server, Verdict, kill_rounds

pytestmark = pytest.mark.soak


@pytest.mark.timeout(900)
def test_fifty_rounds_of_killed_workers(tmp_path: Path) -> None:
    servers = [Server(name, tmp_path) for name in SERVERS]
    try:
        for server in servers:
            server.ready()
        seen = kill_rounds(servers, 50, seed=50, clients_each=4)
    finally:
        for server in servers:
            server.stop()
    for server in servers:
        verdict = Verdict(server, seen[server.name])
        print(  # noqa: T201 - quoted where the long runs are reported
            f"{server.name}: {server.killed} workers killed, {len(verdict.complete)} complete, {len(verdict.cut)} cut; "
            f"missing {len(verdict.missing)}, twice {len(verdict.twice)}, without a request {len(verdict.strangers)}"
        )
        assert verdict.holds(), vars(verdict)
        assert server.killed == 50
        assert len(verdict.complete) > 1000
        said = server.log.read_text(errors="replace")
        assert not [piece for token in TOKENS for piece in leaked(token, verdict.text, said)]
