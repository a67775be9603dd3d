"""Keyed token ids, the key ring, and the key made up where none is configured."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bearerwatch
from bearerwatch.errors import ConfigurationError
from bearerwatch.fingerprint import KeyRing, load_ring, ring, state_dir, use
from fakes import b64, jwt, opaque

ID = re.compile(r"k[0-9a-f]{8}:[0-9a-f]{32}")
NEW, OLD = b"n" * 32, b"o" * 32


def mac(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:32]


def test_the_id_is_the_key_id_and_a_truncated_hmac() -> None:
    token = opaque()
    keys = KeyRing([NEW])
    assert ID.fullmatch(keys.token_id(token))
    assert keys.token_id(token) == f"{keys.active_id}:{mac(NEW, token)}"
    assert keys.token_id(token) == keys.presented_id(token)


def test_the_mac_of_a_jwt_covers_header_and_payload() -> None:
    token = jwt()
    signed = token.rpartition(".")[0]
    tampered = f"{signed}.{opaque(43)}"
    keys = KeyRing([NEW])
    assert keys.token_id(token) == keys.token_id(tampered) == f"{keys.active_id}:{mac(NEW, signed)}"
    assert keys.presented_id(token) == f"{keys.active_id}:{mac(NEW, token)}" != keys.presented_id(tampered)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{head}..{a}", "{head}..{b}"),  # detached payload: header alone says nothing
        ("{jwe}.{a}.{b}.{a}.{b}", "{jwe}.{a}.{b}.{a}.{a}"),
        ("x{head}.{a}.{b}", "x{head}.{a}.{a}"),  # its header cannot be read
    ],
)
def test_of_anything_else_the_mac_covers_the_whole(one: str, other: str) -> None:
    parts = {
        "head": b64(b'{"alg":"HS256"}'),
        "jwe": b64(b'{"alg":"dir","enc":"A256GCM"}'),
        "a": opaque(30),
        "b": opaque(30),
    }
    keys = KeyRing([NEW])
    first, second = one.format(**parts), other.format(**parts)
    assert keys.token_id(first) == keys.presented_id(first)
    assert keys.token_id(first) != keys.token_id(second)


def test_two_keys_have_two_key_ids_and_no_id_in_common() -> None:
    token = opaque()
    assert KeyRing([NEW]).active_id != KeyRing([OLD]).active_id
    assert KeyRing([NEW]).token_id(token) != KeyRing([OLD]).token_id(token)


def test_while_keys_rotate_both_ids_are_known() -> None:
    token = jwt()
    signed = token.rpartition(".")[0]
    before = KeyRing([OLD]).identify(token, signed)
    during = KeyRing([NEW, OLD]).identify(token, signed)
    after = KeyRing([NEW]).identify(token, signed)
    assert before.token_id_prev is None is after.token_id_prev
    assert during.token_id_prev == before.token_id
    assert during.token_id == after.token_id
    assert KeyRing([NEW, OLD, b"x" * 16]).all_ids(token)[:2] == [after.token_id, before.token_id]
    assert len(KeyRing([NEW, OLD, b"x" * 16]).all_ids(token)) == 3


def test_a_short_credential_has_no_fingerprint_but_its_length() -> None:
    keys = KeyRing([NEW, OLD])
    assert keys.identify("x" * 15) == ("short:15", None, "short:15")
    assert keys.all_ids("p" * 8) == ["short:8"]
    assert ID.fullmatch(keys.token_id("x" * 16))


@given(st.text(min_size=16, max_size=200))
def test_no_text_is_refused_and_equal_texts_have_equal_ids(text: str) -> None:
    keys = KeyRing([NEW, OLD])
    assert ID.fullmatch(keys.token_id(text))
    assert keys.token_id(text) == keys.token_id(text) == keys.all_ids(text)[0]
    assert keys.presented_id(text) != keys.presented_id(text + "x")


def test_a_pseudonym_is_no_token_id() -> None:
    keys = KeyRing([NEW])
    value = opaque()
    assert keys.pseudonym("sub", value).startswith(f"sub:{keys.active_id}:")
    assert keys.pseudonym("sub", value).rpartition(":")[2] != keys.token_id(value).rpartition(":")[2]
    assert keys.pseudonym("sub", "\ud800") != keys.pseudonym("sub", "\ud801")


@pytest.mark.parametrize(
    ("keys", "says"),
    [([], "empty"), ([b"short"], "key 1 has 5 bytes"), ([NEW, b"s"], "key 2"), ([NEW, OLD, NEW], "twice")],
)
def test_a_bad_ring_says_what_to_do_and_echoes_no_key(keys: list[bytes], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        KeyRing(keys)
    assert "nnnn" not in str(caught.value)


def test_a_ring_shows_ids_and_no_key() -> None:
    assert "nnnn" not in repr(KeyRing([NEW, OLD]))
    assert KeyRing([NEW]).active_id in repr(KeyRing([NEW]))


def test_keys_come_from_the_environment_in_order() -> None:
    loaded = load_ring({"BEARERWATCH_KEYS": f"{NEW.decode()}, {OLD.decode()}\n"})
    assert loaded.active_id == KeyRing([NEW]).active_id
    assert len(loaded.all_ids(opaque())) == 2
    assert not loaded.generated


def test_keys_come_from_a_file_with_comments(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# rotated in March\n{NEW.decode()}\n  # older\n{OLD.decode()}\n")
    assert load_ring({"BEARERWATCH_KEYS_FILE": str(file)}).active_id == KeyRing([NEW]).active_id


@pytest.mark.parametrize("content", [None, b"", b"# nothing\n", b"\xff\xfe"])
def test_a_file_without_keys_is_an_error_that_names_it(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="BEARERWATCH_KEYS_FILE=.*keys"):
        load_ring({"BEARERWATCH_KEYS_FILE": str(file)})


def test_without_a_key_one_is_generated_once_and_kept_to_its_owner(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "state"
    first = load_ring({}, folder=folder)
    again = load_ring({}, folder=folder)
    assert first.generated
    assert first.active_id == again.active_id
    file = folder / "fingerprint.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.iterdir()] == ["fingerprint.key"]
    assert load_ring({}, folder=tmp_path / "other").active_id != first.active_id


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    code = "import sys, pathlib; from bearerwatch.fingerprint import load_ring; sys.stdin.read(1); print(load_ring({}, folder=pathlib.Path(sys.argv[1])).active_id)"
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "state")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(4)
    ]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(b"!")
        worker.stdin.flush()
    said = {worker.communicate(timeout=20)[0] for worker in workers}
    assert len(said) == 1


def test_where_no_key_can_be_kept_the_process_says_so_and_goes_on(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    loaded = load_ring({}, folder=tmp_path / "file" / "state")
    assert ID.fullmatch(loaded.token_id(opaque()))
    assert "BEARERWATCH_KEYS" in capfd.readouterr().err


def test_the_state_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert state_dir({"BEARERWATCH_STATE": "/s", "XDG_STATE_HOME": "/x"}) == Path("/s")
    assert state_dir({"XDG_STATE_HOME": "/x"}) == Path("/x/bearerwatch")
    monkeypatch.setenv("HOME", "/home/me")
    assert state_dir({}) == Path("/home/me/.local/state/bearerwatch")


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs under a made-up user id."""
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda uid: (_ for _ in ()).throw(KeyError(uid)))
    with pytest.raises(ConfigurationError, match="BEARERWATCH_STATE"):
        state_dir({})


def test_the_public_name_uses_the_ring_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    token = jwt()
    assert bearerwatch.fingerprint(token) == ring().token_id(token)
    monkeypatch.setenv("BEARERWATCH_KEYS", NEW.decode())
    use(None)
    assert bearerwatch.fingerprint(token) == KeyRing([NEW]).token_id(token)
    assert ring() is ring()


def test_a_key_survives_a_write_that_is_cut_short(tmp_path: Path) -> None:
    """A file that somebody emptied is an error that says so, never a ring with an empty key."""
    (tmp_path / "fingerprint.key").write_bytes(b"")
    os.chmod(tmp_path / "fingerprint.key", 0o600)
    with pytest.raises(ConfigurationError, match="fewer than 16"):
        load_ring({}, folder=tmp_path)
