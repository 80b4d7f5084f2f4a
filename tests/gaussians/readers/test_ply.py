from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from writing_ply import write_other_ply

from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.ply import property_names, write_ply
from trackersplat.gaussians.readers.reader import read_gaussians
from trackersplat.ply_files import write_table

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def read_ply(path: Path) -> Gaussians:
    return read_gaussians(path).gaussians


def some_gaussians(count: int, degree: int, seed: int = 0) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(count, 3), (count, 4), (count, 3), (count,), (count, (degree + 1) ** 2, 3)]
    return Gaussians(*(torch.randn(shape, generator=generator) for shape in shapes))


def assert_same_bits(a: Gaussians, b: Gaussians) -> None:
    for name, tensor in a.tensors().items():
        np.testing.assert_array_equal(tensor.numpy().view(np.uint32), b.tensors()[name].numpy().view(np.uint32), err_msg=name)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), count=st.integers(0, 4), degree=st.integers(0, 3))
def test_the_round_trip_is_bit_identical(tmp_path: Path, data: st.DataObject, count: int, degree: int):
    def tensor(*shape: int) -> torch.Tensor:
        size = int(np.prod(shape))
        return torch.tensor(data.draw(st.lists(FLOATS, min_size=size, max_size=size)), dtype=torch.float32).reshape(shape)

    quats = tensor(count, 4).clamp(-1e6, 1e6)
    quats[:, 0] = 0.5  # its length is neither 0 nor beyond float32
    gaussians = Gaussians(tensor(count, 3), quats, tensor(count, 3), tensor(count), tensor(count, (degree + 1) ** 2, 3))
    write_ply(tmp_path / "g.ply", gaussians)
    assert_same_bits(gaussians, read_ply(tmp_path / "g.ply"))


def test_the_file_has_the_standard_layout_byte_for_byte(tmp_path: Path):
    gaussians = some_gaussians(3, 3)
    write_ply(tmp_path / "g.ply", gaussians)
    names = ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"] + [f"f_rest_{i}" for i in range(45)]
    names += ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    header = (
        "ply\nformat binary_little_endian 1.0\nelement vertex 3\n" + "".join(f"property float {name}\n" for name in names) + "end_header\n"
    )
    rows = []
    for i in range(3):
        sh = gaussians.sh[i].numpy()
        rows.append([*gaussians.means[i], 0, 0, 0, *sh[0], *sh[1:, 0], *sh[1:, 1], *sh[1:, 2]])
        rows[-1] += [gaussians.opacity_logits[i], *gaussians.log_scales[i], *gaussians.quats[i]]
    assert len(names) == 62
    assert (tmp_path / "g.ply").read_bytes() == header.encode() + np.array(rows, "<f4").tobytes()


@pytest.mark.parametrize(("degree", "columns"), [(0, 17), (1, 26), (2, 41), (3, 62)])
def test_every_degree_has_its_number_of_columns(degree: int, columns: int):
    assert len(property_names((degree + 1) ** 2)) == columns


def test_other_tools_open_it(tmp_path: Path):
    gaussians = some_gaussians(5, 1)
    write_ply(tmp_path / "g.ply", gaussians)
    np.testing.assert_array_equal(trimesh.load(tmp_path / "g.ply", process=False).vertices, gaussians.means.numpy())


def table_of(path: Path) -> np.ndarray:
    """The rows of a PLY that we wrote."""
    data = path.read_bytes()
    names = [line.split()[2].decode() for line in data.split(b"end_header")[0].splitlines() if line.startswith(b"property")]
    return np.frombuffer(data[data.index(b"end_header") + 11 :], [(name, "<f4") for name in names])


@pytest.mark.parametrize("faces", [None, [[0, 1, 2], [], [3]]])
@pytest.mark.parametrize("form", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_files_of_other_tools_without_normals_and_in_any_order_are_read(tmp_path: Path, form: str, faces: list[list[int]] | None):
    gaussians = some_gaussians(4, 2)
    write_ply(tmp_path / "ours.ply", gaussians)
    ours = table_of(tmp_path / "ours.ply")
    names = [name for name in reversed(ours.dtype.names) if name not in ("nx", "ny", "nz")]
    theirs = np.empty(4, [(name, "f8" if name == "opacity" else "f4") for name in names] + [("red", "u1")])
    theirs["red"] = 7
    for name in names:
        theirs[name] = ours[name]
    extra = np.zeros(2, [("a", "i2")])
    write_other_ply(tmp_path / "theirs.ply", {"before": extra, "vertex": theirs, "after": extra}, form, faces)
    assert_same_bits(gaussians, read_ply(tmp_path / "theirs.ply"))


@pytest.mark.parametrize("missing_bytes", [1, 100, 248 * 3])
def test_a_truncated_file_is_named_with_actual_and_expected_size(tmp_path: Path, missing_bytes: int):
    write_ply(tmp_path / "g.ply", some_gaussians(3, 3))
    data = (tmp_path / "g.ply").read_bytes()
    (tmp_path / "g.ply").write_bytes(data[:-missing_bytes])
    with pytest.raises(InputError, match=rf"g\.ply is cut off: it has {len(data) - missing_bytes} bytes and needs at least {len(data)}"):
        read_ply(tmp_path / "g.ply")


def test_a_truncated_text_file_is_named(tmp_path: Path):
    write_ply(tmp_path / "g.ply", some_gaussians(3, 0))
    write_other_ply(tmp_path / "t.ply", {"vertex": table_of(tmp_path / "g.ply")}, "ascii")
    data = (tmp_path / "t.ply").read_bytes()
    for kept in (len(data) // 2, len(data) - 40):
        (tmp_path / "t.ply").write_bytes(data[:kept])
        with pytest.raises(InputError, match=r"t\.ply"):
            read_ply(tmp_path / "t.ply")


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10_000), junk=st.binary(min_size=1, max_size=12))
def test_damage_gives_gaussians_or_an_input_error(tmp_path: Path, at: int, junk: bytes):
    write_ply(tmp_path / "g.ply", some_gaussians(2, 0))
    data = (tmp_path / "g.ply").read_bytes()
    at %= len(data)
    (tmp_path / "g.ply").write_bytes(data[:at] + junk + data[at + len(junk) :])
    message = "g.ply"
    try:
        read_ply(tmp_path / "g.ply")
    except InputError as error:
        message = str(error)
    assert "g.ply" in message


def header(body: str, form: str = "binary_little_endian") -> bytes:
    return f"ply\nformat {form} 1.0\n{body}end_header\n".encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a PLY file"),
        (b"solid cube", "is not a PLY file"),
        (header("element vertex 99999999999999\nproperty float x\n"), "is cut off"),
        (header("element vertex -4\nproperty float x\n"), "damaged PLY header"),
        (header("element vertex 1\nproperty complex x\n"), "damaged PLY header"),
        (header("element vertex 1\nproperty float x\nproperty float x\n") + bytes(8), "a name that stands in it twice"),
        (header("element vertex 1\nproperty list float float x\n") + bytes(8), "damaged PLY header"),
        (header("property float x\n"), "damaged PLY header"),
        (header("element vertex 1\nproperty list uchar float x\n") + b"\x00", "lacks the property 'x'"),
        (header("element vertex 1\nproperty float x\n") + bytes(4), "lacks the property 'y'"),
        (header("element face 0\nproperty list uchar int i\n"), "lacks the property 'x'"),
        (b"ply\nelement vertex 0\nend_header\n", "no format"),
    ],
)
def test_files_that_hold_no_gaussians_are_named(tmp_path: Path, content: bytes, message: str):
    (tmp_path / "g.ply").write_bytes(content)
    with pytest.raises(InputError, match=rf"g\.ply .*{message}|g\.ply.*{message}"):
        read_ply(tmp_path / "g.ply")


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"none\.ply cannot be read"):
        read_ply(tmp_path / "none.ply")


def test_a_wrong_number_of_coefficients_is_named(tmp_path: Path):
    names = [name for name in property_names(4) if name != "f_rest_8"]
    vertex = np.ones(1, [(name, "f4") for name in names])
    write_other_ply(tmp_path / "g.ply", {"vertex": vertex})
    with pytest.raises(InputError, match="has 8 f_rest properties, expected 0, 9, 24 or 45"):
        read_ply(tmp_path / "g.ply")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_number_that_is_not_finite_is_named_with_its_gaussian(tmp_path: Path, value: float):
    gaussians = some_gaussians(3, 0)
    gaussians.log_scales[1, 2] = value
    write_ply(tmp_path / "g.ply", gaussians)
    with pytest.raises(InputError, match="'scale_2' of Gaussian 2 is not a finite number"):
        read_ply(tmp_path / "g.ply")


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_ply(tmp_path / "g.ply", some_gaussians(2, 0))
    table = np.zeros(3, [("x", "<f4")])
    before = (tmp_path / "g.ply").read_bytes()

    def fail(array: np.ndarray) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("trackersplat.ply_files.np.ascontiguousarray", fail)  # what writes after the header
    with pytest.raises(InputError, match="No space left on device"):
        write_table(tmp_path / "g.ply", table)
    assert (tmp_path / "g.ply").read_bytes() == before
    assert os.listdir(tmp_path) == ["g.ply"]


def test_a_folder_that_does_not_exist_is_an_input_error(tmp_path: Path):
    with pytest.raises(InputError, match=r"g\.ply cannot be written"):
        write_ply(tmp_path / "nowhere" / "g.ply", some_gaussians(2, 0))


def test_two_scales_are_those_of_flat_gaussians(tmp_path: Path):
    gaussians = some_gaussians(5, 1)
    table = {name: np.zeros(5, np.float32) for name in property_names(4) if name != "scale_2"}
    for name, values in (("scale_0", gaussians.log_scales[:, 0]), ("scale_1", gaussians.log_scales[:, 1]), ("rot_0", torch.ones(5))):
        table[name] = values.numpy()
    rows = np.stack(list(table.values()), axis=1).astype("<f4")
    write_table(tmp_path / "surfels.ply", rows.reshape(-1).view([(name, "<f4") for name in table]))
    read = read_gaussians(tmp_path / "surfels.ply")
    torch.testing.assert_close(read.gaussians.log_scales[:, :2], gaussians.log_scales[:, :2])
    torch.testing.assert_close(read.gaussians.log_scales[:, 2], gaussians.log_scales[:, :2].amax(dim=1) + np.log(1e-3))
    assert "5 of 5 Gaussians have an axis of length 0" in read.remarks[0]


def test_a_ply_that_lacks_one_number_of_gaussians_is_not_called_a_mesh(tmp_path: Path):
    names = [name for name in property_names(1) if name != "opacity"]
    write_table(tmp_path / "a.ply", np.zeros(len(names) * 2, "<f4").view([(name, "<f4") for name in names]))
    with pytest.raises(InputError, match=r"lacks the property 'opacity': export it again\."):
        read_ply(tmp_path / "a.ply")
