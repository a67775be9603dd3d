"""The samples answer as documented, in both editions; and what sets the editions apart is bearerwatch alone."""

from __future__ import annotations

import difflib
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from bearerwatch.demo.layout import samples_dir
from bearerwatch.demo.processes import Fleet, listening
from bearerwatch.testing import Sweep

SAMPLES = samples_dir()
EDITIONS = {
    "django": ("django_api/settings_plain.py", "django_api/settings.py"),
    "flask": ("flask_api/plain.py", "flask_api/app.py"),
    "fastapi": ("fastapi_api/plain.py", "fastapi_api/app.py"),
}
COMMANDS = {
    "django": "gunicorn --threads 4 --access-logfile - --bind fd://{fd} django_api.wsgi",
    "flask": "gunicorn --threads 4 --access-logfile - --bind fd://{fd} flask_api.{module}:app",
    "fastapi": "uvicorn --no-proxy-headers --fd {fd} fastapi_api.{module}:app",
}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def challenge(self) -> str:
        return self.headers.get("www-authenticate", "")

    def json(self) -> Any:
        return json.loads(self.body)


class Running:
    """One sample, serving."""

    def __init__(self, name: str, edition: str, port: int, log: Path, state: Path) -> None:
        self.name, self.edition, self.port, self.log, self.state = name, edition, port, log, state
        self.short, self.expired_by = "", 0.0

    def __call__(self, method: str, path: str, token: str | None = None, body: Any = None) -> Answer:
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = token if " " in token else f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                return Answer(response.status, _lower(response.headers), response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, _lower(error.headers), error.read())

    def login(self, name: str, **more: Any) -> str:
        answer = self("POST", "/login", body={"username": name, "password": f"{name}-in-wonderland", **more})
        assert answer.status == 200
        return answer.json()["access_token"]


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Running]]:
    root = tmp_path_factory.mktemp("samples")
    env = {k: v for k, v in os.environ.items() if not k.startswith(("BEARERWATCH_", "SHOP_", "DJANGO_"))}
    env |= {"PYTHONPATH": str(SAMPLES), "PYTHONUNBUFFERED": "1", "BEARERWATCH_TRUSTED_PROXIES": "127.0.0.0/8"}
    fleet = Fleet(root)
    running = {}
    try:
        for name, command in COMMANDS.items():
            for edition in ("plain", "watched"):
                title = f"{name}-{edition}"
                settings = "django_api.settings_plain" if edition == "plain" else "django_api.settings"
                own = env | {
                    "SHOP_DB": str(root / f"{title}.db"),
                    "BEARERWATCH_STATE": str(root / title),
                    "BEARERWATCH_KEYS": "0123456789abcdef" * 2,
                    "BEARERWATCH_SERVICE": title,
                    "DJANGO_SETTINGS_MODULE": settings,
                }  # fmt: skip
                if name == "django":
                    migrate = [sys.executable, "-W", "error", "-m", "django", "migrate", "-v0"]
                    subprocess.run(migrate, env=own, check=True)
                sock = listening()
                with sock:
                    words = command.format(fd=sock.fileno(), module="plain" if edition == "plain" else "app").split()
                    fleet.start(title, [sys.executable, "-m", *words], env=own, cwd=SAMPLES, inherit=[sock])
                    port = sock.getsockname()[1]
                running[name, edition] = Running(name, edition, port, root / f"{title}.log", root / title)
        for one in running.values():
            assert one("GET", "/health").status == 200
            one.short, one.expired_by = one.login("cleo", expires_in=1), time.time() + 2.1  # exp is in whole seconds
        yield running
    finally:
        assert fleet.stop() == []


@pytest.fixture(params=[(name, edition) for name in COMMANDS for edition in ("plain", "watched")], ids="-".join)
def api(request: pytest.FixtureRequest, fleet: dict[tuple[str, str], Running]) -> Running:
    return fleet[request.param]


@pytest.mark.parametrize("name", EDITIONS)
def test_editions_differ_by_two_lines_of_bearerwatch(name: str) -> None:
    plain, watched = ((SAMPLES / path).read_text().splitlines() for path in EDITIONS[name])

    changed = [line for line in difflib.ndiff(plain, watched) if line[0] in "+-"]

    assert len(changed) == 2
    assert all(line.startswith("+ ") and "bearerwatch" in line for line in changed)


def test_a_user_sees_their_own_orders_alone(api: Running) -> None:
    token = api.login("bela")

    mine = api("GET", "/orders", token).json()

    assert [order["id"] for order in mine][:2] == [1002, 1012]
    assert {order["owner"] for order in mine} == {"bela"}
    assert api("GET", "/orders/1002", token).json() == mine[0]
    assert api("GET", "/orders/1003", token).status == 403
    assert "insufficient_scope" not in api("GET", "/orders/1003", token).challenge
    assert api("GET", "/orders/999999", token).status == 404
    assert api("GET", "/me", token).json()["name"] == "bela"


def test_refusals_follow_rfc_6750(api: Running) -> None:
    nothing = api("GET", "/me")
    wrong = api("GET", "/me", "no-such-token-at-all")
    forged = api("GET", "/me", api.login("bela")[:-6] + "AAAAAA")
    scheme = api("GET", "/me", "Basic YWRhOmFkYQ==")

    assert (nothing.status, nothing.challenge) == (401, 'Bearer realm="shop"')
    for refused in (wrong, forged):
        assert refused.status == 401
        assert 'error="invalid_token"' in refused.challenge
        assert "not valid" in refused.challenge
    assert (scheme.status, 'error="invalid_request"' in scheme.challenge) == (401, True)


def test_scopes(api: Running) -> None:
    reader, staff = api.login("gita"), api.login("ada")
    order = {"item": "lamp", "quantity": 2}

    refused = api("POST", "/orders", reader, order)

    assert refused.status == 403
    assert 'error="insufficient_scope"' in refused.challenge
    assert 'scope="orders:write"' in refused.challenge
    assert api("GET", "/admin/report", reader).status == 403
    assert api("GET", "/export", reader).status == 403
    placed = api("POST", "/orders", staff, order)
    assert (placed.status, placed.json()["owner"], placed.json()["status"]) == (201, "ada", "placed")
    assert sum(api("GET", "/admin/report", staff).json()["orders"].values()) == 201


def test_expired_and_revoked_tokens_are_told_apart(api: Running) -> None:
    revoked = api.login("cleo")

    assert api("POST", "/logout", revoked).status == 204

    answer = api("GET", "/me", revoked)
    assert answer.status == 401
    assert 'error_description="The token was revoked"' in answer.challenge
    time.sleep(max(0.0, api.expired_by - time.time()))
    answer = api("GET", "/me", api.short)
    assert 'error_description="The token expired"' in answer.challenge


def test_opaque_keys(api: Running) -> None:
    made = api("POST", "/keys", api.login("dora"))
    key = made.json()["api_key"]

    assert made.status == 201
    assert api("GET", "/me", key).json()["name"] == "dora"
    assert api("POST", "/logout", key).status == 204
    assert "revoked" in api("GET", "/me", key).challenge


def test_export_streams_and_takes_its_token_from_the_query(api: Running) -> None:
    token = api.login("emil")

    streamed = api("GET", f"/export?access_token={token}")

    assert streamed.status == 200
    assert streamed.headers["transfer-encoding"] == "chunked"
    assert len(streamed.body.splitlines()) == 20


def test_quotes_are_rationed_and_have_their_bug(api: Running) -> None:
    token = api.login("finn")

    assert api("GET", "/quote?items=0", token).status == 500
    answers = [api("GET", "/quote?items=2", token) for _ in range(25)]

    assert answers[0].json() == {"items": 2, "each": 60}
    assert {a.status for a in answers} == {200, 429}
    assert int(next(a for a in answers if a.status == 429).headers["retry-after"]) > 0


def test_login_needs_the_right_password(api: Running) -> None:
    answer = api("POST", "/login", body={"username": "ada", "password": "wrong"})

    assert answer.status == 401
    assert "Bearer" in answer.challenge


@pytest.mark.parametrize("edition", ["plain", "watched"])
def test_the_websocket(edition: str, fleet: dict[tuple[str, str], Running]) -> None:
    api = fleet["fastapi", edition]
    address = f"ws://127.0.0.1:{api.port}/ws"

    with connect(f"{address}?access_token={api.login('iris')}", proxy=None) as socket:
        socket.send("1009")
        assert socket.recv() in ("placed", "packed", "shipped", "delivered")
        socket.send("1010")
        assert socket.recv() == "unknown"
    with pytest.raises(InvalidStatus, match="403"), connect(address, proxy=None):
        pass


@pytest.mark.parametrize("name", COMMANDS)
def test_the_plain_edition_logs_tokens_and_the_watched_one_does_not(
    name: str, fleet: dict[tuple[str, str], Running]
) -> None:
    found = {}
    for edition in ("plain", "watched"):
        api = fleet[name, edition]
        tokens = {"header": api.login("hugo"), "query": api.login("jona")}
        assert api("GET", "/orders", tokens["header"]).status == 200
        assert api("GET", f"/export?access_token={tokens['query']}").status == 200
        report = Sweep(tokens)([api.log, api.state] if edition == "watched" else [api.log])
        assert report.unread == []
        found[edition] = {finding.label for finding in report.findings}

    assert found == {"plain": {"header", "query"}, "watched": set()}
    assert re.search(r"\[token k[0-9a-f]{8}:[0-9a-f]{32}\]", fleet[name, "watched"].log.read_text())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_watched_edition_names_requests_and_the_plain_one_does_not(
    name: str, fleet: dict[tuple[str, str], Running]
) -> None:
    assert "x-request-id" not in fleet[name, "plain"]("GET", "/health").headers
    assert fleet[name, "watched"]("GET", "/health").headers["x-request-id"]


def test_credential_stores_hold_no_token(api: Running) -> None:
    key = api("POST", "/keys", api.login("iris")).json()["api_key"]
    store = api.log.with_suffix(".db")

    report = Sweep({"key": key})([store, *[p for p in store.parent.glob(f"{store.name}-*") if p.exists()]])

    assert report.clean


def test_workers_that_start_together_wait_for_each_other(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE begun (x)")
        other.execute("BEGIN IMMEDIATE")
        command = [sys.executable, "-c", "import sys; from shop.store import Store; Store(sys.argv[1])", str(path)]
        with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(SAMPLES)}) as starting:
            with pytest.raises(subprocess.TimeoutExpired):
                starting.wait(1.0)
            other.execute("COMMIT")
            assert starting.wait(10) == 0


def test_the_readmes_name_files_that_exist() -> None:
    for readme in SAMPLES.rglob("README.md"):
        for name in re.findall(r"`((?:\w+_api|shop)/[\w/]+\.py)`", readme.read_text()):
            assert (SAMPLES / name).is_file(), f"{readme}: {name}"
        for link in re.findall(r"\]\(([^)#:]+)\)", readme.read_text()):
            assert (readme.parent / link).exists(), f"{readme}: {link}"


def test_django_migrations_are_complete() -> None:
    env = os.environ | {"PYTHONPATH": str(SAMPLES), "DJANGO_SETTINGS_MODULE": "django_api.settings_plain"}
    done = subprocess.run(
        [sys.executable, "-m", "django", "makemigrations", "--check", "--dry-run"],
        env=env | {"SHOP_DB": ":memory:"}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout
