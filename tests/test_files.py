import errno
import os
from pathlib import Path

import pytest

from trackersplat.errors import InputError
from trackersplat.files import atomic_file, atomic_folder, remove_leftovers, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_that_fails_half_way_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")

    def fail() -> None:
        with atomic_file(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_file_below_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("in the way")
    with pytest.raises(InputError, match=r"b\.txt cannot be written \(Not a directory\)"):
        write_text(tmp_path / "a.txt" / "b.txt", "new")


def test_a_short_write_of_numpy_has_a_reason_too(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\(3 requested and 1 written\)"), atomic_file(tmp_path / "a.ply"):
        raise OSError("3 requested and 1 written")


def test_a_folder_replaces_the_one_before_as_a_whole(tmp_path: Path) -> None:
    for text in ("old", "new"):
        with atomic_folder(tmp_path / "a") as folder:
            (folder / f"{text}.txt").write_text(text)
    assert names(tmp_path) == ["a"]
    assert names(tmp_path / "a") == ["new.txt"]


def test_the_old_folder_is_there_until_the_new_one_is_complete(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "a") as folder:
        (folder / "old.txt").write_text("old")

    def fill_the_disk() -> None:
        with atomic_folder(tmp_path / "a"):
            assert names(tmp_path / "a") == ["old.txt"]
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(InputError, match="No space left"):
        fill_the_disk()
    assert names(tmp_path) == ["a"]
    assert names(tmp_path / "a") == ["old.txt"]


def test_the_old_folder_comes_back_if_the_new_one_cannot_take_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text(tmp_path / "old.txt", "old")
    (tmp_path / "a").mkdir()
    (tmp_path / "old.txt").rename(tmp_path / "a" / "old.txt")
    replace, calls = os.replace, []

    def second_fails(source: Path, target: Path) -> None:
        calls.append(source)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")
        replace(source, target)

    def change() -> None:
        with atomic_folder(tmp_path / "a"):
            pass

    monkeypatch.setattr("trackersplat.files.os.replace", second_fails)
    with pytest.raises(InputError, match="Input/output error"):
        change()
    assert names(tmp_path) == ["a"]
    assert names(tmp_path / "a") == ["old.txt"]


def test_a_folder_whose_removal_is_slow_is_renamed_away_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with atomic_folder(tmp_path / "a") as folder:
        (folder / "old.txt").write_text("old")
    seen: list[list[str]] = []

    def killed(path: Path, ignore_errors: bool = False) -> None:
        seen.append(names(tmp_path / "a"))

    monkeypatch.setattr("trackersplat.files.shutil.rmtree", killed)
    with atomic_folder(tmp_path / "a") as folder:
        (folder / "new.txt").write_text("new")
    assert seen
    assert all(found == ["new.txt"] for found in seen)


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    kept = ("frame1", ".frame10.0123456789ab.tmp", ".frame1.notes.tmp", ".frame1.0123456789ab", "[frame]1")
    for name in (*kept, ".frame1.0123456789ab.tmp", ".frame1.ba9876543210.tmp"):
        (tmp_path / name / "below").mkdir(parents=True)
    remove_leftovers(tmp_path / "frame1")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
    remove_leftovers(tmp_path / "missing" / "frame1")


def test_a_folder_that_is_being_written_has_the_name_of_a_leftover(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "frame[1]") as folder:
        remove_leftovers(tmp_path / "frame[2]")
        assert folder.is_dir()
        remove_leftovers(tmp_path / "frame[1]")
        assert not folder.is_dir()
        folder.mkdir()
