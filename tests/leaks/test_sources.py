"""What is looked at, and what is not looked at twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bearerwatch.leaks import beside
from bearerwatch.leaks.sources import sources


def names(*paths: Any) -> list[str]:
    return [source.name for source in sources(map(str, paths), lambda *told: pytest.fail(str(told)))]


def problems(*paths: Any) -> list[tuple[str, str]]:
    told: list[tuple[str, str]] = []
    list(sources(map(str, paths), lambda *one: told.append(one)))
    return told


def test_a_folder_is_all_that_is_below_it(tmp_path: Path) -> None:
    for name in ("b.log", ".hidden", "a/deep/c.log", "a/d"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [str(Path(name).relative_to(tmp_path)) for name in names(tmp_path)]
    assert sorted(found) == [".hidden", "a/d", "a/deep/c.log", "b.log"]


def test_links_that_lead_in_circles_end_and_each_file_comes_once(tmp_path: Path) -> None:
    inner = tmp_path / "logs" / "inner"
    inner.mkdir(parents=True)
    (inner / "app.log").touch()
    (inner / "up").symlink_to(tmp_path)
    (inner / "self").symlink_to(inner)
    (tmp_path / "again").symlink_to(inner / "app.log")
    os.link(inner / "app.log", inner / "hard.log")
    assert len(names(tmp_path, tmp_path / "logs", inner / "app.log")) == 1


def test_a_link_out_of_the_folder_is_followed_and_one_to_nowhere_passed_over(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere.log"
    target.touch()
    folder = tmp_path / "containers"
    folder.mkdir()
    (folder / "pod.log").symlink_to(target)
    (folder / "gone.log").symlink_to(tmp_path / "gone")
    os.mkfifo(folder / "pipe")
    assert names(folder) == [str(folder / "pod.log")]


def test_patterns(tmp_path: Path) -> None:
    for name in ("a.log", "b.txt", "sub/c.log", ".h.log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert sorted(names(tmp_path / "**/*.log")) == sorted(
        str(tmp_path / name) for name in ("a.log", "sub/c.log", ".h.log")
    )
    (tmp_path / "[x].log").touch()
    assert names(tmp_path / "[x].log") == [str(tmp_path / "[x].log")]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    (one,) = problems(tmp_path / "none.log")
    assert one[0] == str(tmp_path / "none.log")
    assert "No such file" in one[1]
    assert "no file fits" in problems(tmp_path / "*.none")[0][1]
    (tmp_path / "dangling").symlink_to("nowhere")
    assert "No such file" in problems(tmp_path / "dangling")[0][1]


def test_what_is_ours_is_not_looked_at(tmp_path: Path) -> None:
    path = str(tmp_path / "app.log")
    for name in (beside.journal(path), beside.draft(path), path):
        Path(name).touch()
    assert names(tmp_path) == [path]
    assert len(Path(beside.journal("/x/" + "n" * 255)).name) < 60


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_may_not_be_listed_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0)
    assert "cannot be listed" in problems(tmp_path)[0][1]


def test_a_deep_tree_needs_no_deep_stack(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom bearerwatch.leaks.sources import sources\nos.chdir(sys.argv[1])\n"
        "for _ in range(1500): os.mkdir('d'); os.chdir('d')\n"
        "open('x', 'w').close(); os.chdir(sys.argv[1])\n"
        "print(len(list(sources(['.'], print))))"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("1\n", "")
    subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)
