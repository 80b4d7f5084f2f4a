from __future__ import annotations

import struct
from pathlib import Path

import pytest
from counting_videos import write_counting_video
from hypothesis import given
from hypothesis import strategies as st

from trackersplat.captures.media.mp4 import inspect
from trackersplat.errors import InputError


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_counting_video(tmp_path_factory.mktemp("mp4") / "whole.mp4", 12)


def test_a_whole_video_shows_its_length(video: Path):
    facts = inspect(video)
    assert not facts.fragmented
    assert facts.shown_seconds == pytest.approx(12 / 30, abs=1e-3)


@pytest.mark.parametrize("kept", [0.02, 0.5, 0.99])
def test_a_video_that_is_cut_off_is_named_with_its_sizes(video: Path, tmp_path: Path, kept: float):
    data = video.read_bytes()
    path = tmp_path / "cam01.mp4"
    path.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(InputError, match=rf"cam01\.mp4 is cut off.*{int(kept * len(data))} bytes"):
        inspect(path)


def test_an_empty_file_is_named(tmp_path: Path):
    (tmp_path / "cam00.mp4").touch()
    with pytest.raises(InputError, match=r"cam00\.mp4 is empty"):
        inspect(tmp_path / "cam00.mp4")


def test_a_video_without_an_index_is_named(tmp_path: Path):
    path = tmp_path / "cam00.mp4"
    path.write_bytes(struct.pack(">I4s8x", 16, b"ftyp") + struct.pack(">I4s8x", 16, b"mdat"))
    with pytest.raises(InputError, match="no index"):
        inspect(path)


@given(position=st.integers(0, 2000), value=st.binary(min_size=1, max_size=16))
def test_damage_anywhere_in_the_index_gives_facts_or_an_input_error(video: Path, tmp_path_factory, position: int, value: bytes):
    data = bytearray(video.read_bytes())
    start = data.index(b"moov") - 4
    at = start + position % (len(data) - start)
    data[at : at + len(value)] = value
    path = tmp_path_factory.getbasetemp() / "damaged.mp4"
    path.write_bytes(data)
    message = str(path)
    try:
        inspect(path)
    except InputError as error:
        message = str(error)
    assert str(path) in message
