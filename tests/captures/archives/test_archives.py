from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from trackersplat.captures.registry import open_capture
from trackersplat.errors import InputError


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["coffee_martini.zip"], r"coffee_martini\.zip is an archive, which must be unpacked first: cd .* && unzip coffee_martini\.zip$"),
        (["meet room.tar.gz"], r"unpacked first: cd .* && tar -xf 'meet room\.tar\.gz'$"),
        (
            ["flame_salmon_1_split.z01", "flame_salmon_1_split.z02", "flame_salmon_1_split.zip"],
            r"joined and unpacked first: cd .* && zip -s- flame_salmon_1_split\.zip -O flame_salmon_1_split_joined\.zip "
            r"&& unzip flame_salmon_1_split_joined\.zip$",
        ),
        (["flame_salmon_1_split.z01"], r"parts of a split archive, but not the last one, flame_salmon_1_split\.zip"),
    ],
)
def test_a_folder_that_holds_only_the_download_says_how_to_unpack_it(tmp_path: Path, files: list[str], message: str):
    for name in files:
        (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(InputError, match=message):
        open_capture(tmp_path)


@pytest.mark.parametrize("name", ["sear_steak.zip", "flame_salmon_1_split.z01", "flame_salmon_1_split.zip"])
def test_the_download_itself_says_how_to_unpack_it(tmp_path: Path, name: str):
    for file in (name, "flame_salmon_1_split.z01", "flame_salmon_1_split.zip") if "split" in name else (name,):
        (tmp_path / file).write_bytes(b"PK")
    with pytest.raises(InputError, match="unpacked first"):
        open_capture(tmp_path / name)


def test_a_capture_one_folder_deeper_is_named(small_capture_folder: Path, tmp_path: Path):
    (tmp_path / "extra").mkdir()
    shutil.copytree(small_capture_folder, tmp_path / "tiny")
    with pytest.raises(InputError, match=r"is no capture itself, but tiny inside it is: open .*/tiny\.$"):
        open_capture(tmp_path)
