"""Secrets told by the place they stand in, and what stands in such places and is none."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bearerwatch.redact import gate, redact_text
from bearerwatch.redact.commands import COMMANDS, TABLE
from bearerwatch.redact.exact import BESIDES
from fakes import draw, leaked, opaque
from redact.placed import CLEAN, LEAKS, MADE_UP


def _of_people() -> str:
    return f"Aq7{opaque(7)}&{opaque(2)}3"


def _filled(text: str, secret: str) -> tuple[str, list[str]]:
    """*text* with secrets in it, and those."""
    made = {
        "§": secret,
        "¶": draw.randbytes(32).hex(),
        "‡": f"{opaque(4, string.ascii_lowercase)}7-{opaque(4, string.digits)}k",
        "◊": " ".join(opaque(5, string.ascii_lowercase) for _ in range(12)),
    }
    for sign, value in made.items():
        text = text.replace(sign, value)
    return text, [value for value in made.values() if value in text]


def _same_by_both_gates(text: str) -> None:
    looks, kinds = gate.PREFILTER(text), gate.kinds_of(text)
    assert looks is not None
    forms = [number for number in looks if number < gate.ENCODED]
    assert set(gate.by_search(text, kinds, forms)) == set(gate.by_search(text, kinds))


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    assert gate.PREFILTER.ready(), "the accel extra belongs to the test environment"


@pytest.mark.parametrize("template", [*LEAKS, *MADE_UP])
def test_what_a_place_tells_is_found(template: str) -> None:
    text, gone = _filled(template, f"aB3{opaque(21)}")
    clean = redact_text(text)
    assert [value for value in gone if value in clean or leaked(value, clean)] == []
    assert redact_text(clean) == clean
    _same_by_both_gates(text)


@pytest.mark.parametrize("template", LEAKS)
def test_what_people_choose_is_masked_once_and_for_all(template: str) -> None:
    text, gone = _filled(template, _of_people())
    clean = redact_text(text)
    assert [value for value in gone if value in clean] == []
    assert redact_text(clean) == clean
    _same_by_both_gates(text)


@pytest.mark.parametrize("text", CLEAN)
def test_what_only_stands_in_such_a_place_stays(text: str) -> None:
    assert redact_text(text) == text
    _same_by_both_gates(text)


@settings(max_examples=150)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(LEAKS),
            st.sampled_from(CLEAN),
            st.sampled_from([word for word, _, _ in BESIDES]),
            st.sampled_from([" ", "\n", "'", '"', "=", "(", ", ", "aB3dE5fG7hI9jK1", "Hunter2x"]),
        ),
        max_size=6,
    )
)
def test_both_gates_find_the_same_places(pieces: list[str]) -> None:
    _same_by_both_gates(
        "".join(_filled(piece, "aB3dE5fG7hI9jK1lM3n")[0] for piece in pieces).encode("ascii", "replace").decode()
    )


def test_a_password_of_a_command_is_masked_and_what_is_beside_it_stays() -> None:
    secret = _of_people()
    assert redact_text(f"mysql -h db -uroot -p{secret} shop") == "mysql -h db -uroot -p[password] shop"
    assert redact_text(f"['sshpass', '-p', '{secret}', 'ssh']") == "['sshpass', '-p', '[password]', 'ssh']"


def test_the_columns_of_a_statement_tell_which_value_is_a_secret() -> None:
    secret = _of_people()
    clean = redact_text(f"INSERT INTO users (email, password, name) VALUES ('a1@x.org', '{secret}', 'Ada99')")
    assert clean == "INSERT INTO users (email, password, name) VALUES ('a1@x.org', '[password]', 'Ada99')"


def test_the_order_of_parameters_tells_which_one_is_a_secret() -> None:
    secret, other = f"aB3{opaque(21)}", f"aB3{opaque(21)}"
    clean = redact_text(f"UPDATE users SET token = ? WHERE etag = ? [parameters: ('{secret}', '{other}')]")
    assert secret not in clean
    assert other in clean


def test_every_command_says_where_it_comes_from() -> None:
    assert len({command.id for command in TABLE}) == len(TABLE)
    assert all(command.source and "(?P<t>" in command.option for command in TABLE)
    assert all(word == word.lower() for word, _, _ in COMMANDS)


@pytest.mark.parametrize("text", ["HELLO 3 AUTH {}", "AUTH default {}", "snmp-server community {}", "PASS {}"])
@pytest.mark.parametrize("first", "0a")
def test_marks_of_ours_stay_where_secrets_stand(text: str, first: str) -> None:
    marked = text.format(f"[token k0123abcd:{first}{'0f' * 15}0]")
    assert redact_text(marked) == marked


def test_what_names_a_mark_is_no_secret_of_the_name_before() -> None:
    marked = f"X_SECRET_=/CONFIRM_Sb_Secret_:[token k0123abcd:{'0f' * 16}] and so on"
    assert redact_text(marked) == marked
    secret = f"aB3{opaque(29)}"
    assert not leaked(secret, redact_text(marked.replace("/CONFIRM_Sb_Secret_", secret)))
