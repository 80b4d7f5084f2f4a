"""First frames by where their points come from, measured by one command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from quad_scene import cast, quad_capture

from trackersplat.benchmarks import first_frames
from trackersplat.benchmarks.first_frames import FirstFrame, measure, table, true_points
from trackersplat.errors import InputError
from trackersplat.rendering.backends.portable import PortableRasterizer


def test_points_of_true_depths_lie_on_the_surfaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_frames, "DEPTH_NOISE", 0.0)
    capture = replace(quad_capture(), root=tmp_path)
    assert true_points(capture, 0) is None
    (tmp_path / "gt").mkdir()
    for camera in capture.cameras:
        np.savez(tmp_path / "gt" / f"depth_{camera.name}.npz", depth=cast(camera)[1][None].astype(np.float32))
    cloud = true_points(capture, 0)
    assert cloud is not None
    nearest = np.full(len(cloud.xyz), np.inf)
    for index in capture.training_cameras:
        camera = capture.cameras[index]
        uv, depth = camera.project(cloud.xyz.astype(np.float64))
        inside = np.flatnonzero((uv >= 0).all(1) & (uv[:, 0] < camera.width) & (uv[:, 1] < camera.height) & (depth > 0))
        column, row = uv[inside].astype(int).T
        nearest[inside] = np.minimum(nearest[inside], np.abs(depth[inside] / cast(camera)[1][row, column] - 1))
    assert np.median(nearest) < 1e-3


def test_ways_that_a_capture_does_not_have_are_left_out_and_held_out_cameras_are_needed() -> None:
    capture = replace(quad_capture(), points=None)
    assert measure(capture, "own", 0, PortableRasterizer()) is None
    assert measure(capture, "depth", 0, PortableRasterizer()) is None
    with pytest.raises(InputError, match="holds no camera out"):
        measure(replace(capture, held_out=()), "images", 0, PortableRasterizer())


def test_the_table_has_mean_and_half_the_range_of_the_seeds() -> None:
    found = [FirstFrame("a", "auto", seed, value, 1.0, 5, ()) for seed, value in enumerate((20.0, 21.0, 23.0))]
    assert table(found, ("auto", "own"))[1].split() == ["a", "21.33", "±", "1.50", "-"]


def test_the_command_prints_every_fit_and_writes_all_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(first_frames, "open_capture", lambda path: quad_capture())
    made = FirstFrame("quad", "images", 0, 20.0, 1.0, 5, ("why",))
    monkeypatch.setattr(first_frames, "measure", lambda capture, way, seed, rasterizer: replace(made, seed=seed))
    first_frames.main(["somewhere", "--ways", "images", "--seeds", "2", "--device", "cpu", "--json", str(tmp_path / "f.json")])
    assert "images alone, seed 1: 20.00 dB, 1 s; why" in capsys.readouterr().out
    assert [fit["seed"] for fit in json.loads((tmp_path / "f.json").read_text())["fits"]] == [0, 1]
