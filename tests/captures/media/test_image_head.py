from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackersplat.captures.media.decode import ImageFileSource, image_size, read_image
from trackersplat.captures.media.image_head import ImageHead, png_has_alpha, read_head
from trackersplat.errors import InputError


def exif(orientation: int, order: str = ">") -> bytes:
    head = (b"MM" if order == ">" else b"II") + struct.pack(order + "HI", 42, 8)
    return head + struct.pack(order + "HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)


def tagged(path: Path, image: np.ndarray, orientation: int, order: str = ">") -> Path:
    """A JPEG with an EXIF orientation, as phones write it."""
    data = cv2.imencode(".jpg", image)[1].tobytes()
    content = b"Exif\0\0" + exif(orientation, order)
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + data[2:])
    return path


@pytest.mark.parametrize("order", [">", "<"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_orientation_of_a_jpeg_is_read(tmp_path: Path, orientation: int, order: str):
    path = tagged(tmp_path / "a.jpg", np.zeros((6, 8, 3), np.uint8), orientation, order)
    assert read_head(path) == ImageHead(8, 6, orientation)


def test_the_orientation_of_a_png_is_read(tmp_path: Path):
    data = cv2.imencode(".png", np.zeros((6, 8, 4), np.uint8))[1].tobytes()
    (tmp_path / "a.png").write_bytes(data[:33] + struct.pack(">I", len(exif(8))) + b"eXIf" + exif(8) + bytes(4) + data[33:])
    assert read_head(tmp_path / "a.png") == ImageHead(8, 6, 8, alpha=True)


def test_alpha_is_read_from_the_head_and_from_the_whole_file(tmp_path: Path):
    for channels, alpha in ((3, False), (4, True)):
        data = cv2.imencode(".png", np.zeros((6, 8, channels), np.uint8))[1].tobytes()
        (tmp_path / "a.png").write_bytes(data)
        head = read_head(tmp_path / "a.png")
        assert head is not None
        assert (head.alpha, png_has_alpha(data)) == (alpha, alpha)


@given(st.binary(max_size=200), st.sampled_from([b"\xff\xd8\xff\xe1", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xc0", b""]))
def test_any_bytes_give_a_head_or_none(tmp_path_factory: pytest.TempPathFactory, content: bytes, start: bytes):
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(start + content)
    head = read_head(path)
    assert head is None or (head.width > 0 and head.height > 0 and 1 <= head.orientation <= 8)


def test_an_orientation_is_ignored_as_colmap_ignores_it_and_said(tmp_path: Path):
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24] = 255
    path = tagged(tmp_path / "a.jpg", image, 3)
    assert image_size(path) == (64, 48)
    assert read_image(path)[2, 2, 0] > 200, "as stored, not upside down"
    (remark,) = ImageFileSource([[path]], [(64, 48)]).remarks
    assert "EXIF orientation that is ignored, as COLMAP ignores it" in remark
    assert "a.jpg (3)" in remark


def test_a_quarter_turn_is_named_where_the_size_does_not_fit(tmp_path: Path):
    path = tagged(tmp_path / "a.jpg", np.zeros((64, 48, 3), np.uint8), 6)
    with pytest.raises(InputError, match=r"a\.jpg has 48x64 pixels, but its camera has 64x48; its EXIF orientation \(6\) would turn it"):
        ImageFileSource([[path]], [(64, 48)])
