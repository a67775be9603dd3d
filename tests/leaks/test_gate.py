"""The gate and the exact stage find what the exact stage finds on each line alone."""

from __future__ import annotations

import base64
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fakes
from bearerwatch.context import live
from bearerwatch.leaks.gate import Gate, _every
from bearerwatch.leaks.pieces import pieces
from bearerwatch.leaks.scan import Scanner
from bearerwatch.redact import gate as forms
from bearerwatch.redact._accel import Prefilter
from bearerwatch.redact.engine import find
from bearerwatch.redact.exact import ANCHORS
from bearerwatch.redact.named import BETWEEN
from redact.placed import LEAKS, MADE_UP

TOKENS = [fakes.jwt(), fakes.jwt({"exp": 1}), fakes.opaque(), fakes.opaque(60), "ghp_" + fakes.opaque(36)]
SHORT = fakes.opaque(24)
"""Too short to be let through for its length."""
DISGUISED = [
    base64.b64encode(f"Authorization: Bearer {TOKENS[2]}".encode()).decode(),
    f"Bearer {TOKENS[2]}".encode().hex(),
    f"%42earer%20{SHORT}",
    "Bea\u200brer " + SHORT,
    "\\u0042earer " + SHORT,
    json.dumps({"kty": "oct", "k": SHORT}),
    f"Cookie: shop_id={SHORT}",
    f"contrase\u00f1a: {SHORT}",
    f"\u043f\u0430\u0440\u043e\u043b\u044c: {SHORT}",
    f"\u5bc6\u7801\uff1a{SHORT}",
    "x" * 19,
    "x" * 20,
    "A1b" * 11,
]
NOISE = ["%", "\\", "&", "#0", "^[", "\x00", "\x1b[1m", "\xad", "\u200b", "&amp;", "\\u0041", "/", "+", "é", "İ"]
LEADS = ["Bearer ", "Authorization: ", "token=", '"access_token": "', "password=", " ", "%20", ": "]
WORDS = st.one_of(
    st.sampled_from(TOKENS),
    st.sampled_from([*ANCHORS, *(anchor.upper() for anchor in ANCHORS)]),
    st.sampled_from(DISGUISED),
    st.sampled_from(NOISE),
    st.sampled_from(LEADS),
    st.text(max_size=6),
)
LINES = st.lists(st.lists(WORDS, max_size=8).map("".join).filter(lambda line: "\n" not in line), max_size=8)


ODD = ("aB3{}d9(kQ2m", "x{}7Kq2MnRt9", "Vn4m9E{}q_2gLw", "K{}vI-q98fTz", "horse{}battery")
VALUES = [shape.replace("{}", sign) for shape in ODD for sign in "%&;(),[|$!@#^*~?<{"] + [
    fakes.opaque(length) for length in (6, 8, 12, 20, 32)
]


@pytest.mark.parametrize("join", [example for _, example in BETWEEN])
def test_however_a_name_and_its_value_are_joined_the_line_is_let_through(join: str) -> None:
    places = forms.LINES.places()
    assert places is not None, "the accel extra belongs to the test environment"
    let = 0
    for name in ("password", "api_key", "Token", "secret"):
        for value in VALUES:
            line = join.replace("token", name).replace("…", value)
            if line.isascii() and forms.by_search(line, forms.kinds_of(line)):
                assert places(line.encode()), line
                let += 1
    assert let or not join.isascii() or "\n" in join


@pytest.mark.parametrize("template", [*LEAKS, *MADE_UP])
def test_what_a_place_tells_is_let_through(template: str) -> None:
    places = forms.LINES.places()
    assert places is not None, "the accel extra belongs to the test environment"
    for line in template.replace("§", f"aB3{fakes.opaque(21)}").split("\n"):
        if line.isascii() and forms.by_search(line, forms.kinds_of(line)):
            assert places(line.encode()), line


@pytest.fixture(params=["accel", "pure"])
def gate(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Gate:
    if request.param == "accel":
        pytest.importorskip("hyperscan")
    else:
        monkeypatch.setenv("BEARERWATCH_ACCEL", "off")
    made = Gate()
    assert (made._scan is None) == (request.param == "pure")
    return made


def found(gate: Gate, data: bytes) -> list[tuple[int, int, int, str]]:
    scanner = Scanner(gate)
    stream = io.BytesIO(data)
    hits = [hit for piece in pieces(stream.readinto) for hit in scanner(piece)]
    return [(leak.line, leak.column, leak.length, leak.kind) for hit in hits for leak in hit.leaks]


def expected(data: bytes) -> list[tuple[int, int, int, str]]:
    every = []
    for number, line in enumerate(data.split(b"\n"), 1):
        text = line.removesuffix(b"\r").decode("utf-8", "surrogateescape")
        for start, end, kind, _ in find(text):
            every.append((number, start + 1, len(text[start:end].encode("utf-8", "surrogateescape")), kind))
    return every


@given(lines=LINES, end=st.sampled_from(["\n", "\r\n"]), last=st.booleans())
def test_nothing_that_the_exact_stage_finds_is_kept_from_it(lines: list[str], end: str, last: bool) -> None:
    data = (end.join(lines) + (end if last else "")).encode("utf-8", "surrogatepass")
    assert found(HERE, data) == expected(data)


HERE = Gate()


@given(lines=LINES)
def test_in_disguise_nothing_is_kept_from_it_either(lines: list[str]) -> None:
    data = "\n".join(lines).encode("utf-8", "surrogatepass")
    passed = list(HERE(data))
    for start, end in _every(data):
        if find(data[start:end].decode("utf-8", "surrogateescape")):
            assert (start, end) in passed


@pytest.mark.parametrize("line", DISGUISED[:10], ids=range(10))
def test_a_token_in_disguise_is_let_through(gate: Gate, line: str) -> None:
    data = f"clean\n{line}\nclean\n".encode()
    assert [number for number, *_ in found(gate, data)] == [2]


@given(lines=LINES)
def test_both_gates_lead_to_the_same_leaks(lines: list[str]) -> None:
    chunk = "\n".join(lines).encode("utf-8", "surrogatepass")
    assert found(PURE, chunk) == found(HERE, chunk)


def _pure() -> Gate:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BEARERWATCH_ACCEL", "off")
        return Gate()


PURE = _pure()


def test_lines_come_in_order_once_each_without_their_ends(gate: Gate) -> None:
    lines = [f"Bearer {SHORT} token={SHORT}".encode(), b"BEARER\xff\xfe", f"\u00e9 jwt={SHORT}".encode()]
    chunk = b"clean\n%b\n\n%b\nclean\n%b" % tuple(lines)
    assert [chunk[start:end] for start, end in gate(chunk)] == lines


def test_names_in_latin_1_are_let_through(gate: Gate) -> None:
    for name in ("contrase\u00f1a", "l\u00f6senord", "jelsz\u00f3"):
        line = f"{name}: {SHORT}".encode("latin-1")
        assert [line[start:end] for start, end in gate(line + b"\nclean")] == [line]
        assert found(gate, line)


def test_a_line_in_which_a_form_matches_at_its_end_comes_once(gate: Gate) -> None:
    line = f"{TOKENS[0]} recovery code"
    assert [leak[0] for leak in found(gate, f"{line}\n{SHORT}\n".encode())] == [1]


def test_clean_lines_are_kept_from_the_exact_stage(gate: Gate) -> None:
    assert list(gate(b"GET /orders/7 200 12ms\n" * 1000)) == []


def test_hyperscan_keeps_lines_that_only_speak_of_tokens_from_it() -> None:
    assert list(HERE(b"the bearer token has expired, session=expired\nauthorization header missing\n" * 1000)) == []


def test_a_token_known_by_value_is_found_though_no_anchor_tells_it(gate: Gate) -> None:
    token = fakes.opaque(30)
    ticket = live.add(token)
    try:
        assert [(line, column) for line, column, _, _ in found(gate, f"a\n\nsaid {token}\n".encode())] == [(3, 6)]
    finally:
        live.discard(ticket)


def test_hyperscan_is_made_ready_once_there_is_much_to_look_through(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hyperscan")
    monkeypatch.setattr("bearerwatch.leaks.gate.LINES", Prefilter(forms.LINES._expressions))
    patient = Gate(1000)
    line = f"Bearer {SHORT} token={SHORT}\n".encode()
    assert len(list(patient(line))) == 1
    assert patient._scan is None
    assert len(list(patient(line * 100))) == 100
    assert patient._scan is not None
    assert len(list(patient(line * 3))) == 3
