"""Values that are no text yet: read with their names, copied where they leak, and bounded in every way."""

from __future__ import annotations

import copy
import dataclasses
import time
import uuid
from collections import OrderedDict, UserDict, defaultdict, deque
from collections.abc import Callable
from enum import Enum
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple

import msgspec
import pydantic
import pytest
from django.conf import settings as django_settings
from django.http import QueryDict
from django.http.request import HttpHeaders
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers as StarletteHeaders
from werkzeug.datastructures import CombinedMultiDict, EnvironHeaders, Headers, ImmutableMultiDict, MultiDict

from bearerwatch import _guard
from bearerwatch.fingerprint import ring
from bearerwatch.redact import Structure, redact_value
from fakes import jwt, leaked, opaque

if not django_settings.configured:
    django_settings.configure()


def secret() -> str:
    """What no pattern tells without its name."""
    return "q7" + opaque(30)


@dataclasses.dataclass
class Account:
    user: str
    api_key: str
    tags: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    user: str
    token: str

    def __post_init__(self) -> None:
        if self.token.startswith("["):
            raise ValueError("no constructor is run again")


class Message(msgspec.Struct, frozen=True):
    user: str
    access_token: str


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow", frozen=True)

    user: str
    access_token: str


class Login(NamedTuple):
    user: str
    password: str


class Name(Enum):
    TOKEN = "token"


# -- where a value stands ----------------------------------------------------------------------------------------------

UNDER_A_NAME = {
    "flat": lambda t: {"token": t},
    "list": lambda t: {"tokens": [t, t]},
    "nested": lambda t: {"token": {"value": t}},
    "twice nested": lambda t: {"token": {"data": {"raw": t}}},
    "by holder": lambda t: {"tokens": {"alice": t, "bob": [t]}},
    "header list": lambda t: {"Authorization": [f"Bearer {t}"]},
    "header by scheme": lambda t: {"Authorization": {"Bearer": t}},
    "header odd scheme": lambda t: {"Authorization": f"Sesame {t}"},
    "pairs": lambda t: [("Authorization", f"Bearer {t}"), ("X-Api-Key", t)],
    "pairs of lists": lambda t: [["X-Api-Key", t]],
    "pairs of bytes": lambda t: [(b"x-api-key", t.encode())],
    "har": lambda t: {"name": "Authorization", "value": t},
    "har with more": lambda t: {"headers": [{"name": "X-Api-Key", "value": t, "comment": ""}]},
    "key and value": lambda t: {"key": "access_token", "value": t},
    "bytes": lambda t: {"token": t.encode()},
    "bytearray": lambda t: {"token": bytearray(t.encode())},
    "memoryview": lambda t: {"token": memoryview(t.encode())},
    "key of bytes": lambda t: {b"token": t},
    "key an enum": lambda t: {Name.TOKEN: t},
    "words after": lambda t: {"tokens": f"{t} {t},{t}"},
    "odd characters": lambda t: {"token": f"{t[:6]}&{t[6:12]};{t[12:]}"},
    "parted": lambda t: {"password": f"p4ss {t}"},
    "set": lambda t: {"tokens": {t}},
    "deque": lambda t: {"tokens": deque([t], 5)},
    "dataclass": lambda t: Account("alice", t),
    "frozen": lambda t: [Frozen("alice", t)],
    "msgspec": lambda t: Message("alice", t),
    "pydantic": lambda t: Model(user="alice", access_token=t),
    "pydantic extra": lambda t: Model(user="alice", access_token="", refresh_token=t),
    "namedtuple": lambda t: Login("alice", t),
    "namespace": lambda t: SimpleNamespace(user="alice", token=t),
    "ordered": lambda t: OrderedDict(a=1, token=t, b=2),
    "defaultdict": lambda t: defaultdict(list, token=t),
    "proxy": lambda t: MappingProxyType({"token": t}),
    "userdict": lambda t: UserDict(token=t),
    "multidict": lambda t: MultiDict([("token", t), ("token", t), ("a", "1")]),
    "immutable multidict": lambda t: ImmutableMultiDict([("token", t)]),
    "combined multidict": lambda t: CombinedMultiDict([MultiDict({"a": "1"}), MultiDict({"token": t})]),
    "werkzeug headers": lambda t: Headers([("X-Api-Key", t), ("X-Api-Key", t)]),
    "environ headers": lambda t: EnvironHeaders({"HTTP_X_API_KEY": t}),
    "starlette headers": lambda t: StarletteHeaders({"x-api-key": t}),
    "django headers": lambda t: HttpHeaders({"HTTP_X_API_KEY": t}),
    "django query": lambda t: QueryDict(f"token={t}&a=1&a=2"),
    "wsgi environ": lambda t: {"HTTP_AUTHORIZATION": f"Bearer {t}", "wsgi.version": (1, 0)},
}


def shown(value: Any) -> str:
    """All of *value* that can be read, memory too."""
    held = value.values() if isinstance(value, dict) else [value]
    memory = [bytes(item).decode("latin-1") for item in held if isinstance(item, memoryview)]
    plain = [repr(list(value.items()))] if hasattr(value, "items") else []
    return "\n".join([repr(value), str(value), *memory, *plain])


@pytest.mark.parametrize("form", UNDER_A_NAME)
def test_a_value_under_a_secrets_name_goes_and_the_callers_stays(form: str) -> None:
    for _ in range(5):
        token = secret()
        value = UNDER_A_NAME[form](token)
        before = shown(value)
        clean = redact_value(value)
        assert shown(value) == before
        for piece in (token, token[:12], token[12:]):
            assert not leaked(piece, shown(clean)), form
        assert shown(redact_value(clean)) == shown(clean)


def test_the_mark_is_the_fingerprint_of_the_whole_value() -> None:
    token = secret()
    assert redact_value({"token": {"value": token}}) == {"token": {"value": f"[token {ring().token_id(token)}]"}}
    assert redact_value({"Authorization": f"Bearer {token}"}) == {
        "Authorization": f"Bearer [token {ring().token_id(token)}]"
    }


KEPT = [
    {"token": None, "password": True, "secret": False},
    {"tokens": 512, "max_tokens": 4096, "token": 7, "pass": 1042, "session": 12345},
    {"password": "This field is required.", "token": "missing or expired"},
    {"password": ["This password is too short. It must contain at least 8 characters."]},
    {"token": {"id": 5, "name": "deploy", "created_at": "2026-01-31T12:00:00Z", "scopes": ["read", "write"]}},
    {"token": {"id": str(uuid.uuid4()), "hash": uuid.uuid4().hex, "url": f"https://a.test/{uuid.uuid4()}"}},
    {"session": {"user": "alice", "items": [1, 2, 3], "theme": "dark"}},
    {"token_type": "bearer", "expires_in": 3600, "tokenizer": "cl100k_base"},
    {"secret": "/run/secrets/db", "password": "***", "token": "xxxx"},
    [("Authorization", "required"), ("token", "string")],
    {"name": "colour", "value": uuid.uuid4().hex},
    {"key": uuid.uuid4().hex, "value": "commit"},
    ("token", 5),
    {"auth": "django.contrib.auth", "authorization": "granted"},
    {"password": ""},
    {"session": "2026-01-31T10:00:00Z", "token": "2026-01-31", "auth": {"since": "2026-01-31 10:00:00.123456+02:00"}},
    {"session": {"trace": f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01"}},
    {"auth": {"service": "kube-prometheus-stack-grafana-7d9f8b6c5d-x2x7k", "realm": "shop", "enabled": True}},
    {"usage": {"prompt_tokens": 512, "total_tokens": 640}, "tokens": ["the", "quick", "fox"], "ids": [101, 2023]},
    {"secret": {"secretName": "shop-tls", "items": [{"key": "tls.crt", "path": "tls.crt"}]}},
    {"authorization": 'Bearer realm="shop", error="invalid_token"'},
    {"password": "${DB_PASSWORD}", "token": "%s", "secret": "{{ vault.secret }}"},
    {"name": "password", "value": "required"},
    Account("alice", ""),
    Message("alice", "none"),
    Model(user="alice", access_token="unset"),
    {"token": object(), "secret": dataclasses.dataclass},
]


@pytest.mark.parametrize("value", KEPT, ids=str)
def test_what_is_plainly_written_a_flag_or_a_number_stays(value: Any) -> None:
    assert redact_value(value) is value


def test_numbers_that_may_be_let_in_with_go() -> None:
    clean = redact_value({"password": 48151623, "token": 4815162342108481516, "session": 4815162342108481516})
    assert clean["password"] == "[password]"
    assert clean["token"].startswith("[token ")
    assert clean["session"] == 4815162342108481516


def test_objects_under_a_secrets_name_are_read_as_they_would_be_shown() -> None:
    value = uuid.uuid4()
    assert str(value) not in repr(redact_value({"session_id": value}))
    assert redact_value({"order_id": value})["order_id"] is value


def test_a_generator_is_left_alone() -> None:
    made = (number for number in range(3))
    assert redact_value({"tokens": made})["tokens"] is made
    assert list(made) == [0, 1, 2]


# -- kinds are kept ----------------------------------------------------------------------------------------------------


def test_types_and_order_are_kept() -> None:
    token = secret()
    ordered = redact_value(OrderedDict([("b", 1), ("token", token), ("a", 2)]))
    assert (type(ordered), list(ordered)) == (OrderedDict, ["b", "token", "a"])
    ordered.move_to_end("b")  # its own links hold
    assert list(ordered) == ["token", "a", "b"]
    fallback = redact_value(defaultdict(list, token=token))
    assert (type(fallback), fallback["new"]) == (defaultdict, [])
    assert type(redact_value(MappingProxyType({"token": token}))) is MappingProxyType
    query = redact_value(QueryDict(f"token={token}&a=1&a=2"))
    assert (type(query), query.getlist("a")) == (QueryDict, ["1", "2"])
    multi = redact_value(MultiDict([("token", token), ("a", "1"), ("a", "2")]))
    assert (type(multi), multi.getlist("a")) == (MultiDict, ["1", "2"])
    assert redact_value(Headers([("Accept", "a"), ("X-Api-Key", token), ("Accept", "b")]))["Accept"] == ["a", "b"]
    assert type(redact_value(Login("alice", token))) is Login
    assert redact_value({"tokens": deque([token], 5)})["tokens"].maxlen == 5
    for value in (Account("alice", token), Frozen("alice", token), Message("alice", token)):
        clean = redact_value(value)
        assert (type(clean), clean.user) == (type(value), "alice")
    model = redact_value(Model(user="alice", access_token="", refresh_token=token))
    assert (type(model), model.user, model.model_dump()["user"]) == (Model, "alice", "alice")


def test_what_does_not_leak_is_the_same_object_within_the_copy() -> None:
    value = {"token": secret(), "rest": {"a": [1, {"b": 2}]}, "account": Account("alice", "", ["x"])}
    clean = redact_value(value)
    assert clean is not value
    assert clean["rest"] is value["rest"]
    assert clean["account"] is value["account"]


def test_two_names_of_one_fingerprint_stay_two() -> None:
    token = jwt()
    tampered = token.rpartition(".")[0] + "." + opaque(43)
    clean = redact_value({token: 1, tampered: 2})
    assert sorted(clean.values()) == [1, 2]
    assert not leaked(token, repr(clean))


# -- bounds ------------------------------------------------------------------------------------------------------------


def test_a_value_that_holds_itself_keeps_nothing_of_the_callers() -> None:
    token = secret()
    inner: dict[str, Any] = {"a": 1}
    value = {"token": token, "inner": inner}
    inner["back"] = value
    clean = redact_value(value)
    assert not leaked(token, repr(clean))
    assert clean["inner"]["back"] == "[contains itself]"
    harmless: list[Any] = [1]
    harmless.append(harmless)
    assert redact_value(harmless) is harmless


def test_a_deep_nest_ends_in_a_note() -> None:
    token = jwt()
    value: Any = token
    for _ in range(100):
        value = [value]
    clean = redact_value(value)
    assert not leaked(token, repr(clean))
    assert "[nested deeper than 32 levels]" in repr(clean)
    assert "[nested deeper than 2 levels]" in repr(Structure(depth=2)([[[1]]]))
    assert Structure(depth=3)([[[1]]]) == [[[1]]]


def test_a_large_value_is_cut_and_says_so() -> None:
    token = secret()
    large = {f"field{number}": number for number in range(1_000_000)} | {"token": token}
    begun = time.perf_counter()
    clean = redact_value(large)
    assert time.perf_counter() - begun < 1
    assert not leaked(token, repr(clean))
    assert clean["…"] == "[990001 more]"
    assert Structure(size=3)([1, 2, 3, 4]) == [1, 2, 3, "[1 more]"]
    assert Structure(size=4)([1, 2, 3, 4]) == [1, 2, 3, 4]
    assert not leaked(token, repr(Structure(size=1)([[1], Account("alice", token), Login("a", token), {token}])))


def test_what_is_shared_a_thousand_times_is_looked_at_once() -> None:
    value: Any = {"token": secret()}
    for _ in range(30):
        value = [value, value]
    begun = time.perf_counter()
    clean = redact_value(value)
    assert time.perf_counter() - begun < 1
    while isinstance(clean, list):
        assert clean[0] is clean[1]
        clean = clean[0]
    assert clean["token"].startswith("[token ")


# -- hostile -----------------------------------------------------------------------------------------------------------


class Hostile:
    def _fail(self, *_: Any) -> Any:
        raise RuntimeError("hostile")

    __str__ = __repr__ = __eq__ = __bool__ = __len__ = __iter__ = _fail

    def __hash__(self) -> int:
        return 7


class Unhashable(Hostile):
    armed = False

    def __hash__(self) -> int:
        if self.armed:
            raise RuntimeError("hostile")
        return 7


class HostileText(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("hostile")

    __repr__ = __format__ = __str__  # type: ignore[assignment]


class HostileMapping(UserDict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("hostile")


def test_what_fails_when_looked_at_reaches_nobody(swallowing: None) -> None:
    token = secret()
    armed = Unhashable()
    bad_key = {armed: 1, "token": token}
    armed.armed = True
    for value in (
        {Hostile(): token, "token": token},
        {"token": Hostile()},
        {"token": HostileMapping(a=token)},
        [HostileMapping(a=token)],
        {"x": bad_key},
    ):
        clean = redact_value(value)
        assert type(clean) is type(value)
    assert redact_value({"x": bad_key})["x"] == "[redaction-error]"
    assert redact_value({"token": HostileText(token), "a": HostileText("a")})["token"].startswith("[token ")
    assert _guard.counts()["redaction of a value"] >= 3


def test_a_class_that_copies_to_itself_is_not_changed(swallowing: None) -> None:
    class Single(Account):
        def __copy__(self) -> Single:
            return self

    token = secret()
    value = Single("alice", token)
    clean = redact_value(value)
    assert value.api_key == token
    assert not leaked(token, repr(clean))
    assert clean["user"] == "alice"


# -- what the application decides --------------------------------------------------------------------------------------


def test_names_the_application_denies_are_never_shown() -> None:
    structure = Structure(deny=["card_number"])
    clean = structure({"cardNumber": "4111 1111", "Card-Number": [1, 2], "card": {"card_number": {"a": b"x"}}})
    assert clean == {
        "cardNumber": "[redacted]",
        "Card-Number": ["[redacted]"] * 2,
        "card": {"card_number": {"a": b"[redacted]"}},
    }
    assert structure(clean) == clean
    assert structure({"card_number": None}) == {"card_number": None}


def test_names_the_application_allows_say_nothing_but_forms_still_do() -> None:
    structure = Structure(allow=["sync_token"])
    value, token = secret(), jwt()
    assert structure({"sync_token": value, "syncToken": [value]}) == {"sync_token": value, "syncToken": [value]}
    assert not leaked(token, repr(structure({"sync_token": token})))
    assert not leaked(value, repr(structure({"token": value})))


def test_a_callback_decides_with_the_path_and_may_leave_it() -> None:
    asked: list[tuple[str, ...]] = []

    def replace(path: tuple[str, ...], value: Any) -> Any:
        asked.append(path)
        return "***" if path[-1] == "iban" else None

    token = secret()
    value = {"user": {"iban": "x", "token": token}, "list": [1]}
    clean = Structure(replace=replace)(value)
    assert clean["user"]["iban"] == "***"
    assert not leaked(token, repr(clean))
    assert asked == [("user",), ("user", "iban"), ("user", "token"), ("list",), ("list", "0")]
    assert value["user"]["iban"] == "x"


def test_a_callback_that_fails_decides_nothing(swallowing: None) -> None:
    token = secret()
    assert not leaked(token, repr(Structure(replace=lambda path, value: 1 / 0)({"token": token})))


# -- any value ---------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["token", "Authorization", "api_key", "password", "tokens", "session"])
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.binary(max_size=9)
)
KEYS = st.text(max_size=8) | st.integers() | st.binary(max_size=5) | NAMES


def nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.tuples(inner, inner)
            | st.tuples(NAMES, inner)
            | st.dictionaries(KEYS, inner, max_size=4)
            | st.builds(Account, inner, inner)
            | st.builds(OrderedDict, st.dictionaries(KEYS, inner, max_size=3))
            | st.builds(Login, inner, inner)
            | st.builds(lambda token: SimpleNamespace(token=token), inner)
        ),
        max_leaves=12,
    )


@given(nested(PLAIN))
def test_any_value_stays_as_it_is_and_redacting_twice_changes_nothing(value: Any) -> None:
    before = copy.deepcopy(value)
    clean = redact_value(value)
    assert value == before
    assert redact_value(clean) == clean


@given(nested(st.just("@") | PLAIN), NAMES)
def test_no_token_survives_anywhere_under_a_secrets_name(shape: Any, name: str) -> None:
    token = secret()
    value = {"outer": planted(shape, token)}
    under = {name: [token, {"value": token, "other": {"raw": token}}], "rest": value}
    clean = redact_value(under)
    assert not leaked(token, repr(clean[name]))


@given(nested(st.just("@") | PLAIN))
def test_a_jwt_survives_nowhere(shape: Any) -> None:
    token = jwt()
    assert not leaked(token, repr(redact_value(planted(shape, token))))


@given(nested(st.integers() | st.sampled_from(["plain", "two words", "shop.views", ""])))
def test_a_value_without_secrets_is_the_same_object(value: Any) -> None:
    assert redact_value(value) is value or any(
        digits in repr(value) for digits in map(str, numbers(value)) if len(digits.lstrip("-")) >= 6
    )


def planted(shape: Any, token: str) -> Any:
    """*shape* with *token* in place of ``@``."""
    if shape == "@":
        return token
    if isinstance(shape, dict):
        return type(shape)((key, planted(item, token)) for key, item in shape.items())
    if isinstance(shape, Account):
        return Account(planted(shape.user, token), planted(shape.api_key, token))
    if isinstance(shape, SimpleNamespace):
        return SimpleNamespace(token=planted(shape.token, token))
    if isinstance(shape, Login):
        return Login(planted(shape.user, token), planted(shape.password, token))
    if isinstance(shape, list | tuple):
        return type(shape)(planted(item, token) for item in shape)
    return shape


def numbers(value: Any) -> list[int]:
    if isinstance(value, int):
        return [value]
    if isinstance(value, dict):
        return [number for item in value.values() for number in numbers(item)]
    if isinstance(value, list | tuple):
        return [number for item in value for number in numbers(item)]
    return [number for item in vars(value).values() for number in numbers(item)] if hasattr(value, "__dict__") else []


@given(nested(st.sampled_from(["@", "Bearer @", "x=@&y", "a\n", "eyJ", "token", "password=", "-"]) | PLAIN))
def test_one_look_at_all_of_it_sees_what_a_look_at_each_part_does(shape: Any) -> None:
    value = planted(shape, jwt())
    each = Structure(replace=lambda path, item: None)(value)
    assert redact_value(value) == each
    assert (redact_value(value) is value) == (each is value)


@pytest.mark.parametrize("kind", [str, str.encode, lambda text: bytearray(text.encode())])
def test_a_line_under_a_name_is_looked_at_as_a_line_too(kind: Callable[[str], Any]) -> None:
    secret = opaque(30)
    clean = redact_value({"sent": kind(f"a1 LOGIN bob {secret}"), "n": 7})
    assert not leaked(secret, repr(clean))
