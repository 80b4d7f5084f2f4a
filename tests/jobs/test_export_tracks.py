"""Tracks of points that the Gaussians of a run carry, with the edits of its document."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from trackersplat.captures.capture import Capture
from trackersplat.document.document import Document
from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.lineage import Lineage
from trackersplat.jobs.export import of_run
from trackersplat.jobs.export_events import FileDone, Said
from trackersplat.jobs.export_tracks import export_tracks
from trackersplat.jobs.reconstruct import frame_done
from trackersplat.pipelines.pipeline import ChainState, FrameResult
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.rendering.registry import choose_rasterizer
from trackersplat.store.run import Run
from trackersplat.tracking.files.registry import read_tracks_of
from trackersplat.tracking.tracks3d import Tracks3D

FRAMES = (0, 1, 2)
SIDE = 12  # Gaussians along each side of the plate


def plate(frame: int) -> Gaussians:
    """An opaque plate before the cameras, whose right half moves down and away."""
    place = np.linspace(-0.9, 0.9, SIDE)
    x, y = np.meshgrid(place, place)
    means = np.stack([x.ravel(), y.ravel(), np.zeros(SIDE * SIDE)], axis=1)
    means[right_half()] += frame * np.array([0.0, 0.1, 0.2])
    count = len(means)
    return Gaussians(
        means=torch.from_numpy(means).float(),
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1),
        log_scales=torch.log(torch.tensor([[0.09, 0.09, 0.005]])).repeat(count, 1),
        opacity_logits=torch.full((count,), 5.0),
        sh=torch.ones(count, 1, 3),
    )


def right_half() -> np.ndarray:
    return np.tile(np.arange(SIDE) >= SIDE // 2, SIDE)


@pytest.fixture(scope="module")
def rasterizer() -> Rasterizer:
    return choose_rasterizer("cpu")


@pytest.fixture
def run(small_capture: Capture, tmp_path: Path) -> Run:
    run = Run.create(tmp_path / "run", small_capture, {"settings": {"pipeline": "base-propagate", "tracker": "dis"}})
    lineage = Lineage.of_first_frame(0, SIDE * SIDE)
    for frame in FRAMES:
        result = FrameResult(ChainState(frame, plate(frame), lineage), 0 if frame else None, None, torch.zeros(0).long(), 1, {}, {}, {})
        run.write_frame(result, frame_done(result, small_capture), small_capture)
    return run


def exported(run: Run, path: Path, rasterizer: Rasterizer) -> tuple[Tracks3D, str]:
    source = of_run(run)
    events = list(export_tracks(source, source.frames, path, rasterizer))
    assert isinstance(events[-1], FileDone)
    found = read_tracks_of(path).tracks3d
    assert isinstance(found, Tracks3D)
    return found, " ".join(event.text for event in events if isinstance(event, Said))


def test_points_move_with_the_gaussians_around_them(run: Run, tmp_path: Path, rasterizer: Rasterizer) -> None:
    tracks, said = exported(run, tmp_path / "tracks.npz", rasterizer)
    start = tracks.positions[0]
    for side, moved in ((start[:, 0] < -0.25, (0.0, 0.0, 0.0)), (start[:, 0] > 0.25, (0.0, 0.2, 0.4))):
        assert side.sum() >= 2
        np.testing.assert_allclose(tracks.positions[2][side] - start[side], np.tile(moved, (side.sum(), 1)), atol=1e-3)
    assert f"{len(tracks)} tracks begin in frame 1" in said


def test_what_is_deleted_carries_no_track_and_what_is_hidden_leaves_a_gap(run: Run, tmp_path: Path, rasterizer: Rasterizer) -> None:
    whole, _ = exported(run, tmp_path / "whole.npz", rasterizer)
    document = Document.open(run.path)
    gone = document.ids(0)[right_half()].tolist()
    document.apply([{"edit": "hide", "selection": {"ids": gone}, "frames": "2"}])
    hidden, said = exported(run, tmp_path / "hidden.npz", rasterizer)
    far = hidden.positions[0][:, 0] > 0.25
    assert far.any()
    assert np.isnan(hidden.positions[1][far]).all()
    assert np.isfinite(hidden.positions[[0, 2]][:, far]).all()
    assert "1 edit is in effect" in said
    document.apply([{"edit": "delete", "selection": {"ids": gone}}])
    left, _ = exported(run, tmp_path / "left.npz", rasterizer)
    assert len(left) < len(whole)
    assert left.positions[0][:, 0].max() < 0.25


def test_tracks_need_an_npz_file_and_a_surface(run: Run, tmp_path: Path, rasterizer: Rasterizer) -> None:
    source = of_run(run)
    with pytest.raises(InputError, match=r"ends with \.npz"):
        list(export_tracks(source, source.frames, tmp_path / "tracks", rasterizer))
    document = Document.open(run.path)
    document.apply([{"edit": "delete", "selection": {"ids": document.ids(0).tolist()}}])
    source = of_run(run)
    with pytest.raises(InputError, match="sees no surface in frame 1"):
        list(export_tracks(source, source.frames, tmp_path / "tracks.npz", rasterizer))
    assert not (tmp_path / "tracks.npz").exists()
