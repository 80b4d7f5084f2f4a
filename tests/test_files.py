import errno
import os
from pathlib import Path

import pytest

from trackersplat.errors import InputError
from trackersplat.files import atomic_file, atomic_folder, read_json, remove_dead, remove_leftovers, restore, working_folder, write_text


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


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    kept = ["frame1", ".frame1.notes.tmp", ".frame1.0123456789ab", "run.json", ".hidden", "lock", ".lock", ".frame1.old"]
    for name in (*kept, ".frame1.0123456789ab.tmp", ".frame[10].ba9876543210.tmp"):
        (tmp_path / name / "below").mkdir(parents=True)
    for name in (".run.json.0123456789ab.tmp", ".two\nlines.ba9876543210.tmp", ".frame3.lock"):
        (tmp_path / name).write_text("half")
    (tmp_path / ".linked.0123456789ab.tmp").symlink_to(tmp_path / "frame1")
    remove_leftovers(tmp_path)
    assert names(tmp_path) == sorted(kept)


def test_a_writer_of_a_folder_removes_what_a_killed_one_of_the_same_folder_left(tmp_path: Path) -> None:
    for name in (".a[1].0123456789ab.tmp", ".b.0123456789ab.tmp"):
        (tmp_path / name / "below").mkdir(parents=True)
    (tmp_path / ".a[1].lock").write_text("left behind")
    with atomic_folder(tmp_path / "a[1]") as folder:
        (folder / "new.txt").write_text("new")
    assert names(tmp_path) == [".b.0123456789ab.tmp", "a[1]"]


def test_two_writers_of_one_folder_do_not_disturb_each_other(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "a") as folder:
        (folder / "first.txt").write_text("first")
        with pytest.raises(InputError, match=rf"a is being written by process {os.getpid()} on "), atomic_folder(tmp_path / "a"):
            pass
    assert names(tmp_path) == ["a"]
    assert names(tmp_path / "a") == ["first.txt"]


@pytest.mark.parametrize("there", [True, False], ids=["after the second rename", "between the renames"])
def test_an_exchange_of_folders_that_was_killed_is_ended(tmp_path: Path, there: bool) -> None:
    (tmp_path / ".a.old").mkdir()
    (tmp_path / ".a.old" / "old.txt").write_text("old")
    if there:
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "new.txt").write_text("new")
    restore(tmp_path / "a")
    assert names(tmp_path) == ["a"]
    assert names(tmp_path / "a") == ["new.txt" if there else "old.txt"]


def test_working_folders_of_dead_processes_are_removed_and_those_of_living_ones_are_not(tmp_path: Path) -> None:
    for name in ("job.0123456789ab.work", "job.ba9876543210.work", "job.notes", "other.0123456789ab.work"):
        (tmp_path / name / "below").mkdir(parents=True)
    (tmp_path / "job.0123456789ab.work.lock").write_text("of a killed process")
    (tmp_path / "job.aaaaaaaaaaaa.work.lock").write_text("of one that was killed before its folder was there")
    with working_folder("job", tmp_path) as first, working_folder("job", tmp_path) as second:
        assert names(tmp_path) == sorted(
            [first.name, f"{first.name}.lock", second.name, f"{second.name}.lock", "job.notes", "other.0123456789ab.work"]
        )
    assert names(tmp_path) == ["job.notes", "other.0123456789ab.work"]


@pytest.mark.parametrize("kind", ["a pipe", "an endless device", "a folder", "more than is read"])
def test_what_is_no_small_plain_file_is_not_read_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    path = tmp_path / "a.json"
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "an endless device":
        path.symlink_to("/dev/zero")
    elif kind == "a folder":
        path.mkdir()
    else:
        monkeypatch.setattr("trackersplat.files.JSON_LIMIT", 10)
        path.write_text('{"a": 12345}')
    expected = "has more than 10 bytes" if kind == "more than is read" else "expected a file"
    with pytest.raises(InputError, match=rf"a\.json.*{expected}"):
        read_json(path)


def test_a_byte_order_mark_before_json_is_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(tmp_path / "a.json") == {"a": 1}


def test_what_dead_writers_of_a_folder_left_is_removed_and_what_living_ones_use_is_not(tmp_path: Path) -> None:
    for name in (".a.0123456789ab.tmp", ".a.frames.0123456789ab.work", ".b.0123456789ab.tmp"):
        (tmp_path / name / "below").mkdir(parents=True)
    (tmp_path / ".a.lock").write_text("of a killed process")
    (tmp_path / ".a.frames.0123456789ab.work.lock").write_text("of a killed process")
    remove_dead(tmp_path / "a")
    assert names(tmp_path) == [".b.0123456789ab.tmp"]
    with atomic_folder(tmp_path / "a") as folder, working_folder(".a.frames", tmp_path) as work:
        remove_dead(tmp_path / "a")
        assert folder.is_dir()
        assert work.is_dir()
    remove_dead(tmp_path / "missing" / "a")
