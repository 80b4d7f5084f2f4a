"""What other programs write: infinite opacities, flat Gaussians, compressed PLY, SPZ, .splat."""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
import zstandard

from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.ply import write_ply
from trackersplat.gaussians.readers.reader import MAX_LOGIT, read_gaussians
from trackersplat.gaussians.readers.spz import FLIPPED_SH
from trackersplat.rendering.sh import sh_basis

DATA = Path(__file__).parent / "data"


def some_gaussians(count: int) -> Gaussians:
    generator = torch.Generator().manual_seed(0)
    return Gaussians(*(torch.randn(shape, generator=generator) for shape in [(count, 3), (count, 4), (count, 3), (count,), (count, 1, 3)]))


def test_infinite_opacities_are_clamped_and_counted(tmp_path: Path):
    gaussians = some_gaussians(6)
    gaussians.opacity_logits[[1, 2, 4]] = torch.tensor([math.inf, math.inf, -math.inf])
    write_ply(tmp_path / "g.ply", gaussians)
    file = read_gaussians(tmp_path / "g.ply")
    expected = gaussians.opacity_logits.clone()
    expected[[1, 2, 4]] = torch.tensor([MAX_LOGIT, MAX_LOGIT, -MAX_LOGIT])
    assert torch.equal(file.gaussians.opacity_logits, expected)
    assert [remark.split(": ", 1)[1].split(" (")[0] for remark in file.remarks] == ["3 of 6 Gaussians have an infinite opacity value"]
    assert float(file.gaussians.opacities[1]) > 254.5 / 255
    assert float(file.gaussians.opacities[4]) < 0.5 / 255


def test_a_flat_axis_becomes_a_thousandth_of_the_longest_and_a_point_as_small_as_the_smallest(tmp_path: Path):
    gaussians = some_gaussians(3)
    gaussians.log_scales[0] = torch.tensor([-2.0, -math.inf, -3.0])
    gaussians.log_scales[1] = -math.inf
    gaussians.log_scales[2] = torch.tensor([-5.0, -4.0, -4.5])
    write_ply(tmp_path / "g.ply", gaussians)
    file = read_gaussians(tmp_path / "g.ply")
    expected = [[-2.0, -2.0 + math.log(1e-3), -3.0], [-5.0, -5.0, -5.0], [-5.0, -4.0, -4.5]]
    np.testing.assert_allclose(file.gaussians.log_scales.numpy(), expected, rtol=1e-6)
    assert "2 of 3 Gaussians have an axis of length 0" in file.remarks[0]


def test_a_quaternion_of_length_0_is_no_rotation(tmp_path: Path):
    gaussians = some_gaussians(3)
    gaussians.quats[2] = 0
    write_ply(tmp_path / "g.ply", gaussians)
    file = read_gaussians(tmp_path / "g.ply")
    assert file.gaussians.quats[2].tolist() == [1, 0, 0, 0]
    assert "1 of 3 Gaussians have a quaternion of length 0" in file.remarks[0]


@pytest.mark.parametrize("length", [1e-40, 1e-25, 1e25, 1e38])
def test_a_quaternion_whose_square_is_beyond_float32_keeps_its_rotation(tmp_path: Path, length: float):
    gaussians = some_gaussians(3)
    gaussians.quats[1] = torch.tensor([0.6, 0.0, 0.0, -0.8]) * length
    write_ply(tmp_path / "g.ply", gaussians)
    file = read_gaussians(tmp_path / "g.ply")
    np.testing.assert_allclose(file.gaussians.quats[1], [0.6, 0.0, 0.0, -0.8], rtol=1e-4)
    assert torch.equal(file.gaussians.quats[[0, 2]], gaussians.quats[[0, 2]])
    assert file.remarks == ()


def test_gaussians_that_need_no_change_have_no_remarks(tmp_path: Path):
    write_ply(tmp_path / "g.ply", some_gaussians(3))
    assert read_gaussians(tmp_path / "g.ply").remarks == ()


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [
        ("means", math.inf, "x"), ("means", math.nan, "x"), ("log_scales", math.inf, "scale_0"), ("log_scales", math.nan, "scale_0"),
        ("opacity_logits", math.nan, "opacity"), ("quats", -math.inf, "rot_0"), ("sh", math.nan, "f_dc_0"),
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused_with_its_gaussian(tmp_path: Path, field: str, value: float, name: str):
    gaussians = some_gaussians(3)
    gaussians.tensors()[field][1].view(-1)[0] = value
    gaussians.opacity_logits[0] = math.inf  # which alone would be mended
    gaussians.log_scales[0, 0] = -math.inf
    write_ply(tmp_path / "g.ply", gaussians)
    with pytest.raises(InputError, match=rf"'{name}' of Gaussian 2 is not a finite number"):
        read_gaussians(tmp_path / "g.ply")


def test_a_file_of_points_alone_without_extent_is_refused(tmp_path: Path):
    gaussians = some_gaussians(2)
    gaussians.log_scales[:] = -math.inf
    write_ply(tmp_path / "g.ply", gaussians)
    with pytest.raises(InputError, match="no Gaussian has an extent"):
        read_gaussians(tmp_path / "g.ply")


@pytest.mark.parametrize("name", ["five.compressed.ply", "five.spz", "five.sog", "minimal-v2.spz", "minimal-v3.spz", "minimal.splat"])
def test_other_formats_hold_what_splat_transform_reads_in_them(name: str):
    ours, theirs = read_gaussians(DATA / name), read_gaussians(DATA / f"{name}.decoded.ply").gaussians
    assert ours.remarks == ()
    for field, tensor in ours.gaussians.tensors().items():
        expected = theirs.tensors()[field]
        if field == "opacity_logits":  # of an opacity of 0 or 255 in SOG it makes 13.8, not infinity
            expected = expected.clamp(-MAX_LOGIT, MAX_LOGIT)
        np.testing.assert_allclose(tensor.numpy(), expected.numpy(), atol=1e-6, err_msg=field)


def test_a_compressed_ply_without_colour_ranges_is_read(tmp_path: Path):
    """As SuperSplat wrote it at first: red, green and blue are the codes themselves."""
    table = {name: -1.0 if name.startswith("min") else 1.0 for name in CHUNK_NAMES}
    header = "ply\nformat binary_little_endian 1.0\nelement chunk 1\n" + "".join(f"property float {name}\n" for name in table)
    header += "element vertex 1\n" + "".join(f"property uint packed_{name}\n" for name in ("position", "rotation", "scale", "color"))
    packed = (2047 << 21 | 0 << 11 | 2047, 1 << 30 | 512 << 20 | 512 << 10 | 512, 0, 255 << 24 | 0 << 16 | 51 << 8 | 255)
    (tmp_path / "c.ply").write_bytes(f"{header}end_header\n".encode() + struct.pack("<12f4I", *table.values(), *packed))
    gaussians = read_gaussians(tmp_path / "c.ply").gaussians
    assert gaussians.means.tolist() == [[1.0, -1.0, 1.0]]
    assert gaussians.log_scales.tolist() == [[-1.0, -1.0, -1.0]]
    np.testing.assert_allclose(gaussians.quats[0], [0.0006912, 0.9999993, 0.0006912, 0.0006912], atol=1e-6)
    np.testing.assert_allclose(0.5 + 0.28209479 * gaussians.sh[0, 0], [1.0, 0.0, 0.2], atol=1e-6)
    assert math.isclose(float(gaussians.opacity_logits[0]), MAX_LOGIT, rel_tol=1e-6)


CHUNK_NAMES = [f"{end}_{name}" for name in ("x", "y", "z", "scale_x", "scale_y", "scale_z") for end in ("min", "max")]


def test_the_harmonics_of_spz_turn_with_its_axes():
    directions = torch.nn.functional.normalize(torch.randn((9, 3), generator=torch.Generator().manual_seed(1)), dim=1)
    flipped = directions * torch.tensor([1.0, -1.0, -1.0])
    signs = torch.cat((torch.ones(1), torch.from_numpy(FLIPPED_SH)))
    torch.testing.assert_close(sh_basis(flipped, 3), sh_basis(directions, 3) * signs)


def spz(version: int, count: int, body: bytes, degree: int = 0) -> bytes:
    return struct.pack("<4sIIBBBB", b"NGSP", version, count, degree, 12, 0, 0) + body


def packed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)  # the same bytes in each process of the tests


def test_spz_of_version_1_has_half_floats(tmp_path: Path):
    body = np.array([1.5, -2.0, 0.25], "<f2").tobytes() + bytes([128, 0, 0, 0, 16, 32, 48, 128, 128, 128])
    (tmp_path / "a.spz").write_bytes(packed(spz(1, 1, body)))
    gaussians = read_gaussians(tmp_path / "a.spz").gaussians
    assert gaussians.means.tolist() == [[1.5, 2.0, -0.25]]
    assert gaussians.log_scales.tolist() == [[-9.0, -8.0, -7.0]]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (packed(spz(2, 4_000_000_000, b"")), "claims 4,000,000,000 Gaussians, more than fit into it"),
        (packed(spz(2, 1, bytes(18))), "it ends too early"),
        (packed(spz(2, 1, bytes(19)))[:-12], "it ends too early"),
        (packed(spz(7, 1, bytes(19))), "version 7, expected 1 to 4"),
        (packed(spz(3, 1, bytes(20), degree=4)), "degree 4, expected 0 to 3"),
        (packed(b"a text file"), "damaged SPZ file, or none"),
        (b"\x1f\x8b no gzip", "damaged SPZ file, or none"),
        (spz(4, 1, struct.pack("<I12x", 32) + struct.pack("<QQ", 99, 9) * 5), "0 streams where 5 are expected"),
    ],
    ids=range(8),
)
def test_a_damaged_spz_is_named(tmp_path: Path, content: bytes, says: str):
    (tmp_path / "a.spz").write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_gaussians(tmp_path / "a.spz")


def test_a_stream_of_spz_that_unpacks_to_more_than_it_says_takes_no_memory(tmp_path: Path):
    packed = zstandard.ZstdCompressor().compress(bytes(200_000_000))
    table = b"".join(struct.pack("<QQ", len(packed) if i == 0 else 0, size) for i, size in enumerate((9, 1, 3, 3, 4)))
    header = bytearray(spz(4, 1, struct.pack("<I12x", 32)))
    header[15] = 5
    (tmp_path / "a.spz").write_bytes(bytes(header) + table + packed)
    with pytest.raises(InputError, match="it ends too early"):  # of the second stream, which is empty
        read_gaussians(tmp_path / "a.spz")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (
            "a.ksplat",
            b"\x00\x01",
            r"a \.ksplat file of GaussianSplats3D, which is not read: convert it with `splat-transform a\.ksplat a\.ply`",
        ),
        ("a.sog", b"PK\x03\x04", "a damaged SOG file, or none"),
        ("a.splat", b"x" * 33, "has 33 bytes, expected a multiple of 32"),
        ("a.splat", b"", "has 0 bytes, expected a multiple of 32"),
        ("a.txt", b"hello", "no file of Gaussians: expected a PLY, SPZ, SOG or .splat"),
    ],
)
def test_files_that_are_not_read_are_called_what_they_are(tmp_path: Path, name: str, content: bytes, says: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_gaussians(tmp_path / name)


def test_a_folder_and_a_device_are_refused(tmp_path: Path):
    (tmp_path / "a.ply").mkdir()
    for path in (tmp_path / "a.ply", Path("/dev/zero")):
        with pytest.raises(InputError, match="is not a plain file"):
            read_gaussians(path)


def test_trimesh_opens_what_is_written(tmp_path: Path):
    gaussians = some_gaussians(5)
    write_ply(tmp_path / "g.ply", gaussians)
    np.testing.assert_array_equal(trimesh.load(tmp_path / "g.ply", process=False).vertices, gaussians.means.numpy())
