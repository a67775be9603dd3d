"""How fast access logs become events, format by format, beside nothing but telling their fields apart."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from statistics import median

from bearerwatch.fingerprint import KeyRing, use
from bearerwatch.ingest.access import open_format
from bearerwatch.ingest.access._decoder import AccessDecoder
from bearerwatch.ingest.access._events import AccessEvents
from bearerwatch.ingest.decode import Decoder
from bearerwatch.ingest.lines import RawLine
from bearerwatch.settings import Settings
from bench._rows import Measured, Row

METHOD = """\
Lines of one server's log, made up: 2,000 callers, 5,000 paths with a query string, 40 user agents, some refused. One
process on one core takes them from bytes to the collector's canonical events: told apart, unescaped, classified,
with a caller, an id of their own, redacted twice and checked, as `bearerwatch ingest` does before the lake. Beside it
a *plain parser*: one regular expression with a group a field and a dict of the groups, or `json.loads` where lines are
JSON, and nothing else: no time is read, nothing is unescaped, no token found. Processor time, median of the rounds,
which take turns. What storing and detection take comes on top for both."""

_COMBINED = re.compile(
    r'(?P<ip>\S+) \S+ \S+ \[(?P<time>[^\]]+)\] "(?P<method>\S+) (?P<target>\S+) (?P<protocol>[^"]+)" '
    r'(?P<status>\d+) (?P<size>\S+) "(?P<referer>[^"]*)" "(?P<agent>[^"]*)"'
)
_UVICORN = re.compile(
    r'(?P<time>\S+ \S+) INFO:\s+(?P<ip>\S+):(?P<port>\d+) - "(?P<method>\S+) (?P<target>\S+) \S+" (?P<status>\d+)'
)
_ENVOY = re.compile(
    r'\[(?P<time>[^\]]+)\] "(?P<method>\S+) (?P<target>\S+) [^"]+" (?P<status>\d+) (?P<flags>\S+) (?P<in>\d+) '
    r'(?P<out>\d+) (?P<took>\d+) (?P<up>\S+) "(?P<chain>[^"]*)" "(?P<agent>[^"]*)" "(?P<id>[^"]*)"'
)
_ALB = re.compile(
    r"(?P<type>\S+) (?P<time>\S+) (?P<elb>\S+) (?P<ip>\S+):(?P<port>\d+) (?P<target>\S+) \S+ \S+ \S+ (?P<status>\S+) "
    r'\S+ \S+ \S+ "(?P<request>[^"]*)" "(?P<agent>[^"]*)" \S+ \S+ \S+ "(?P<trace>[^"]*)"'
)
_OWN = '$remote_addr [$msec] "$request" $status $request_time "$http_authorization" "$http_user_agent" $request_id'
_START = datetime(2026, 11, 1, tzinfo=UTC)


def _combined(one: dict[str, str]) -> str:
    return '{ip} - - [{clf}] "GET {target} HTTP/1.1" {status} 512 "-" "{agent}"'.format(**one)


def _envoy(one: dict[str, str]) -> str:
    return '[{iso}] "GET {target} HTTP/2" {status} - 0 512 12 11 "{ip}" "{agent}" "{id}" "api" "10.0.0.1:80"'.format(
        **one
    )


def _alb(one: dict[str, str]) -> str:
    return (
        "https {iso} app/shop/0123456789abcdef {ip}:4711 10.0.0.1:80 0.001 0.010 0.001 {status} {status} 34 366 "
        '"GET https://api.example:443{target} HTTP/2.0" "{agent}" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 '
        'arn:aws:elasticloadbalancing:us-east-2:123456789012:t/0 "Root=1-67891233-abcdef012345678912345678" '
        '"api" "-" 0 {iso} "forward" "-" "-" "10.0.0.1:80" "{status}" "-" "-" TID_0123456789abcdef'
    ).format(**one)


def _caddy(one: dict[str, str]) -> str:
    headers = {"User-Agent": [one["agent"]], "Accept": ["*/*"]}
    request = {
        "remote_ip": one["ip"],
        "client_ip": one["ip"],
        "method": "GET",
        "uri": one["target"],
        "headers": headers,
    }
    fields = {"level": "info", "ts": float(one["epoch"]), "logger": "http.log.access", "request": request}
    return json.dumps(fields | {"duration": 0.012, "status": int(one["status"])})


def _traefik(one: dict[str, str]) -> str:
    fields = {"ClientHost": one["ip"], "DownstreamStatus": int(one["status"]), "Duration": 12_345_678}
    return json.dumps(
        fields
        | {
            "RequestMethod": "GET",
            "RequestPath": one["target"],
            "StartUTC": one["iso"],
            "request_User-Agent": one["agent"],
        }
    )


Plain = Callable[[str], object]
_FORMATS: dict[str, tuple[str, Callable[[dict[str, str]], str], Plain]] = {
    "access.nginx": ("nginx", _combined, lambda line: _groups(_COMBINED, line)),
    "access.nginx-own": (
        f"nginx:{_OWN}",
        lambda one: '{ip} [{epoch}] "GET {target} HTTP/1.1" {status} 0.012 "-" "{agent}" {id}'.format(**one),
        lambda line: _groups(_OWN_PLAIN, line),
    ),
    "access.apache": ("apache", _combined, lambda line: _groups(_COMBINED, line)),
    "access.gunicorn": ("gunicorn", _combined, lambda line: _groups(_COMBINED, line)),
    "access.uvicorn": (
        "uvicorn",
        lambda one: '{plain} INFO:     {ip}:4711 - "GET {target} HTTP/1.1" {status} OK'.format(**one),
        lambda line: _groups(_UVICORN, line),
    ),
    "access.envoy": ("envoy", _envoy, lambda line: _groups(_ENVOY, line)),
    "access.alb": ("alb", _alb, lambda line: _groups(_ALB, line)),
    "access.caddy": ("caddy", _caddy, json.loads),
    "access.traefik": ("traefik", _traefik, json.loads),
}
_OWN_PLAIN = re.compile(
    r'(?P<ip>\S+) \[(?P<time>[^\]]+)\] "(?P<method>\S+) (?P<target>\S+) (?P<protocol>[^"]+)" (?P<status>\d+) '
    r'(?P<took>\S+) "(?P<authorization>[^"]*)" "(?P<agent>[^"]*)" (?P<id>\S+)'
)
IDS = tuple(_FORMATS)


def _groups(pattern: re.Pattern[str], line: str) -> dict[str, str]:
    match = pattern.match(line)
    if match is None:
        raise RuntimeError("the plain parser does not know the line")
    return match.groupdict()


def _requests(count: int) -> Iterator[dict[str, str]]:
    draw = random.Random(1)
    agents = [f"Mozilla/5.0 (X11; Linux x86_64; rv:{n}.0) Gecko/20100101 Firefox/{n}.0" for n in range(100, 140)]
    for number in range(count):
        at = _START + timedelta(milliseconds=7 * number)
        yield {
            "ip": f"198.51.{draw.randrange(8)}.{draw.randrange(250)}",
            "clf": at.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "iso": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "plain": at.strftime("%Y-%m-%d %H:%M:%S,123"),
            "epoch": f"{at.timestamp():.3f}",
            "target": f"/orders/{draw.randrange(5_000)}?page={draw.randrange(5)}",
            "status": str(draw.choice([200] * 18 + [401, 404])),
            "agent": draw.choice(agents),
            "id": f"{draw.getrandbits(128):032x}",
        }


def run(ids: list[str], *, quick: bool) -> Iterator[Measured]:
    """Measure *ids*, some of ``IDS``."""
    count, rounds = (10_000, 3) if quick else (40_000, 9)
    use(KeyRing([b"a key that only this benchmark uses"]))
    for name in ids:
        layout, write, plain = _FORMATS[name]
        texts = [write(one) for one in _requests(count)]
        raws, end = [], 0
        for text in texts:
            end += len(text) + 1
            raws.append(RawLine("access:edge", "access.log", end, text.encode()))
        ours, theirs, told = list[float](), list[float](), list[float]()
        read = open_format(layout)
        for _ in range(rounds):
            told.append(_timed(lambda: [read(text) for text in texts]))  # noqa: B023 - called at once
            ours.append(_timed(lambda: _through(layout, raws)))  # noqa: B023
            theirs.append(_timed(lambda: [plain(text) for text in texts]))  # noqa: B023
        figure, peer = count / median(ours), count / median(theirs)
        how = (
            f"{count:,} lines of {sum(map(len, texts)) // count} bytes, {rounds} rounds; {1e6 / figure:.1f} µs a line, "
        )
        how += f"of which telling its fields apart and reading their values takes {1e6 * median(told) / count:.1f} µs"
        yield Measured(
            row=Row(id=name, unit="lines/s", ours=round(figure), peers={"plain parser": round(peer)}), how=how
        )
    use(None)


def _through(layout: str, raws: list[RawLine]) -> None:
    events = AccessEvents(open_format(layout), "edge", Settings(), live=False)
    decode = AccessDecoder(Decoder(), lambda _: events)
    made = 0
    for at in range(0, len(raws), 2_500):
        made += len(decode(raws[at : at + 2_500], datetime.now(UTC)).lines)
    if made != len(raws):
        raise RuntimeError(f"{len(raws)} lines made {made} events")


def _timed(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
