"""Django's debug page and the mails to its admins: rendered for real, and without a token in them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from bearerwatch import _guard, install_logging
from bearerwatch.django import reports
from bearerwatch.redact.logging import PLACEHOLDER
from fakes import jwt, leaked, opaque
from watched import django_stack

django_stack.configure()
pytestmark = pytest.mark.filterwarnings("ignore:The EMAIL_BACKEND setting", "ignore:Using .name, address. pairs")

from django.core import mail  # noqa: E402 - needs a configured Django
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.test import Client, RequestFactory, override_settings  # noqa: E402
from django.urls import path  # noqa: E402
from django.utils.log import AdminEmailHandler  # noqa: E402
from django.views import debug  # noqa: E402
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter  # noqa: E402


def refuse(claimed: dict[str, Any]) -> None:
    raise KeyError(f"nobody presented {claimed['presented']}")


def boom(request: HttpRequest) -> HttpResponse:
    claimed = {"presented": request.headers["Authorization"], "scope": list(request.META.items())}
    scope = [(b"authorization", request.headers["Authorization"].encode()), (b"x", request.COOKIES["jwt"].encode())]
    harmless = "a harmless variable"
    password = request.GET["password"]
    try:
        refuse(claimed)
    except KeyError as error:
        raise ValueError(f"{len(scope)} {harmless}s for {request.GET['access_token']}", len(password)) from error


def quiet(request: HttpRequest) -> HttpResponse:
    harmless = "nothing to see"
    raise ValueError("a quiet failure", len(harmless))


urlpatterns = [path("boom/<held>", lambda request, held: boom(request)), path("quiet", quiet)]


@pytest.fixture(autouse=True)
def own_urls() -> Iterator[None]:
    forget = debug.get_default_exception_reporter_filter.cache_clear
    forget()
    install_logging()
    reports.install_reports()
    with override_settings(ROOT_URLCONF=__name__, ADMINS=[("An admin", "admin@app.test")], DEBUG=True):
        yield
    forget()


class Sent:
    """The credentials of one request, in every place one can have."""

    def __init__(self, bearer: str | None = None) -> None:
        self.bearer = bearer or jwt()
        self.query, self.password, self.path, self.cookie, self.header, self.form = (
            jwt(), opaque() + "1", jwt(), jwt(), opaque() + "1", jwt()
        )  # fmt: skip

    def post(self, **headers: str) -> Any:
        """Send the request."""
        client = Client(raise_request_exception=False)
        client.cookies["jwt"] = self.cookie
        return client.post(
            f"/boom/{self.path}?access_token={self.query}&password={self.password}",
            {"refresh": self.form},
            headers={"Authorization": f"Bearer {self.bearer}", "X-Api-Key": self.header, **headers},
        )

    def leaks(self, *texts: str) -> list[str]:
        """Pieces of them in *texts*, as they are or with what breaks a long value over lines taken out."""
        whole = "\n".join(texts)
        joined = re.sub(r"(?:&#x27;|')\s*\n\s*(?:b?(?:&#x27;|'))", "", whole)
        return [piece for token in vars(self).values() for piece in leaked(token, whole, joined)]


@pytest.mark.parametrize("accept", ["text/html", "text/plain"])
@pytest.mark.parametrize("opaque_bearer", [True, False])
def test_the_debug_page(accept: str, opaque_bearer: bool) -> None:
    sent = Sent(opaque() if opaque_bearer else None)
    answer = sent.post(accept=accept)
    page = answer.content.decode()
    assert answer.status_code == 500
    assert answer["Content-Type"].startswith(accept)
    assert page.count("[token ") > 8
    assert "a harmless variable" in page if accept == "text/html" else "a harmless variables for" in page
    assert "nobody presented" in page
    assert "HTTP_AUTHORIZATION" in page
    assert not sent.leaks(page)


def test_a_page_with_nothing_to_hide_is_the_one_django_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Plain(ExceptionReporter):
        """Django's, as it was."""

    for name in ("get_traceback_frames", "get_traceback_data", "get_traceback_html", "get_traceback_text"):
        setattr(Plain, name, getattr(ExceptionReporter, name).__wrapped__)
    now = debug.timezone.now()
    monkeypatch.setattr(debug.timezone, "now", lambda: now)
    try:
        quiet(RequestFactory().get("/quiet?page=2"))
    except ValueError as error:
        request = RequestFactory().get("/quiet?page=2")
        trace = error.__traceback__.tb_next  # type: ignore[union-attr] # not this frame: its variables change
        ours, theirs = (kind(request, ValueError, error, trace) for kind in (ExceptionReporter, Plain))
        assert ours.get_traceback_html() == theirs.get_traceback_html()
        assert ours.get_traceback_text() == theirs.get_traceback_text()


@pytest.fixture
def mailing() -> Iterator[None]:
    """Mails of what Django logs as an error, as ``LOGGING`` sets up."""
    handler = AdminEmailHandler(include_html=True)
    logger = logging.getLogger("django.request")
    level = logger.level
    logger.setLevel(logging.ERROR)
    logger.addHandler(handler)
    mail.outbox = []
    yield
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.mark.usefixtures("mailing")
@override_settings(DEBUG=False, EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend")
@pytest.mark.parametrize("opaque_bearer", [True, False])
def test_a_mail_to_the_admins(opaque_bearer: bool) -> None:
    sent = Sent(opaque() if opaque_bearer else None)
    sent.post()
    (message,) = mail.outbox
    ((html, _),) = message.alternatives
    assert "/boom/[token " in message.subject
    for text in (message.body, html):
        assert "ValueError" in text
        assert "KeyError" in text
        assert "in boom" in text or "boom" in text
        assert text.count("[token ") > 4
    assert "a harmless variable" in html
    assert not sent.leaks(message.subject, message.body, str(html), message.message().as_string())


class OwnFilter(SafeExceptionReporterFilter):
    """A project's own."""

    def get_traceback_frame_variables(self, request: Any, tb_frame: Any) -> Any:
        return [
            (name, "hidden by the project" if name == "harmless" else value)
            for name, value in super().get_traceback_frame_variables(request, tb_frame)
        ]


def test_a_filter_of_the_projects_own_is_asked_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debug, "get_default_exception_reporter_filter", OwnFilter)
    sent = Sent()
    page = sent.post(accept="text/html").content.decode()
    assert "hidden by the project" in page
    assert not sent.leaks(page)


class OwnReporter(ExceptionReporter):
    """A project's own, which renders by itself."""

    def get_traceback_text(self) -> str:
        return f"own report of {self.exc_value}"


class DerivedReporter(ExceptionReporter):
    """A project's own, which adds to Django's data."""

    def get_traceback_data(self) -> dict[str, Any]:
        return super().get_traceback_data() | {"user_str": self.request.headers["Authorization"]}


@override_settings(DEBUG=False, EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend")
@pytest.mark.parametrize("reporter", [OwnReporter, DerivedReporter])
def test_a_reporter_of_the_projects_own(reporter: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that renders by itself is given no exception that quotes a token; one derived from Django's is covered."""
    handler = AdminEmailHandler()
    handler.reporter_class = reporter
    mail.outbox = []
    sent = Sent()
    request = RequestFactory().get("/", headers={"Authorization": f"Bearer {sent.bearer}"})
    try:
        refuse({"presented": sent.bearer})
    except KeyError as error:
        record = logging.makeLogRecord(
            {"msg": "failed", "levelname": "ERROR", "exc_info": (KeyError, error, error.__traceback__)}
        )
        record.request = request
        handler.handle(record)
    body = mail.outbox[0].body
    assert ("own report of failed" if reporter is OwnReporter else "nobody presented [token ") in body
    assert not sent.leaks(body)


@pytest.mark.usefixtures("swallowing")
def test_it_fails_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("the engine is broken")

    monkeypatch.setattr(reports, "redact_text", broken)
    answer = Sent().post(accept="text/html")
    assert answer.status_code == 500
    assert answer.content.decode() == PLACEHOLDER
    assert _guard.counts()["redaction of an exception report"] >= 2


def test_variables_that_cannot_be_looked_at_spoil_nothing() -> None:
    class Odd(dict):
        def items(self) -> Any:
            raise RuntimeError("not to be looked at")

        def __repr__(self) -> str:
            return "an odd one"

    def fail() -> None:
        odd = Odd()
        raise ValueError("odd", len(odd))

    try:
        fail()
    except ValueError as error:
        page = ExceptionReporter(None, ValueError, error, error.__traceback__).get_traceback_html()
        assert "odd" in page
