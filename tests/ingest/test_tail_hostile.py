"""Folders and files nobody should trust: a spool is followed without being led astray."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from bearerwatch.errors import ConfigurationError
from bearerwatch.ingest.segment import Segment
from bearerwatch.ingest.tail import SpoolTail
from ingest.followed import Spool


class TestHostileFolders:
    def test_links_are_not_followed(self, spool: Spool, tmp_path: Path, said: object) -> None:
        secret = tmp_path / "secret"
        secret.write_bytes(b"secret\n")
        folder = spool.service()
        (folder / "link.jsonl").symlink_to(secret)
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "x.jsonl").write_bytes(b"elsewhere\n")
        (spool.folder / "linked").symlink_to(tmp_path / "elsewhere")

        assert [spool.round() for _ in range(3)] == [[], [], []]
        assert secret.exists()
        assert (tmp_path / "elsewhere" / "x.jsonl").exists()
        assert "link.jsonl is not read: it is not a regular file" in said.text
        assert "linked in the spool" in said.text

    def test_pipes_devices_and_folders(self, spool: Spool, said: object) -> None:
        folder = spool.service()
        os.mkfifo(folder / "pipe.jsonl")
        (folder / "folder.jsonl").mkdir()
        os.mknod(folder / "device.jsonl", 0o600 | stat.S_IFCHR, os.makedev(1, 5))
        spool.segment("good", b"good\n")

        assert spool.round() == [b"good"]
        assert spool.tail.figures().refused == 3
        for name in ("pipe", "folder", "device"):
            assert f"{name}.jsonl is not read" in said.text

    def test_a_refused_name_that_becomes_a_segment(self, spool: Spool) -> None:
        folder = spool.service()
        os.mkfifo(folder / "a.jsonl")
        assert spool.round() == []
        (folder / "a.jsonl").unlink()
        spool.segment("a", b"now\n")
        assert spool.round() == [b"now"]

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
    def test_a_strangers_file(self, spool: Spool, said: object) -> None:
        """In a folder of user 1234, a file of user 4321 is not that service's."""
        path = spool.segment("a", b"forged\n")
        os.chown(path.parent, 1234, 1234)
        os.chown(path, 4321, 4321)

        assert spool.round() == []
        assert path.exists()
        assert "belongs to user 4321" in said.text
        os.chown(path, 1234, 1234)

    def test_a_folder_everybody_may_write(self, spool: Spool, said: object) -> None:
        spool.segment("a", b"forged\n").parent.chmod(0o777)
        assert spool.round() == []
        assert "chmod 700" in said.text

    def test_unreadable_file(self, spool: Spool, said: object, monkeypatch: pytest.MonkeyPatch) -> None:
        """One file that cannot be opened does not stop the others, and is read once it can be."""
        if os.geteuid() == 0:
            real, fail = os.open, True

            def denied(path: object, *args: object, **options: object) -> int:
                if path == "bad.jsonl" and fail:
                    raise PermissionError(13, "Permission denied")
                return real(path, *args, **options)  # type: ignore[arg-type]

            monkeypatch.setattr("bearerwatch.ingest.segment.os.open", denied)
        bad = spool.segment("bad", b"bad\n")
        bad.chmod(0)
        spool.segment("good", b"good\n")

        assert spool.round() == [b"good"]
        assert "bad.jsonl cannot be read: Permission denied" in said.text
        fail = False
        bad.chmod(0o600)
        assert spool.round() == [b"bad"]

    @pytest.mark.parametrize(
        ("number", "advice"),
        [(errno.EACCES, "applications' user"), (errno.EMFILE, "LimitNOFILE"), (errno.EIO, "dmesg"), (errno.ELOOP, "")],
    )
    def test_the_advice_is_for_what_is_wrong(
        self, spool: Spool, said: Any, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
    ) -> None:
        """Whoever has run out of files is not told to become root."""

        def failing(*_: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(Segment, "open", failing)
        spool.segment("a", b"one\n")
        assert spool.round() == []
        assert f"cannot be read: {os.strerror(number)}" in said.text
        assert advice in said.text
        assert ("root" in said.text) == (number == errno.EACCES)

    def test_names_nobody_should_choose(self, spool: Spool, said: object) -> None:
        """Broken UTF-8 and terminal control in names: refused, and not repeated to the terminal."""
        folder = spool.service()
        (Path(os.fsdecode(bytes(folder) + b"/\xff\xfe.jsonl"))).write_bytes(b"x\n")
        (folder / "\x1b[31mred.jsonl").write_bytes(b"x\n")
        (spool.folder / "new\nline").mkdir()

        assert spool.round() == []
        assert "\x1b" not in said.text
        assert "new\\nline" in said.text
        assert spool.tail.figures().refused == 2

    def test_other_files_are_left_alone(self, spool: Spool) -> None:
        folder = spool.service()
        (folder / ".draft.tmp").write_bytes(b"draft\n")
        (folder / ".hidden.jsonl").write_bytes(b"hidden\n")
        (folder / "notes.txt").write_bytes(b"notes\n")
        assert spool.round() == []
        assert len(list(folder.iterdir())) == 3

    def test_deleted_under_us_is_still_read(self, spool: Spool) -> None:
        """An open segment that somebody removes is read to its end through its descriptor."""
        writer = spool.writer("a", b"one\n")
        assert spool.round() == [b"one"]
        (spool.folder / "shop" / "a.jsonl").unlink()
        os.write(writer, b"two\n")
        assert spool.round() == [b"two"]
        spool.seal(writer)
        spool.round()
        assert spool.tail.figures().segments == 0

    def test_deleted_before_we_read_it(self, spool: Spool, said: object, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("bearerwatch.ingest.tail._MAX_OPEN", 1)
        spool.segment("a", b"one\n" * 9)
        path = spool.segment("b", b"two\n")
        spool.tail.poll(limit_lines=2)
        path.unlink()
        for _ in range(3):
            spool.tail.poll(limit_lines=2)
        assert spool.tail.figures().lost == 1
        assert "b.jsonl of spool:shop was removed before all of it was read" in said.text

    def test_the_whole_folder_goes(self, spool: Spool) -> None:
        path = spool.segment("a", b"one\n")
        spool.round()
        spool.segment("b", b"two\n")
        spool.tail.poll()
        import shutil

        shutil.rmtree(path.parent)
        assert spool.round() == []
        assert spool.tail.figures().segments == 0
        spool.segment("c", b"three\n")
        assert spool.round() == [b"three"]

    def test_a_disk_that_is_unmounted_and_comes_back(self, spool: Spool) -> None:
        """What was counted is not counted again; what was not committed in between is not lost."""
        writer = spool.writer("a", b"one\n")
        assert spool.round() == [b"one"]
        os.write(writer, b"two\n")
        assert [raw.line for raw in spool.tail.poll()] == [b"two"]
        (spool.folder / "shop").rename(spool.folder / ".away")
        assert spool.round() == []
        assert spool.round() == []
        os.write(writer, b"three\n")
        (spool.folder / ".away").rename(spool.folder / "shop")
        assert spool.round() == [b"three"]
        spool.restart()
        assert spool.round() == []

    def test_a_restart_while_the_disk_is_away(self, spool: Spool) -> None:
        """What was read just before it went is committed after it went, and remembered until it comes back."""
        writer = spool.writer("a", b"one\n")
        assert [raw.line for raw in spool.tail.poll()] == [b"one"]
        (spool.folder / "shop").rename(spool.folder / ".away")
        assert spool.round() == []
        spool.restart()
        assert spool.round() == []
        os.write(writer, b"two\n")
        (spool.folder / ".away").rename(spool.folder / "shop")
        assert spool.round() == [b"two"]

    def test_a_link_that_appears_between_listing_and_opening(self, spool: Spool, tmp_path: Path) -> None:
        """The kernel refuses it, whatever the listing saw."""
        (tmp_path / "secret").write_bytes(b"secret\n")
        folder = spool.service()
        (folder / "a.jsonl").symlink_to(tmp_path / "secret")
        handle = os.open(folder, os.O_RDONLY)
        try:
            with pytest.raises(OSError, match="symbolic"):
                Segment("spool:shop", "a.jsonl", 0).open(handle, frozenset((os.geteuid(),)))
        finally:
            os.close(handle)

    def test_two_collectors_on_one_spool(self, spool: Spool, said: object) -> None:
        """The second one takes nothing, and takes over when the first ends."""
        spool.segment("a", b"one\n")
        second = SpoolTail(spool.folder, spool.state, complain=said)
        spool.tail.claim()
        with pytest.raises(ConfigurationError, match="another collector tails the spool"):
            second.claim()
        assert second.poll() == []
        assert "another collector" in said.text
        spool.tail.close()
        assert [raw.line for raw in second.poll()] == [b"one"]
        second.close()

    def test_another_file_under_the_same_name_is_not_deleted(self, spool: Spool) -> None:
        writer = spool.writer("a", b"one\n")
        assert spool.round() == [b"one"]
        path = spool.folder / "shop" / "a.jsonl"
        path.unlink()
        path.write_bytes(b"another\n")
        spool.seal(writer)
        spool.round()
        assert path.read_bytes() == b"another\n"
        assert b"another" in spool.round() + spool.round()

    def test_cut_short(self, spool: Spool, said: object) -> None:
        """After a power cut a segment may be shorter than what was counted of it: nothing twice."""
        writer = spool.writer("a", b"one\ntwo\n")
        assert spool.round() == [b"one", b"two"]
        os.truncate(spool.folder / "shop" / "a.jsonl", 4)
        assert spool.round() == []
        os.write(writer, b"three\n")
        assert spool.round() == [b"three"]
        assert spool.tail.figures().lost == 1
        assert "shorter than what was read of it" in said.text

    def test_a_folder_we_may_not_write(self, spool: Spool, said: object, monkeypatch: pytest.MonkeyPatch) -> None:
        """What cannot be deleted is neither read again nor tried to be deleted at every tick."""
        path = spool.segment("a", b"one\n")
        with monkeypatch.context() as patch:
            tried = undeletable(patch, "a")
            assert [spool.round() for _ in range(5)] == [[b"one"], [], [], [], []]
        assert tried == ["a.jsonl"]
        assert "cannot be deleted: Permission denied; make the folder writable" in said.text
        spool.restart()
        assert spool.round() == []
        assert not path.exists()

    def test_what_cannot_be_deleted_leaves_room_to_read(
        self, spool: Spool, said: object, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A spool mounted read-only: new segments are read for as long as they come, none of them twice."""
        monkeypatch.setattr("bearerwatch.ingest.tail._MAX_OPEN", 8)
        undeletable(monkeypatch, "a", number=errno.EROFS)
        before = len(list(Path("/proc/self/fd").iterdir()))
        for number in range(40):
            spool.segment(f"a{number}", b"%d\n" % number)
            assert spool.round() == [b"%d" % number]
        assert spool.round() == []
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 8
        assert "mount it writable" in said.text

    def test_one_folder_we_may_not_write_is_no_matter_to_the_others(
        self, spool: Spool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kept = spool.segment("a", b"one\n", service="sealed")
        undeletable(monkeypatch, "a")
        assert spool.round() == [b"one"]
        gone = spool.segment("b", b"two\n", service="shop")
        assert spool.round() == [b"two"]
        assert (kept.exists(), gone.exists()) == (True, False)

    def test_it_is_tried_again_after_a_while(self, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("bearerwatch.ingest.tail._UNLINK_EVERY", 0.05)
        path = spool.segment("a", b"one\n")
        with monkeypatch.context() as patch:
            undeletable(patch, "a")
            assert spool.round() == [b"one"]
        assert spool.until_gone(path) == []


def undeletable(patch: pytest.MonkeyPatch, prefix: str, *, number: int = errno.EACCES) -> list[str]:
    """Files that begin with *prefix* cannot be deleted; returns those that were tried.

    Root may delete anywhere: the kernel's word is put in its mouth.
    """
    tried: list[str] = []
    real = os.unlink

    def unlink(path: str, *, dir_fd: int | None = None) -> None:
        if path.startswith(prefix):
            tried.append(path)
            raise OSError(number, os.strerror(number))
        real(path, dir_fd=dir_fd)

    patch.setattr("bearerwatch.ingest.tail.os.unlink", unlink)
    return tried
