"""The demonstration makes its folder anew, and never one that it did not make."""

from __future__ import annotations

from pathlib import Path

import pytest

from bearerwatch.demo.layout import Layout, samples_dir
from bearerwatch.errors import ConfigurationError


def test_its_own_folder_is_emptied(tmp_path: Path) -> None:
    layout = Layout.make(tmp_path / "out")
    layout.client_log.write_text("old")

    again = Layout.make(tmp_path / "out")

    assert not again.client_log.exists()
    assert again.state.is_dir()
    assert again.root.stat().st_mode & 0o077 == 0


def test_an_empty_folder_will_do(tmp_path: Path) -> None:
    assert Layout.make(tmp_path).root == tmp_path


def test_somebody_elses_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")

    with pytest.raises(ConfigurationError, match="--out"):
        Layout.make(tmp_path)

    assert (tmp_path / "thesis.tex").read_text() == "mine"


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")

    with pytest.raises(ConfigurationError):
        Layout.make(tmp_path / "file")


def test_the_samples_are_found() -> None:
    assert (samples_dir() / "django_api" / "settings.py").is_file()


def test_a_folder_that_cannot_be_made_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(ConfigurationError, match="another folder with --out"):
        Layout.make(tmp_path / "file" / "out")
