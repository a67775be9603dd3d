from __future__ import annotations

import copy
import pickle

import pytest

from bearerwatch.alert.secret import Secret


def test_no_way_of_printing_shows_it() -> None:
    value = "correct-horse" + "-battery"
    secret = Secret(value, "env HOOK")
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r:>40}",
        f"{secret}",
        repr([secret]),
        repr({"a": secret}),
    ]
    assert all(value not in text for text in shown)
    assert all("env HOOK" in text for text in shown)
    assert secret.reveal() == value


def test_it_is_neither_pickled_nor_copied_nor_hashed() -> None:
    secret = Secret("value", "env HOOK")
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)
    with pytest.raises(TypeError, match="not pickled"):
        copy.deepcopy(secret)
    with pytest.raises(TypeError, match="unhashable"):
        hash(secret)


def test_equality_is_by_value() -> None:
    assert Secret("a", "x") == Secret("a", "y")
    assert Secret("a", "x") != Secret("b", "x")
    assert Secret("a", "x") != "a"
    assert len(Secret("abc", "x")) == 3
