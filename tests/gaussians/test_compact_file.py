import json
import os
import struct
from pathlib import Path

import pytest
import torch
import zstandard
from test_codes import cloud, equal, moved

from trackersplat.errors import InputError
from trackersplat.gaussians.codes import Codes, CodeSettings, encode
from trackersplat.gaussians.compact_file import KEY_FRAME_EVERY, Base, hash_of, packed, read_codes, read_header

SETTINGS = CodeSettings()


def write(path: Path, codes: Codes, base: Base | None = None) -> Path:
    path.write_bytes(packed(codes, base, hash_of(codes)))
    return path


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return write(tmp_path / "key.tsgf", encode(cloud(), None, SETTINGS))


def rewritten(path: Path, **changed: object) -> Path:
    """The same file with another header."""
    content = path.read_bytes()
    length = struct.unpack("<I", content[4:8])[0]
    text = json.dumps({**json.loads(content[8 : 8 + length]), **changed}).encode()
    path.write_bytes(content[:4] + struct.pack("<I", len(text)) + text + content[8 + length :])
    return path


@pytest.mark.parametrize("coefficients", [1, 4, 9, 16])
def test_a_key_frame_and_what_changed_since_come_back_bit_for_bit(tmp_path: Path, coefficients: int) -> None:
    first = cloud(coefficients=coefficients)
    codes = encode(first, None, SETTINGS)
    key = write(tmp_path / "key.tsgf", codes)
    header = read_header(key)
    assert (header.gaussians, header.sh_coefficients, header.base, header.depth) == (300, coefficients, None, 0)
    assert equal(read_codes(key, header, None), codes)
    after = encode(moved(first, 2.0, slice(20, 100)), codes, SETTINGS)
    change = write(tmp_path / "change.tsgf", after, Base(6, codes, header))
    header = read_header(change)
    assert (header.base, header.depth, header.base_codes) == (6, 1, hash_of(codes))
    assert equal(read_codes(change, header, codes), after)


def test_what_does_not_move_costs_nothing_and_what_moves_as_much_as_it_changes(tmp_path: Path) -> None:
    first = cloud(count=3000)
    codes = encode(first, None, SETTINGS)
    header = read_header(write(tmp_path / "key.tsgf", codes))
    sizes = []
    for share in (0, 300, 3000):
        after = encode(moved(first, 0.5, slice(0, share)), codes, SETTINGS)
        content = packed(after, Base(0, codes, header), hash_of(after))
        sizes.append(len(content) - read_header(write(tmp_path / "change.tsgf", after, Base(0, codes, header))).start)
    assert sizes[0] < 120
    assert sizes[1] < sizes[2] / 5
    assert sum(length for _, _, length in header.streams) > 3 * sizes[2]


def test_a_frame_with_other_steps_is_a_key_frame(tmp_path: Path) -> None:
    codes = encode(cloud(), None, SETTINGS)
    header = read_header(write(tmp_path / "key.tsgf", codes))
    other = encode(cloud(), None, CodeSettings(means=0.5))
    assert read_header(write(tmp_path / "other.tsgf", other, Base(0, codes, header))).base is None


def test_equal_codes_have_one_hash_in_either_form(tmp_path: Path) -> None:
    codes = encode(cloud(), None, SETTINGS)
    header = read_header(write(tmp_path / "key.tsgf", codes))
    after = encode(moved(cloud(), 1.0, slice(0, 50)), codes, SETTINGS)
    headers = [read_header(write(tmp_path / "file.tsgf", after, base)) for base in (None, Base(0, codes, header))]
    assert headers[0].codes == headers[1].codes != header.codes


@pytest.mark.parametrize("place", [0, 5, 30, -1, -40])
def test_a_flipped_byte_is_one_sentence(key: Path, place: int) -> None:
    content = bytearray(key.read_bytes())
    content[place] ^= 1
    key.write_bytes(content)
    with pytest.raises(InputError, match=r"key\.tsgf (is damaged|has format)"):
        read_codes(key, read_header(key), None)


def test_a_short_missing_or_strange_file_is_one_sentence(key: Path, tmp_path: Path) -> None:
    content = key.read_bytes()
    for kept in (0, 3, 7, 50, len(content) - 1):
        key.write_bytes(content[:kept])
        with pytest.raises(InputError, match=r"key\.tsgf is damaged or not a file of ours"):
            read_header(key)
    key.unlink()
    os.mkfifo(key)
    for path in (key, tmp_path, tmp_path / "absent"):
        with pytest.raises(InputError, match="is missing, or no file"):
            read_header(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gaussians", 10**12), ("gaussians", -1), ("gaussians", 2.5), ("gaussians", True), ("sh_coefficients", 5), ("steps", {}),
        ("steps", {"means": 0.0}), ("depth", KEY_FRAME_EVERY), ("depth", 1), ("base", 4), ("base", 0), ("base", "1"), ("streams", []),
        ("streams", [["changed", 1]]), ("streams", 3), ("codes", None), ("gaussians", 299), ("sh_coefficients", 9),
    ],
)  # fmt: skip
def test_a_header_that_does_not_fit_is_one_sentence(key: Path, name: str, value: object) -> None:
    rewritten(key, **{name: value})
    with pytest.raises(InputError, match=r"key\.tsgf is damaged or not a file of ours"):
        read_codes(key, read_header(key), None)


def test_another_format_is_said(key: Path) -> None:
    with pytest.raises(InputError, match=r"key\.tsgf has format 2, this version reads 1; update trackersplat\."):
        read_header(rewritten(key, format=2))


def test_a_stream_that_claims_more_than_there_can_be_is_not_unpacked(key: Path) -> None:
    """A few bytes that would become a terabyte."""
    header = read_header(key)
    bomb = zstandard.ZstdCompressor().compress(bytes(1 << 24))
    streams = [[name, size, length] for name, size, length in header.streams]
    body = key.read_bytes()[header.start + streams[0][2] :]
    streams[0][2] = len(bomb)
    rewritten(key, streams=streams)
    length = struct.unpack("<I", key.read_bytes()[4:8])[0]
    key.write_bytes(key.read_bytes()[: 8 + length] + bomb + body)
    with pytest.raises(InputError, match="a stream of other than 300 bytes"):
        read_codes(key, read_header(key), None)


def test_changes_since_another_frame_than_they_say_are_noticed(tmp_path: Path) -> None:
    codes = encode(cloud(), None, SETTINGS)
    header = read_header(write(tmp_path / "key.tsgf", codes))
    after = encode(moved(cloud(), 1.0, slice(0, 50)), codes, SETTINGS)
    change = write(tmp_path / "change.tsgf", after, Base(0, codes, header))
    wrong = encode(cloud(2), None, SETTINGS)
    with pytest.raises(InputError, match="its hash is another one"):
        read_codes(change, read_header(change), wrong)
    assert torch.equal(read_codes(change, read_header(change), codes).tensors["means"], after.tensors["means"])
