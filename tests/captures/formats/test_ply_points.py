from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from writing_ply import write_other_ply

from trackersplat.captures.formats.ply_points import GREY, read_points
from trackersplat.errors import InputError

XYZ = np.array([[0.1, 2.0, -3.0], [4.5, -5.0, 6.25], [0.1, 2.0, -3.0]], np.float32)  # the first twice: points are not merged
COLOURS = ("red", "green", "blue")
RGB = np.array([[1, 2, 3], [200, 100, 50], [255, 0, 128]], np.uint8)


@pytest.mark.parametrize("encoding", ["binary", "ascii"])
def test_coloured_points_come_back(tmp_path: Path, encoding: str):
    path = tmp_path / "points.ply"
    path.write_bytes(trimesh.exchange.ply.export_ply(trimesh.PointCloud(XYZ, colors=RGB), encoding=encoding))
    points = read_points(path)
    np.testing.assert_allclose(points.xyz, XYZ, atol=1e-6)
    np.testing.assert_array_equal(points.rgb, RGB)


def test_points_without_colours_are_grey(tmp_path: Path):
    trimesh.PointCloud(XYZ).export(tmp_path / "p.ply")
    assert (read_points(tmp_path / "p.ply").rgb == 128).all()


def test_a_mesh_without_colours_is_as_grey_as_points_are(tmp_path: Path):
    trimesh.Trimesh(XYZ, [[0, 1, 2]], process=False).export(tmp_path / "m.ply")
    points = read_points(tmp_path / "m.ply")
    np.testing.assert_array_equal(points.rgb, np.full((3, 3), GREY))
    assert GREY == 128


@pytest.mark.parametrize("form", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_the_points_of_a_mesh_whose_faces_come_first_are_read(tmp_path: Path, form: str):
    table = np.array([(*xyz, *rgb) for xyz, rgb in zip(XYZ, RGB, strict=True)], [(c, "f8") for c in "xyz"] + [(c, "u1") for c in COLOURS])
    write_other_ply(tmp_path / "m.ply", {"vertex": table}, form, faces=[[0, 1, 2], [2, 1, 0, 1]])
    points = read_points(tmp_path / "m.ply")
    np.testing.assert_array_equal(points.xyz, XYZ)
    np.testing.assert_array_equal(points.rgb, RGB)


@pytest.mark.parametrize(("kind", "factor"), [("f4", 1 / 255), ("f8", 1.0), ("u2", 257)])
def test_colours_of_more_bits_become_8_bits(tmp_path: Path, kind: str, factor: float):
    table = np.array(
        [(*xyz, *(rgb.astype(float) * factor)) for xyz, rgb in zip(XYZ, RGB, strict=True)],
        [(c, "f4") for c in "xyz"] + [(c, kind) for c in COLOURS],
    )
    write_other_ply(tmp_path / "p.ply", {"vertex": table})
    np.testing.assert_array_equal(read_points(tmp_path / "p.ply").rgb, RGB)


@pytest.mark.parametrize(("kind", "value"), [("f4", np.nan), ("f4", -0.5), ("f8", 300.0), ("i4", 256), ("i1", -1)])
def test_colours_out_of_range_are_refused(tmp_path: Path, kind: str, value: float):
    table = np.ones(2, [(c, "f4") for c in "xyz"] + [(c, kind) for c in COLOURS])
    table["green"][1] = value
    write_other_ply(tmp_path / "p.ply", {"vertex": table})
    with pytest.raises(InputError, match=r"p\.ply has colours out of range"):
        read_points(tmp_path / "p.ply")


def test_vertices_without_a_coordinate_and_files_without_vertices_are_named(tmp_path: Path):
    write_other_ply(tmp_path / "p.ply", {"vertex": np.ones(2, [("x", "f4"), ("y", "f4")])})
    with pytest.raises(InputError, match="vertices with x, y, expected x, y and z"):
        read_points(tmp_path / "p.ply")
    write_other_ply(tmp_path / "p.ply", {"camera": np.ones(2, [("x", "f4")])})
    with pytest.raises(InputError, match="holds no points"):
        read_points(tmp_path / "p.ply")


def test_the_vertices_of_a_mesh_are_points(tmp_path: Path):
    trimesh.Trimesh(XYZ, [[0, 1, 2]], vertex_colors=RGB, process=False).export(tmp_path / "m.ply")
    points = read_points(tmp_path / "m.ply")
    np.testing.assert_allclose(points.xyz, XYZ)
    np.testing.assert_array_equal(points.rgb, RGB)


def test_colmap_points_with_normals_and_more_are_read(tmp_path: Path):
    header = "ply\nformat ascii 1.0\nelement vertex 1\n" + "".join(f"property float {n}\n" for n in ("x", "y", "z", "nx", "ny", "nz"))
    header += "".join(f"property uchar {n}\n" for n in ("red", "green", "blue")) + "end_header\n"
    (tmp_path / "p.ply").write_text(header + "1 2 3 0 0 1 7 8 9\n")
    points = read_points(tmp_path / "p.ply")
    assert (points.xyz.tolist(), points.rgb.tolist()) == ([[1.0, 2.0, 3.0]], [[7, 8, 9]])


@pytest.mark.parametrize("kept", [3, 60, 200, -1])
def test_a_file_that_is_cut_off_is_named(tmp_path: Path, kept: int):
    data = trimesh.exchange.ply.export_ply(trimesh.PointCloud(np.tile(XYZ, (9, 1)), colors=np.tile(RGB, (9, 1))))
    (tmp_path / "cut.ply").write_bytes(data[:kept])
    with pytest.raises(InputError, match=r"cut\.ply"):
        read_points(tmp_path / "cut.ply")


def test_a_hostile_count_is_refused_without_taking_memory(tmp_path: Path):
    header = "ply\nformat binary_little_endian 1.0\nelement vertex 99999999999999\n"
    header += "".join(f"property float {name}\n" for name in "xyz") + "end_header\n"
    (tmp_path / "p.ply").write_bytes(header.encode() + bytes(12))
    with pytest.raises(InputError, match=r"p\.ply"):
        read_points(tmp_path / "p.ply")


def test_coordinates_that_are_not_finite_are_refused(tmp_path: Path):
    trimesh.PointCloud(np.array([[np.inf, 0, 0]])).export(tmp_path / "p.ply")
    with pytest.raises(InputError, match="not finite"):
        read_points(tmp_path / "p.ply")
