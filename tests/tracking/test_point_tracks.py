from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from trackersplat.errors import InputError, ShapeError
from trackersplat.tracking.point_tracks import PointTracks, read_point_tracks, sample_grid, write_point_tracks
from trackersplat.tracking.registry import tracker_info
from trackersplat.tracking.tracks import DenseTracks


def dense() -> DenseTracks:
    """11 x 7 pixels that move by (x / 4, -y / 2) to target 0 and by twice that to target 1."""
    rows, columns = np.mgrid[:7, :11]
    start = np.stack((columns + 0.5, rows + 0.5), axis=-1)
    shift = np.stack((columns / 4, -rows / 2), axis=-1)
    certain = np.broadcast_to(columns / 10, (2, 7, 11)).astype(np.float32)
    return DenseTracks(
        3,
        (5, 6),
        np.stack((start + shift, start + 2 * shift)).astype(np.float32),
        certain,
        np.full((2, 7, 11), 0.5, np.float32),
        tracker_info("dis"),
    )


def test_a_grid_takes_the_pixel_centres_it_stands_on() -> None:
    points = sample_grid(dense(), 1, 4)
    assert (points.base, points.target) == (3, 6)
    assert points.start.tolist() == [[x + 0.5, y + 0.5] for y in (2, 6) for x in (2, 6, 10)]
    np.testing.assert_array_equal(points.end, points.start + [[x / 2, -y] for y in (2, 6) for x in (2, 6, 10)])
    np.testing.assert_allclose(points.visibility, [x / 20 for _ in range(2) for x in (2, 6, 10)], atol=1e-7)


def test_a_grid_of_tensors_equals_one_of_arrays() -> None:
    arrays = dense()
    tensors = {name: torch.tensor(getattr(arrays, name)) for name in ("positions", "visibility", "confidence")}
    expected, points = sample_grid(arrays, 1, 4), sample_grid(replace(arrays, **tensors), 1, 4)
    for name in ("start", "end", "visibility"):
        np.testing.assert_array_equal(getattr(points, name), getattr(expected, name))
        assert isinstance(getattr(points, name), np.ndarray)


def test_a_step_larger_than_the_image_still_gives_a_point() -> None:
    assert sample_grid(dense(), 0, 100).start.shape == (1, 2)


@pytest.mark.parametrize(("target", "step"), [(2, 4), (-1, 4), (0, 0)])
def test_a_grid_that_does_not_exist_is_refused(target: int, step: int) -> None:
    with pytest.raises(ShapeError):
        sample_grid(dense(), target, step)


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    tracks = {"cam00": sample_grid(dense(), 0, 3), "kamera è": sample_grid(dense(), 1, 2)}
    path = tmp_path / "tracks.npz"
    write_point_tracks(path, tracks)
    result = read_point_tracks(path)
    assert list(result) == list(tracks)
    for name, expected in tracks.items():
        assert (result[name].base, result[name].target) == (expected.base, expected.target)
        np.testing.assert_array_equal(result[name].start, expected.start)
        np.testing.assert_allclose(result[name].end, expected.end, rtol=0, atol=1 / 32)  # half a step
        np.testing.assert_allclose(result[name].visibility, expected.visibility, atol=0.5 / 255 + 1e-7)
    assert [p.name for p in tmp_path.iterdir()] == ["tracks.npz"]


def test_no_cameras_is_a_valid_file(tmp_path: Path) -> None:
    write_point_tracks(tmp_path / "none.npz", {})
    assert read_point_tracks(tmp_path / "none.npz") == {}


def test_a_truncated_file_is_refused_at_any_length(tmp_path: Path) -> None:
    path = tmp_path / "tracks.npz"
    write_point_tracks(path, {"cam00": sample_grid(dense(), 0, 2)})
    content = path.read_bytes()
    for length in range(0, len(content), max(1, len(content) // 40)):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"tracks\.npz"):
            read_point_tracks(path)


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    points = sample_grid(dense(), 0, 2)
    good = {
        "0.frames": np.array((0, 1)),
        "0.start": points.start.T,
        "0.shift": np.zeros(points.start.T.shape, np.int16),
        "0.visibility": np.zeros(len(points.start), np.uint8),
    }
    bad = {
        "other": {"a": np.zeros(3)},
        "shapes": {"cameras": np.array(["a"]), **good, "0.shift": np.zeros((2, 3), np.int16)},
        "floats": {"cameras": np.array(["a"]), **good, "0.shift": np.zeros(points.start.T.shape)},
        "nan": {"cameras": np.array(["a"]), **good, "0.start": np.full_like(points.start.T, np.nan)},
        "pickle": {"cameras": np.array([{"a": 1}], dtype=object), **good},
        "text": {"cameras": np.array(["a"]), **good, "0.start": np.full(points.start.T.shape, "x")},
        "numbers": {"cameras": np.array([1]), **good},
    }
    for name, arrays in bad.items():
        np.savez(tmp_path / f"{name}.npz", **arrays)
        with pytest.raises(InputError, match=name):
            read_point_tracks(tmp_path / f"{name}.npz")
    with pytest.raises(InputError, match="absent"):
        read_point_tracks(tmp_path / "absent.npz")


def test_a_file_that_claims_too_many_points_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, cameras=np.array(["a"]), **{"0.start": np.zeros((6_000_000, 2), np.float32)})
    assert path.stat().st_size < 200_000
    with pytest.raises(InputError, match="claims more points"):
        read_point_tracks(path)


def test_points_must_fit_together() -> None:
    with pytest.raises(ShapeError, match="end"):
        PointTracks(0, 1, np.zeros((4, 2)), np.zeros((3, 2)), np.zeros(4))
