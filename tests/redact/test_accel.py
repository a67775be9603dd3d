"""Both gates lead to the same spans: Hyperscan's and the one in pure Python."""

from __future__ import annotations

import secrets
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bearerwatch.redact import engine, gate
from fakes import at_once

_WORDS = [
    "Authorization: ", "authorization=", "Bearer ", "bearer%20", "TOKEN ", "access_token=", '"token": "', "eyJhbGciOiJub25lIn0.",
    "ghp_", "glpat-", "xoxb-", "npm_", "secret_key=", "password: ", "v2.local.", "sk_live_", "Basic ", "jwt=", "\x1b[31m", "\n", " ", ",",
    '"', "'", "=", ".", "a1B2c3D4e5F6g7H8i9J0", "abcdefabcdefabcdefabcdefabcdefabcdef12", "word", "ey", "eyj", "K" * 40,
]  # fmt: skip


def _scan():
    scan = gate._scanner()
    assert scan is not None, "the accel extra belongs to the test environment"
    return scan


@given(
    st.lists(st.one_of(st.sampled_from(_WORDS), st.text(st.characters(max_codepoint=127), max_size=12)), max_size=24)
)
@example(["Bearer Bearer ", "a1B2c3D4e5F6g7H8i9J0"])
@example(["token=token=", "a1B2c3D4e5F6g7H8i9J0"])
def test_both_gates_find_the_same_spans(words):
    text = "".join(words)

    assert sorted(gate._by_search(text, gate.kinds_of(text))) == sorted(gate._by_scan(text, _scan()))


def test_text_beyond_ascii_is_searched_in_pure_python_and_offsets_stay_right():
    token = secrets.token_urlsafe(24)

    clean = engine.redact_text(f"İstanbul Authorization: Bearer {token} ß")

    assert token not in clean
    assert clean.startswith("İstanbul Authorization: Bearer [token ")
    assert clean.endswith("] ß")


def test_threads_scan_at_the_same_time():
    token = secrets.token_urlsafe(24)
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
    code = "from bearerwatch.redact import gate; print(gate._scanner())"

    done = subprocess.run(
        [sys.executable, "-c", code], env={"BEARERWATCH_ACCEL": value}, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "None"


def test_importing_the_app_side_loads_nothing_native():
    code = "import bearerwatch, sys; print('hyperscan' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
