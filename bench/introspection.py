"""Microseconds of an introspection that need not ask, for its answer is remembered."""

from __future__ import annotations

import http.server
import json
import random
import string
import threading
from collections.abc import Iterator
from statistics import median
from time import process_time_ns

from bench._rows import Measured, Row

IDS = ("introspection.asked", "introspection.remembered")
METHOD = """\
`introspection.remembered` is the verdict on one of 200 opaque tokens of 40 characters whose answers are remembered, in
turns: the median processor time. `introspection.asked` is the same for tokens never seen before, against a small HTTP
server of Python in a thread of the same process, whose time is in the figure, over one kept connection."""

_TOKENS = 200


class _Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps({"active": True, "aud": "orders", "sub": "u-1", "scope": "read"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def run(ids: list[str], *, quick: bool) -> Iterator[Measured]:
    """Measure *ids*, some of ``IDS``."""
    from bearerwatch.verify.introspection import ClientSecretBasic, Introspection  # noqa: PLC0415 - not for --list

    turns = 20 if quick else 300
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    introspection = Introspection(
        f"http://127.0.0.1:{server.server_address[1]}/", auth=ClientSecretBasic("a", "b"), audience="orders", ttl=3600
    )
    draw = random.Random(1)

    def tokens() -> list[str]:
        return ["".join(draw.choices(string.ascii_letters, k=40)) for _ in range(_TOKENS)]

    known = tokens()
    for token in known:
        if not introspection(token).accepted:
            raise RuntimeError("a good token was refused")
    for name in ids:
        times: list[float] = []
        for _ in range(turns if name.endswith("remembered") else max(turns // 30, 3)):
            asked = known if name.endswith("remembered") else tokens()
            began = process_time_ns()
            for token in asked:
                introspection(token)
            times.append((process_time_ns() - began) / 1000 / _TOKENS)
        row = Row(id=name, unit="µs", ours=round(median(times), 2))
        yield Measured(row=row, how=f"{len(times)} turns of {_TOKENS}; {min(times):.2f} to {max(times):.2f} µs")
    introspection.close()
    server.shutdown()
    server.server_close()
