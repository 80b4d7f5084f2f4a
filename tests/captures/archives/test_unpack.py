"""ZIP archives, whole and split, and hostile ones."""

from __future__ import annotations

import io
import os
import shutil
import struct
import subprocess
import zipfile
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from trackersplat.captures.archives import unpack as unpacking
from trackersplat.captures.archives.unpack import Unpacked, Written, find_archive, unpack
from trackersplat.errors import InputError

NOISE = np.random.default_rng(0).bytes(40_000)
FILES = {"scene/cam00.mp4": NOISE, "scene/poses.npy": b"\0" * 300_000, "scene/deep/er/ä.txt": b"asymmetric", "scene/empty": b""}


def _zip(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name) if method == zipfile.ZIP_STORED else name, data)
    return path


def _run(archive: Path, folder: Path) -> dict[str, bytes]:
    *steps, last = unpack(archive, folder)
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert all(isinstance(step, Written) and step.done <= step.total for step in steps)
    size = sum(map(len, found.values()))
    assert (steps[-1], last) == (Written(size, size), Unpacked(folder))
    return found


def _split(archive: Path, cuts: list[int]) -> list[Path]:
    """Splits a ZIP as Info-ZIP's ``zip -s`` does: a mark before the first part, and places that count from the start of their part."""
    data = archive.read_bytes()
    end = data.rfind(b"PK\5\6")
    (offset,) = struct.unpack("<I", data[end + 16 : end + 20])
    bounds = [0, *cuts, len(data)]

    def part_of(place: int) -> int:
        return max(i for i, bound in enumerate(bounds[:-1]) if bound <= place)

    def local(place: int) -> int:
        return place - bounds[part_of(place)] + (4 if part_of(place) == 0 else 0)

    entries, position = bytearray(data[offset:end]), 0
    while position < len(entries):
        (place,) = struct.unpack("<I", entries[position + 42 : position + 46])
        entries[position + 34 : position + 36] = struct.pack("<H", part_of(place))
        entries[position + 42 : position + 46] = struct.pack("<I", local(place))
        position += 46 + sum(struct.unpack("<HHH", entries[position + 28 : position + 34]))
    last = bytearray(data[end:])
    last[4:8] = struct.pack("<HH", len(cuts), part_of(offset))
    last[16:20] = struct.pack("<I", local(offset))
    whole = data[:offset] + bytes(entries) + bytes(last)
    pieces = [whole[a:b] for a, b in pairwise(bounds)]
    pieces[0] = b"PK\7\x08" + pieces[0]
    paths = [archive.with_suffix(f".z{i + 1:02d}") for i in range(len(cuts))] + [archive]
    for path, piece in zip(paths, pieces, strict=True):
        path.write_bytes(piece)
    return paths


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_what_was_packed_comes_out(tmp_path: Path, method: int):
    assert _run(_zip(tmp_path / "a.zip", FILES, method), tmp_path / "out") == FILES


@pytest.mark.parametrize("cuts", [[20_000], [35, 20_000, 39_999], [41_000]])
def test_a_split_archive_is_read_from_all_its_parts(tmp_path: Path, cuts: list[int]):
    paths = _split(_zip(tmp_path / "a.zip", FILES), cuts)
    assert find_archive(paths[0]) == paths[-1]
    assert find_archive(tmp_path) == paths[-1]
    assert _run(paths[-1], tmp_path / "out") == FILES


@pytest.mark.skipif(shutil.which("zip") is None, reason="Info-ZIP's zip is not installed")
def test_a_split_archive_of_info_zip_is_read(tmp_path: Path):
    (tmp_path / "scene").mkdir()
    noise = np.random.default_rng(1).bytes(150_000)
    (tmp_path / "scene" / "a.mp4").write_bytes(noise)
    (tmp_path / "scene" / "b.txt").write_bytes(b"b")
    subprocess.run(["zip", "-q", "-r", "-s", "64k", "parts.zip", "scene"], cwd=tmp_path, check=True)
    assert (tmp_path / "parts.z02").is_file()
    assert _run(tmp_path / "parts.zip", tmp_path / "out") == {"scene/a.mp4": noise, "scene/b.txt": b"b"}


def test_an_entry_in_the_form_for_large_archives_is_read(tmp_path: Path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, archive.open("a.txt", "w", force_zip64=True) as file:
        file.write(b"large in form only")
    data = bytearray(buffer.getvalue())
    start = data.rfind(b"PK\1\2")
    size, packed, name = *struct.unpack("<II", data[start + 24 : start + 28] + data[start + 20 : start + 24]), 5
    extra = struct.pack("<HHQQQ", 1, 24, size, packed, 0)
    entry = data[start : start + 46 + name]
    entry[20:28] = b"\xff" * 8
    entry[30:32] = struct.pack("<H", len(extra))
    entry[42:46] = b"\xff" * 4
    listed = bytes(entry) + extra
    body = bytes(data[:start])
    end64 = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(listed), len(body))
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(body) + len(listed), 1)
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    (tmp_path / "a.zip").write_bytes(body + listed + end64 + locator + end)
    assert _run(tmp_path / "a.zip", tmp_path / "out") == {"a.txt": b"large in form only"}


@pytest.mark.parametrize("name", ["../out.txt", "/etc/passwd", "a/../../b", "C:\\windows", "a\\..\\b", "c:x", "x" * 300, "a\nb"])
def test_names_that_lead_elsewhere_are_refused_and_nothing_is_written(tmp_path: Path, name: str):
    archive = _zip(tmp_path / "a.zip", {"good.txt": b"1", name: b"2"})
    with pytest.raises(InputError, match="which does not stay inside of a folder"):
        list(unpack(archive, tmp_path / "deep" / "out"))
    assert [path.name for path in tmp_path.rglob("*")] == ["a.zip"]


def test_links_are_refused(tmp_path: Path):
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(InputError, match="is no plain file"):
        list(unpack(tmp_path / "a.zip", tmp_path / "out"))


def _flip(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 0x55]) + data[position + 1 :]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-30], "no ZIP archive, or its end is missing"),
        (lambda data: b"", "no ZIP archive"),
        (lambda data: data[20:], "is damaged or incomplete"),
        (lambda data: _flip(data, 5_000), "is not what it was when it was packed|is damaged"),
        (lambda data: _flip(data, data.rfind(b"PK\1\2") + 20), "is damaged or incomplete"),
        (lambda data: _flip(data, data.rfind(b"PK\1\2") + 34), "refers to part 86"),
        (lambda data: _flip(data, data.rfind(b"PK\1\2") + 10), "packed by method"),
    ],
)
def test_damage_is_one_sentence_and_leaves_nothing(tmp_path: Path, damage, message: str):
    archive = _zip(tmp_path / "a.zip", FILES)
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(InputError, match=message):
        list(unpack(archive, tmp_path / "out"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_bomb_is_refused_before_and_while_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    archive = _zip(tmp_path / "a.zip", {"bomb": b"\0" * 5_000_000})
    data = bytearray(archive.read_bytes())
    start = data.rfind(b"PK\1\2")
    data[start + 24 : start + 28] = struct.pack("<I", 1000)
    data[start + 16 : start + 20] = struct.pack("<I", zlib.crc32(b"\0" * 1000))
    (tmp_path / "liar.zip").write_bytes(bytes(data))
    with pytest.raises(InputError, match="'bomb' is larger than it says"):
        list(unpack(tmp_path / "liar.zip", tmp_path / "out"))
    free = shutil.disk_usage(tmp_path)._replace(free=unpacking.SPARE + 4_000_000)
    monkeypatch.setattr(unpacking.shutil, "disk_usage", lambda place: free)
    with pytest.raises(InputError, match=r"unpacks to 0\.0 GB, but .* has 0\.3 GB free: choose another --out"):
        list(unpack(archive, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_missing_part_is_named(tmp_path: Path):
    paths = _split(_zip(tmp_path / "a.zip", FILES), [10_000, 20_000])
    paths[1].unlink()
    with pytest.raises(InputError, match=r"has 2 parts here, but refers to part 3|is damaged or incomplete"):
        list(unpack(paths[2], tmp_path / "out"))
    paths[2].unlink()
    with pytest.raises(InputError, match=r"whose last part, a\.zip, is missing"):
        find_archive(paths[0])


def test_of_several_archives_one_must_be_named(tmp_path: Path):
    _zip(tmp_path / "a.zip", FILES)
    _zip(tmp_path / "b.zip", FILES)
    assert find_archive(tmp_path / "b.zip") == tmp_path / "b.zip"
    with pytest.raises(InputError, match=r"has 2 archives, a\.zip and others"):
        find_archive(tmp_path)


def _overlapping(path: Path, copies: int, size: int) -> None:
    """The same packed data under many names, as David Fifield's archives do."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packer.compress(bytes(size)) + packer.flush()
    crc = zlib.crc32(bytes(size))
    names = [f"{i:04d}".encode() for i in range(copies)]
    body = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, 8, 0, 0, crc, len(data), size, 4, 0) + names[0] + data
    listed = b"".join(
        struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", 20, 20, 0, 8, 0, 0, crc, len(data), size, 4, 0, 0, 0, 0, 0, 0) + name
        for name in names
    )
    path.write_bytes(body + listed + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, copies, copies, len(listed), len(body), 0))


def test_entries_that_share_bytes_are_refused(tmp_path: Path):
    _overlapping(tmp_path / "a.zip", 2, 1000)
    with pytest.raises(InputError, match=r"a\.zip is damaged or incomplete \('0000' overlaps with what follows it\)"):
        list(unpack(tmp_path / "a.zip", tmp_path / "out"))


def test_an_entry_that_reaches_into_the_list_of_files_is_refused(tmp_path: Path):
    archive = _zip(tmp_path / "a.zip", {"a.txt": b"12345678"}, zipfile.ZIP_STORED)
    data = bytearray(archive.read_bytes())
    start = data.rfind(b"PK\1\2")
    data[start + 20 : start + 28] = struct.pack("<II", 40, 40)
    archive.write_bytes(bytes(data))
    with pytest.raises(InputError, match=r"'a\.txt' overlaps with what follows it"):
        list(unpack(archive, tmp_path / "out"))


def test_a_small_archive_of_much_is_refused_with_the_way_to_go_on(tmp_path: Path):
    archive = _zip(tmp_path / "a.zip", {f"{i}.npy": b"\0" * 40_000_000 for i in range(2)})
    with pytest.raises(InputError, match=r"has 0\.1 MB and would unpack to 80 MB, .* unpack it by hand and give the folder"):
        list(unpack(archive, tmp_path / "out"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b/c", "a/b"), ("a/", "a")])
def test_a_name_that_is_file_and_folder_is_called_so(tmp_path: Path, names: tuple[str, str]):
    archive = _zip(tmp_path / "a.zip", dict.fromkeys(names, b""))
    with pytest.raises(InputError, match=r"a\.zip is damaged or incomplete \('a(/b)?' is both a file and a folder in it\)"):
        list(unpack(archive, tmp_path / "out"))


def test_a_path_that_no_file_system_takes_is_not_called_free_space(tmp_path: Path):
    archive = _zip(tmp_path / "a.zip", {"/".join(["d" * 100] * 60): b"x"})
    with pytest.raises(InputError, match=r"a\.zip has a file whose name has 6,059 bytes .*, which is too long"):
        list(unpack(archive, tmp_path / "out"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize("names", [(), ("folder/",)])
def test_an_archive_without_files_is_refused_by_its_own_name(tmp_path: Path, names: tuple[str, ...]):
    archive = _zip(tmp_path / "a.zip", dict.fromkeys(names, b""))
    with pytest.raises(InputError, match=r"a\.zip holds no files"):
        list(unpack(archive, tmp_path / "out"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "a.zip")
    with pytest.raises(InputError, match=r"a\.zip is not a plain file"):
        list(unpack(tmp_path / "a.zip", tmp_path / "out"))


@pytest.mark.parametrize("names", [("a/b", "a//b"), ("a/b", "./a/b"), ("a/./b", "a/b")])
def test_two_ways_to_write_a_name_are_one_name(tmp_path: Path, names: tuple[str, str]):
    archive = _zip(tmp_path / "a.zip", dict.fromkeys(names, b"x"))
    with pytest.raises(InputError, match="a name stands in it twice"):
        list(unpack(archive, tmp_path / "out"))


def test_folders_listed_beside_their_files_are_no_conflict(tmp_path: Path):
    archive = _zip(tmp_path / "a.zip", {"a/": b"", "a/b/": b"", "a/b/c.txt": b"c"})
    assert _run(archive, tmp_path / "out") == {"a/b/c.txt": b"c"}
