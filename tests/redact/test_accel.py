"""Both gates lead to the same spans: Hyperscan's and the one in pure Python."""

from __future__ import annotations

import subprocess
import sys
import uuid

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bearerwatch.redact import engine, gate
from bearerwatch.redact._accel import _PATIENCE, Prefilter
from bearerwatch.redact.coarse import wider
from bearerwatch.redact.exact import ANCHORS
from bearerwatch.redact.names import FILLERS
from bearerwatch.redact.patterns import FORMS, LONG
from bearerwatch.redact.strings import any_of, needed, which_of
from bearerwatch.redact.views import listed, noisy, undone, wrapped
from fakes import at_once, draw, token_urlsafe

_WORDS = [
    "Authorization: ", "authorization=", "Bearer ", "bearer%20", "TOKEN ", "access_token=", '"token": "', "eyJhbGciOiJub25lIn0.",
    "ghp_", "glpat-", "xoxb-", "npm_", "secret_key=", "password: ", "v2.local.", "sk_live_", "Basic ", "jwt=", "\x1b[31m", "\n", " ", ",",
    '"', "'", "=", ".", "a1B2c3D4e5F6g7H8i9J0", "abcdefabcdefabcdefabcdefabcdefabcdef12", "word", "ey", "eyj", "K" * 40,
    "mysql -p", "sshpass -p ", "', '-p', '", "PASS ", " LOGIN bob ", "AUTH ", "INSERT INTO u (password) VALUES ('", "?", "[args: ('", "| token |\n|--|\n| ",
    "42 65 61 72 65 72 20 65 79 4a 68 62 47 63 69 4f ", "66, 101, 97, 114, 101, 114, 32, 101, ", "0x42, 0x65, ", "101 ", "clave: ",
    "<td>token</td><td>", "id,token\n1,", "auth=('u', '", "snmp-server community ", "key 7 ", "WIFI:S:a;P:", "backup codes: ", "0x" + "ab" * 32,
]  # fmt: skip


@pytest.fixture(autouse=True)
def compiled() -> None:
    assert gate.PREFILTER.ready(), "the accel extra belongs to the test environment"


def check(text: str) -> None:
    """What pure Python finds is not passed over."""
    looks, kinds = gate.PREFILTER(text), gate.kinds_of(text)
    assert looks is not None
    forms = [number for number in looks if number < gate.ENCODED]
    assert gate.by_search(text, kinds, forms) == gate.by_search(text, kinds)
    hidden = [*wrapped(text), *listed(text)]
    assert gate.ENCODED in looks or hidden == []
    assert gate.encoded(kinds) or hidden == []
    assert gate.NOISE in looks or "\n" in text or undone(text) is None
    assert gate.disguised(text, kinds) == noisy(text)
    if not noisy(text):
        assert undone(text) is None


@given(
    st.lists(st.one_of(st.sampled_from(_WORDS), st.text(st.characters(max_codepoint=127), max_size=12)), max_size=24)
)
@example(["Bearer Bearer ", "a1B2c3D4e5F6g7H8i9J0"])
@example(["token=token=", "a1B2c3D4e5F6g7H8i9J0"])
@example(["dpop<000000000000001=000000"])
@example(["auth=('u', '", "snmp-server community ", "auth=('u', '"])
def test_both_gates_find_the_same_spans(words):
    check("".join(words))


@pytest.mark.parametrize("form", [form for form in FORMS if form.anchors[0].isascii()], ids=lambda form: form.id)
@settings(max_examples=8)
@given(data=st.data())
def test_nothing_a_form_matches_is_passed_over(form, data):
    anchor = data.draw(st.sampled_from(form.anchors)) if form.id == "named" else ""
    made = data.draw(st.from_regex(form.pattern, alphabet=st.characters(max_codepoint=127)))
    check(f"GET / {anchor}{made}")
    check(f"{anchor.upper()}{made}")


@pytest.mark.parametrize("quote", ["'", '"', "`"])
@pytest.mark.parametrize("tail", ["))", "{}", "],x", "'x4", '"x4', ";a"])
@pytest.mark.parametrize("join", ["=", ": ", "(value=", ", ", " is "])
def test_what_only_the_rest_of_a_quoted_value_tells_is_not_passed_over(join, tail, quote):
    value = "".join(draw.choices("bcdfghjklmnpqrstvwxz", k=14)) + tail
    for name in ("access_token", "'password_confirmation'", "tokenValue"):
        check(f"{name}{join}{quote}{value}{quote} y")


@pytest.mark.parametrize("length", [12, 13, 15])
def test_a_credential_that_is_long_only_with_its_padding_is_not_passed_over(length):
    value = "".join(draw.choices("bcdfghjklmnpqrstvwxz", k=length))
    for padding in ("=", "==", "===", "===="):
        check(f"Bearer {value}{padding} y")


def test_most_lines_that_only_speak_of_tokens_are_passed_over():
    lines = [
        "Token validation failed: token expired for user 42",
        "Authorization header missing on GET /orders",
        "secret rotation scheduled for 2026-12-01",
        "api key limit reached: 100 keys per account",
        "jwt decode error: Not enough segments",
        "next_page_token None of 5; password reset requested",
    ]
    assert [line for line in lines if gate.PREFILTER(line) != []] == []


@pytest.mark.parametrize(
    ("regex", "wide"),
    [
        (r"a{1,2}b{3,40}c", "a{1,2}b{3,}c"),
        (r"(?P<t>x++y*+z{2}+)(?=q(?:r|[)]))(?!s)(?<=u)(?<!v)w", "(?:x+y*z{2})w"),
        (r"(?>a|b)[^\s\"]\s", r"(?:a|b)[^ \t\n\f\r\"][\x09-\x0d\x1c-\x20]"),
        (r"[]a\]+]+\++q", r"[]a\]+]+\++q"),
        ("[-\u2013]x\u2026", r"[\x00-]x\x00"),
        (r"a(?:b+|c{2,})?d{4,9}e*", "a(?:b+|c{2,})?d{4}"),
        (r"(?i:a+|(b)c{2,8}(?:d|e*))f?", "(?i:a|(?:b)c{2})"),
        (r"a(?:b|c*)\Z", "a"),
        (r"(?:(?<![A-Z\s])a|b(?<![c])d)|(?:(?<![e])f)+", "(?:(?:^|[^A-Z \\t\\n\\f\\r])a|bd)|(?:f)"),
        (r"a*?b+?c{2,9}?d", "a*b+c{2,}d"),
        (r"(?:authenticate[^\n]{0,80}?secret)|(?:key[^\n]{0,9}\)\.type\(\")", r"(?:authenticate)|(?:\)\.type\(\")"),
        (r"a\s?{b{3}", r"a[\x09-\x0d\x1c-\x20]?\{b{3}"),
    ],
)
def test_forms_are_made_wider(regex, wide):
    assert wider(regex) == wide


@pytest.mark.parametrize(
    ("regex", "strings"),
    [
        (r"(?:mysql|mongo)\s-p(?=x)", {"mysql", "mongo"}),
        (r"(?i:PASS[^\n]*?)\.(?:set|type)\(", {".set(", ".type("}),
        (r"token\s[\"'](?:a|b+)", {'"', "'"}),
        (r"(?:one)?two{2}t.ree|(?:f(?:our|ive))six", {"ree", "four", "five"}),
        (r"(?:abc|[0-9])+x{0,3}", set()),
        (r"key[^\n]*\n", {"\n"}),
    ],
)
def test_what_a_regex_needs(regex, strings):
    assert needed(regex) == strings


def test_all_words_are_asked_for_at_once():
    words = ["key", "monkey", "token", "ss", "pass", "://", "wo"]
    asked = any_of(words)
    assert all(asked(f"a {word} b") for word in words)
    assert not any(map(asked, ["", "a k w s", "a : // b", "ke y"]))
    assert all(map(any_of(ANCHORS), ANCHORS))


def test_which_words_a_text_has_is_asked_for_at_once():
    words = ["key", "monkey", "token", "ss", "pass", "://", "wo", "w", "basic", "si"]
    asked = which_of({word: [number, 100 + number] for number, word in enumerate(words)})
    for text in (
        "",
        "a monkey's",
        "the key",
        "passes",
        "https://w",
        "basic",
        "ss",
        "ey",
        "k",
        "s i",
        "tok en",
        " ".join(words),
    ):
        expected = [number for at, word in enumerate(words) if word in text for number in (at, 100 + at)]
        assert sorted(asked(text)) == sorted(expected), text


@pytest.mark.parametrize("form", [form for form in FORMS if form.anchors[0] in LONG], ids=lambda form: form.id)
def test_an_issuers_mark_is_found_wherever_a_token_with_it_stands(form):
    for anchor in form.anchors:
        text = f"id={draw.randbytes(16).hex()} at:{anchor}{'A' * 20} {'a-' * 20}"
        present, _ = gate._present(text, text.lower(), gate.kinds_of(text))
        assert ANCHORS.index(anchor) in present


def test_ids_are_no_reason_to_look_for_marks(monkeypatch):
    monkeypatch.setattr(gate, "_mark", lambda: pytest.fail("looked for marks"))
    text = f"task {uuid.uuid4()} of {draw.randbytes(32).hex()}"
    assert gate.by_search(text, gate.kinds_of(text)) == []


def test_a_child_process_compiles_its_own():
    code = (
        "import os\nfrom bearerwatch.redact import gate\nassert gate.PREFILTER.ready()\npid = os.fork()\n"
        "if not pid:\n    assert gate.PREFILTER('x') is None  # not ready yet\n"
        "    os._exit(0 if gate.PREFILTER.ready() and gate.PREFILTER('x') == [] else 1)\n"
        "assert os.waitpid(pid, 0)[1] == 0 and gate.PREFILTER('x') == []"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_text_beyond_ascii_is_searched_in_pure_python_and_offsets_stay_right():
    token = token_urlsafe(24)

    clean = engine.redact_text(f"İstanbul Authorization: Bearer {token} ß")

    assert token not in clean
    assert clean.startswith("İstanbul Authorization: Bearer [token ")
    assert clean.endswith("] ß")


def test_threads_scan_at_the_same_time():
    token = token_urlsafe(24)
    wrong: list[str] = []

    def work() -> None:
        for number in range(300):
            clean = engine.redact_text(f"call {number} access_token={token} done")
            if token in clean or not clean.endswith(" done"):
                wrong.append(clean)

    at_once(work)

    assert wrong == []


@pytest.mark.parametrize("value", ["off", "0", "no"])
def test_it_can_be_switched_off(value):
    code = "from bearerwatch.redact import gate; print(gate.PREFILTER.ready(), gate.PREFILTER('x'))"

    done = subprocess.run(
        [sys.executable, "-c", code], env={"BEARERWATCH_ACCEL": value}, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "False None"


def test_importing_the_app_side_loads_nothing_native():
    code = "import bearerwatch, sys; print('hyperscan' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("filler", ["", "_", "2", "v2", "-v", *sorted(FILLERS)])
@pytest.mark.parametrize("word", ["token", "apiKey", "DB_PASSWORD", "session_id", "jwe", "Secret-Id", "code_verifier"])
def test_what_may_follow_the_word_that_decides_does_not_hide_a_name(word, filler):
    for name in (f"{word}{filler}", f"{word}_{filler}", f"{word}{filler.title()}"):
        check(f"x {name}=aB3xK9kQ2mZ7pL1tW5vN8 y")


def test_a_process_that_looks_at_few_texts_compiles_nothing():
    few = Prefilter(lambda: [(0, "a")])
    assert [few("a") for _ in range(_PATIENCE - 1)] == [None] * (_PATIENCE - 1)
    assert few._thread is None
    few("a")
    assert few.ready()
    assert few("a") == [0]
