"""Sentry: the envelopes that leave the process hold no token, and the project's own hooks go on working."""

from __future__ import annotations

import copy
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk
from sentry_sdk import logger as sentry_log
from sentry_sdk import metrics
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware
from sentry_sdk.scrubber import EventScrubber
from sentry_sdk.transport import Transport

from bearerwatch import _guard
from bearerwatch.fingerprint import ring
from bearerwatch.redact.logging import PLACEHOLDER
from bearerwatch.redact.sentry import before_send, before_send_span, hooks
from fakes import jwt, leaked, opaque
from logged import Shown

pytestmark = pytest.mark.filterwarnings("ignore:The send_default_pii")


class Kept(Transport):
    """A transport that keeps what it is given."""

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        self.envelopes: list[Envelope] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.envelopes.append(envelope)

    def items(self, kind: str) -> list[Any]:
        """The payloads of that type."""
        return [item.payload.json for envelope in self.envelopes for item in envelope.items if item.type == kind]

    def text(self) -> str:
        """All of it, as it would be sent."""
        sent = b"\n".join(envelope.serialize() for envelope in self.envelopes)
        return sent.decode()


class Sentry:
    """A client of its own, which patches nothing in this process."""

    def __init__(self, **options: Any) -> None:
        self.kept = Kept()
        self.client = sentry_sdk.Client(
            dsn="http://public@127.0.0.1:9/1",
            transport=self.kept,
            default_integrations=False,
            auto_enabling_integrations=False,
            send_default_pii=True,
            event_scrubber=EventScrubber(denylist=[], pii_denylist=[]),
            traces_sample_rate=1.0,
            enable_logs=True,
            **options,
        )

    def sent(self) -> str:
        self.client.flush()
        return self.kept.text()


@pytest.fixture
def sentry() -> Iterator[Sentry]:
    made = Sentry(**hooks())
    with sentry_sdk.isolation_scope() as isolation, sentry_sdk.new_scope() as scope:
        isolation.set_client(made.client)
        scope.set_client(made.client)
        yield made
    made.client.close()


def fail(held: str) -> None:
    variables = {"deep": [{"deeper": ({"presented": held, "object": Shown(held)},)}], "password": "hunter2" * 2}
    raw = held.encode()
    raise ValueError(f"cannot take {held}", len(variables), len(raw))


@pytest.mark.parametrize("kind", ["live", "jwt"])
def test_an_error_event(sentry: Sentry, token: str, kind: str) -> None:
    held = token if kind == "live" else jwt()
    scope = sentry_sdk.get_current_scope()
    scope.set_tag("auth", held)
    scope.set_extra("seen", {"header": f"Bearer {held}", "list": [held]})
    scope.set_context("call", {"url": f"https://api.test/?access_token={held}"})
    scope.set_user({"id": "u-1", "session": held})
    scope.set_transaction_name(f"/reset/{held}")
    sentry_sdk.add_breadcrumb(category="http", message=f"GET /{held}", data={"Authorization": f"Bearer {held}"})
    scope.add_event_processor(lambda event, hint: event | {"extra": event["extra"] | {"late": held}})
    try:
        try:
            fail(held)
        except ValueError as error:
            raise KeyError(held) from error
    except KeyError:
        sentry_sdk.capture_exception()
    text = sentry.sent()
    (event,) = sentry.kept.items("event")
    values = event["exception"]["values"]
    assert [value["type"] for value in values] == ["ValueError", "KeyError"]
    mark = f"[token {ring().token_id(held)}]"
    assert f"cannot take {mark}" in values[0]["value"]
    variables = values[0]["stacktrace"]["frames"][-1]["vars"]
    assert mark in variables["raw"]
    assert "[password]" in variables["variables"]["password"]
    assert variables["variables"]["deep"][0]["deeper"]
    assert event["tags"]["auth"] == event["extra"]["seen"]["list"][0] == event["extra"]["late"] == mark
    assert event["user"]["id"] == "u-1"
    assert event["breadcrumbs"]["values"][0]["message"] == f"GET /{mark}"
    assert not leaked(held, text)


def test_a_message_and_its_parameters(sentry: Sentry, token: str) -> None:
    sentry_sdk.capture_event(
        {"logentry": {"message": "got %s, %d", "params": [token, 7], "formatted": f"got {token}, 7"}}
    )
    sentry_sdk.capture_message(f"got {token}")
    text = sentry.sent()
    assert sentry.kept.items("event")[0]["logentry"]["params"][1] == 7
    assert not leaked(token, text)


def app(environ: dict[str, Any], start_response: Any) -> Any:
    raise LookupError("nothing")


def test_the_request_of_an_error(sentry: Sentry) -> None:
    header, query, cookie, form, path = jwt(), opaque() + "1", jwt(), opaque() + "1", jwt()
    body = f"refresh_token={form}&page=2".encode()
    environ = {
        "REQUEST_METHOD": "POST", "SERVER_NAME": "app.test", "SERVER_PORT": "80", "wsgi.url_scheme": "http",
        "PATH_INFO": f"/reset/{path}", "QUERY_STRING": f"access_token={query}&page=2", "REMOTE_ADDR": "192.0.2.1",
        "HTTP_AUTHORIZATION": f"Bearer {header}", "HTTP_COOKIE": f"jwt={cookie}", "HTTP_X_API_KEY": query,
        "CONTENT_TYPE": "application/x-www-form-urlencoded", "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body), "HTTP_REFERER": f"https://app.test/?access_token={query}",
    }  # fmt: skip
    with pytest.raises(LookupError):
        SentryWsgiMiddleware(app)(environ, lambda *args: None)
    text = sentry.sent()
    (event,) = sentry.kept.items("event")
    assert event["request"]["url"].startswith("http://app.test/reset/[token ")
    assert event["request"]["query_string"].endswith("]&page=2")
    assert event["request"]["headers"]["Authorization"].startswith("Bearer [token ")
    for token in (header, query, cookie, form, path):
        assert not leaked(token, text)


def test_a_transaction_and_its_spans(sentry: Sentry, token: str) -> None:
    with sentry_sdk.start_transaction(op="http.server", name=f"GET /reset/{token}") as transaction:
        transaction.set_data("http.query", f"access_token={token}")
        transaction.set_tag("auth", token)
        with sentry_sdk.start_span(op="http.client", name=f"GET https://api.test/?access_token={token}") as span:
            span.set_data("headers", {"Authorization": f"Bearer {token}"})
            span.set_tag("auth", token)
        with sentry_sdk.start_span(op="db", name="SELECT 1") as span:
            span.set_data("rows", 7)
    text = sentry.sent()
    (event,) = sentry.kept.items("transaction")
    assert event["transaction"].startswith("GET /reset/[token ")
    assert event["spans"][0]["description"].startswith("GET https://api.test/?access_token=[token ")
    assert (event["spans"][1]["description"], event["spans"][1]["data"]["rows"]) == ("SELECT 1", 7)
    assert not leaked(token, text)


def test_structured_logs_and_metrics(sentry: Sentry, token: str) -> None:
    sentry_log.info("got {auth}", auth=token, attributes={"header": f"Bearer {token}", "n": 7})
    metrics.count("tried", 1, attributes={"auth": token})
    text = sentry.sent()
    assert '"n":{"value":7' in text.replace(" ", "")
    assert text.count("[token ") >= 4
    assert not leaked(token, text)


def test_a_streamed_span_is_kept() -> None:
    token = jwt()
    span = {"name": f"GET /{token}", "attributes": {"url": f"/{token}", "n": 7}, "span_id": "x"}
    clean = before_send_span(span, {})
    assert clean["attributes"]["n"] == 7
    assert not leaked(token, json.dumps(clean))
    assert span["name"] == f"GET /{token}"


# -- with the project's own hooks ----------------------------------------------------------------------


def test_the_projects_own_hooks_come_first(token: str) -> None:
    seen: list[Any] = []

    def own(event: Any, hint: Any) -> Any:
        seen.append((event, hint))
        return None if "unwanted" in str(event) else event | {"extra": {"added": token}}

    made = Sentry(**hooks(before_send=own, before_breadcrumb=lambda crumb, hint: None))
    with sentry_sdk.new_scope() as scope:
        scope.set_client(made.client)
        scope.add_breadcrumb({"message": "never kept"})
        scope.capture_message("unwanted")
        scope.capture_exception(ValueError(token))
    text = made.sent()
    assert len(seen) == 2
    assert "exc_info" in seen[1][1]
    (event,) = made.kept.items("event")
    assert event["extra"]["added"] == f"[token {ring().token_id(token)}]"
    assert "never kept" not in text
    assert not leaked(token, text)


def test_a_large_event_stays_whole() -> None:
    frames = [{"function": f"f{n}", "vars": {f"v{m}": [str(m)] for m in range(50)}} for n in range(300)]
    event = {"exception": {"values": [{"type": "ValueError", "stacktrace": {"frames": frames}}]}}
    assert before_send(event, {}) == event


def test_what_a_hook_is_given_is_never_changed(token: str) -> None:
    event = {"extra": {"auth": [token]}, "tags": {token: token}}
    before = copy.deepcopy(event)
    assert before_send(event, {}) != before
    assert event == before


def test_what_stands_under_a_secrets_name_goes_wherever_in_an_event_it_is() -> None:
    chosen, short = "Hunter2" + opaque(4), opaque(20) + "1"
    event = {
        "extra": {"password": [chosen], "headers": [["Authorization", short]]},
        "breadcrumbs": {"values": [{"data": {"api_key": {"value": short}, "page": 2}}]},
        "spans": [{"op": "http", "data": {"n": n}} for n in range(3000)],
    }
    sent = before_send(event, {})
    assert json.dumps(sent).count(chosen) == json.dumps(sent).count(short) == 0
    assert sent["breadcrumbs"]["values"][0]["data"]["page"] == 2
    assert sent["spans"] == event["spans"]


def test_a_hook_that_sentry_does_not_have() -> None:
    with pytest.raises(TypeError, match="no hooks of Sentry: before_lunch"):
        hooks(before_lunch=None)


@pytest.mark.usefixtures("swallowing")
def test_it_fails_closed(sentry: Sentry, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("the engine is broken")

    monkeypatch.setattr("bearerwatch.redact.sentry._redacted", broken)
    sentry_sdk.add_breadcrumb(message=token)
    sentry_sdk.capture_exception(ValueError(token))
    sentry_log.info(token)
    with sentry_sdk.start_transaction(name=token):
        pass
    text = sentry.sent()
    (event,) = sentry.kept.items("event")
    assert event["logentry"]["message"] == PLACEHOLDER
    assert before_send_span({"name": token, "attributes": {"a": token}}, {}) == {"name": PLACEHOLDER, "attributes": {}}
    assert not leaked(token, text)
    assert _guard.counts()["redaction of what goes to Sentry"] == 5


WHOLE = """
import logging, sys
import flask, sentry_sdk
from sentry_sdk.transport import Transport
from bearerwatch.flask import Bearerwatch
from bearerwatch.redact.sentry import hooks

class Printing(Transport):
    def capture_envelope(self, envelope):
        sys.stdout.write(envelope.serialize().decode() + chr(10))

token = sys.stdin.readline().strip()
sentry_sdk.init(dsn="http://public@127.0.0.1:9/1", transport=Printing, send_default_pii=True, traces_sample_rate=1.0,
                enable_logs=True, **hooks())
app = flask.Flask("whole")
Bearerwatch(app)

@app.get("/raise/<path:held>")
def fail(held):
    logging.getLogger("app").warning("got %s", held)
    logging.getLogger("app").error("cannot take %s", flask.request.headers["Authorization"])
    raise ValueError("cannot take " + held)

app.test_client().get("/raise/" + token + "?access_token=" + token, headers={"Authorization": "Bearer " + token})
sentry_sdk.flush()
"""


def test_with_its_integrations_a_flask_application_and_log_redaction() -> None:
    """Everything Sentry patches, in a process of its own."""
    token = opaque()
    done = subprocess.run(
        [sys.executable, "-c", WHOLE], input=token, text=True, capture_output=True, timeout=60, check=True
    )
    for words in ('"type":"transaction"', '"type":"event"', "ValueError", "cannot take [token k"):
        assert words in done.stdout.replace('": "', '":"')
    assert not leaked(token, done.stdout, done.stderr)
