"""What Authlib's validators know beyond what every library has: introspection, roles, alternatives of scopes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from authlib.integrations.flask_oauth2 import ResourceProtector
from authlib.integrations.sqla_oauth2 import OAuth2TokenMixin
from authlib.oauth2.rfc6749 import TokenValidator
from authlib.oauth2.rfc6750 import BearerTokenValidator, InsufficientScopeError, InvalidTokenError
from authlib.oauth2.rfc7662 import IntrospectTokenValidator
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from flask import Flask, abort
from sqlalchemy import create_engine, event, orm, pool, select

from bearerwatch import _guard
from bearerwatch.event import AuthEvent
from bearerwatch.flask import Bearerwatch
from bearerwatch.testing.events import capture_events
from fakes import opaque
from libraries.authlib_keys import keys
from libraries.jwts import AUDIENCE, ISSUER, SECRET
from libraries.versions import since
from watched.drive import Request, serve_wsgi


class Row:
    """A token as a table has it; *strange* ones fail when they are asked anything that is not theirs to tell."""

    user_id, client_id = 41, "shop"

    def __init__(self, *, expired: bool = False, revoked: bool = False, strange: bool = False) -> None:
        self.expired, self.revoked, self.strange = expired, revoked, strange
        self.asked: list[str] = []

    def is_expired(self) -> bool:
        self.asked.append("is_expired")
        return self.expired

    def is_revoked(self) -> bool:
        self.asked.append("is_revoked")
        return self.revoked

    def get_scope(self) -> str:
        self.asked.append("get_scope")
        if self.strange and self.asked.count("get_scope") > 1:
            raise LookupError
        return "read write"


class Bearer(BearerTokenValidator):  # type: ignore[misc]
    """Answers with what it was made with."""

    def __init__(self, found: object) -> None:
        super().__init__()
        self.found = found

    def authenticate_token(self, _token: str) -> object:
        return self.found


class Introspected(IntrospectTokenValidator):  # type: ignore[misc]
    def __init__(self, **answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def introspect_token(self, _token: str) -> dict[str, Any]:
        return self.answer


class Jwt(JWTBearerTokenValidator):  # type: ignore[misc]
    def get_jwks(self) -> Any:
        return keys(**{"1": SECRET, "2": SECRET[::-1]})


class Own(TokenValidator):  # type: ignore[misc]
    """A validator that does it all by itself, and refuses."""

    def __init__(self, found: object) -> None:
        super().__init__()
        self.found = found

    def authenticate_token(self, _token: str) -> object:
        return self.found

    def validate_token(self, _token: object, _scopes: object, _request: object) -> None:
        raise InvalidTokenError


@pytest.fixture
def events() -> Iterator[list[AuthEvent]]:
    with capture_events() as caught:
        yield caught


Ask = Callable[..., AuthEvent]


@pytest.fixture
def ask(events: list[AuthEvent]) -> Ask:
    """Asks a view that is protected so, and gives the event."""

    def asked(
        validator: Any,
        scopes: Any = None,
        *,
        header: str | None = None,
        protector: type[ResourceProtector] = ResourceProtector,
        **needed: Any,
    ) -> AuthEvent:
        app, require_oauth = Flask(__name__), protector()
        require_oauth.register_token_validator(validator)
        app.add_url_rule("/orders", view_func=require_oauth(scopes, **needed)(lambda: "done"))
        Bearerwatch(app)
        header = f"Bearer {opaque()}" if header is None else header
        serve_wsgi(app, Request("/orders", headers=[("Authorization", header)]), events)
        return events.pop()

    return asked


def signed(kid: str = "1", **claims: Any) -> str:
    now = int(time.time())
    good = {"sub": "41", "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 60, "client_id": "shop", "jti": "7"}
    return f"Bearer {jwt.encode(good | claims, SECRET, 'HS256', {'typ': 'at+jwt', 'kid': kid})}"


def told(event: AuthEvent) -> tuple[str | None, str | None, bool, int | None]:
    return event.outcome, event.reason, event.verified, event.status


def test_what_introspection_answers(ask: Ask) -> None:
    assert told(ask(Introspected(active=False))) == ("invalid", "inactive", False, 401)
    assert told(ask(Introspected())) == ("invalid", "unknown_token", False, 401)
    good = ask(Introspected(active=True, sub="41", client_id="shop", scope="read"), "read")
    assert told(good) == ("success", None, True, 200)
    assert (good.client_id, good.scopes) == ("shop", "read")
    assert good.subject_id is not None
    poor = ask(Introspected(active=True, sub="41", client_id="shop", scope="read"), "write")
    assert told(poor) == ("insufficient_scope", None, True, 403)
    assert (poor.subject_id, poor.scopes, poor.required_scopes) == (good.subject_id, "read", "write")


def test_scopes_asked_for(ask: Ask) -> None:
    refused = ask(Bearer(Row()), "read delete")
    assert told(refused) == ("insufficient_scope", None, True, 403)
    assert (refused.scopes, refused.required_scopes) == ("read write", "read delete")
    either = ask(Bearer(Row()), ["admin", "read delete"])
    assert (told(either), either.required_scopes) == (told(refused), None)  # no scope of these is the one that lacks
    assert (refused.client_id, told(ask(Bearer(Row()), ["admin", "read"]))[0]) == ("shop", "success")


def test_a_jwt_whose_holder_lacks_a_group_or_a_role(ask: Ask) -> None:
    validator = Jwt(issuer=ISSUER, resource_server=AUDIENCE)
    for needed in ("groups", "roles", "entitlements"):
        refused = ask(validator, header=signed(), **{needed: "buyers"})
        assert told(refused) == ("forbidden", "function_forbidden", True, 401)
        assert told(ask(validator, header=signed(**{needed: ["buyers"]}), **{needed: "buyers"}))[0] == "success"


def test_a_jwt_of_the_wrong_kind(ask: Ask) -> None:
    validator = Jwt(issuer=ISSUER, resource_server=AUDIENCE)
    assert told(ask(validator, header=signed(auth_time="x"))) == ("invalid", "bad_claim", True, 401)
    if since("Authlib", "1.7"):  # before that it does not catch what these raise
        assert told(ask(validator, header=signed(kid="3"))) == ("invalid", "unknown_kid", False, 401)
        assert told(ask(validator, header=signed(kid="2"))) == ("invalid", "bad_signature", False, 401)
    plain = jwt.encode({"sub": "41", "iss": ISSUER, "aud": AUDIENCE}, SECRET, "HS256", {"kid": "1"})
    assert told(ask(validator, header=f"Bearer {plain}")) == ("invalid", "wrong_type", True, 401)


def test_only_what_its_validator_has_looked_at_is_looked_at_again(ask: Ask) -> None:
    revoked = Row(revoked=True)
    assert told(ask(Bearer(revoked))) == ("revoked", "blacklisted", True, 401)
    assert revoked.asked.count("is_revoked") == 1  # which may ask a database
    assert told(ask(Bearer(Row(expired=True, revoked=True)))) == ("expired", "past_exp", True, 401)


def test_nothing_is_asked_of_a_database(ask: Ask) -> None:
    class Base(orm.DeclarativeBase):
        pass

    class Issued(Base, OAuth2TokenMixin):  # type: ignore[misc]
        __tablename__ = "issued"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        user_id: orm.Mapped[int] = orm.mapped_column(deferred=True)

    engine = create_engine("sqlite://", poolclass=pool.StaticPool)
    Base.metadata.create_all(engine)
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *of: statements.append(of[2]))
    with orm.Session(engine) as session:
        row = {"user_id": 41, "client_id": "shop", "scope": "read", "issued_at": int(time.time()), "expires_in": 60}
        session.add(Issued(access_token=opaque(), **row))
        session.commit()
        for more in ((), (orm.undefer(Issued.user_id),)):
            session.expunge_all()
            token = session.scalars(select(Issued).options(*more)).one()
            statements.clear()
            let_in = ask(Bearer(token), "read")
            assert told(let_in) == ("success", None, True, 200)
            assert (let_in.subject_id is not None, let_in.client_id, let_in.scopes) == (bool(more), "shop", "read")
            assert not statements


def test_a_validator_that_says_nothing(ask: Ask) -> None:
    assert told(ask(Own(Row(revoked=True)))) == ("invalid", None, False, 401)
    assert told(ask(Own(Row(expired=True)))) == ("expired", "past_exp", True, 401)
    assert told(ask(Own({"sub": "41"}))) == ("invalid", None, False, 401)
    assert told(ask(Own(None))) == ("invalid", "unknown_token", False, 401)
    assert told(ask(Own(None), header=signed(exp=1))) == ("expired", "past_exp", False, 401)  # read off it


def test_a_validator_that_never_came_to_a_token(ask: Ask) -> None:
    class Early(Bearer):
        def authenticate_token(self, _token: str) -> object:
            raise self.found  # type: ignore[misc]

    assert told(ask(Early(InvalidTokenError()))) == ("invalid", None, False, 401)
    assert told(ask(Early(InsufficientScopeError()), "read")) == ("insufficient_scope", None, False, 403)


def test_a_scheme_that_no_validator_is_registered_for(ask: Ask) -> None:
    assert told(ask(Bearer(Row()), header=f"DPoP {opaque()}")) == ("missing", "wrong_scheme", False, 401)
    assert told(ask(Bearer(Row()), header=signed().split()[1])) == ("missing", "wrong_scheme", False, 401)


def test_an_answer_of_the_applications_own(ask: Ask) -> None:
    class Ours(ResourceProtector):  # type: ignore[misc]
        def raise_error_response(self, _error: Any) -> None:
            abort(400)

    assert told(ask(Bearer(Row(expired=True)), protector=Ours)) == ("expired", "past_exp", True, 400)


@pytest.mark.usefixtures("swallowing")
def test_a_token_that_cannot_be_read_is_let_in_all_the_same(ask: Ask) -> None:
    assert told(ask(Bearer(Row(strange=True)))) == ("success", None, False, 200)
    assert _guard.counts()
