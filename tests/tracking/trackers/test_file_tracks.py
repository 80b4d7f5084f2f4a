"""Tracks from a file on a real surface: one Gaussian per point of the tiny capture, of which the quad moves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_capture import HEIGHT, WIDTH, write_tiny_capture
from tiny_truth import write_tiny_points, write_tiny_truth

from trackersplat.captures.capture import Capture
from trackersplat.captures.registry import open_capture
from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.rendering.registry import choose_rasterizer
from trackersplat.tracking.files.formats import tapvid, tapvid3d
from trackersplat.tracking.sources import reachable_targets, track_source
from trackersplat.tracking.space_tracks import SceneSource
from trackersplat.tracking.trackers.file import FileTracks, FileTrackSettings
from trackersplat.tracking.tracks import DenseTracks, Provenance, Tracks
from trackersplat.tracking.truth_tracks import truth_tracks
from trackersplat.training.first_frame.initialise import gaussians_from_points
from trackersplat.training.first_frame.settings import FirstFrameSettings


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    folder = write_tiny_points(write_tiny_truth(write_tiny_capture(tmp_path_factory.mktemp("captures") / "tiny")))
    return open_capture(str(folder))


@pytest.fixture(scope="module")
def rasterizer() -> Rasterizer:
    return choose_rasterizer("cpu")


@pytest.fixture(scope="module")
def gaussians(capture: Capture) -> Gaussians:
    assert capture.points is not None
    made = gaussians_from_points(capture.points, 0, FirstFrameSettings().initialise)
    return replace(made, opacity_logits=torch.full_like(made.opacity_logits, 3.0))


@pytest.fixture(scope="module")
def file(capture: Capture, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tracks") / "truth.npz"
    tapvid3d.write(path, truth_tracks(capture), capture.cameras[1])
    return path


def off(dense: DenseTracks, capture: Capture, camera: int, row: int) -> np.ndarray:
    """(H, W) px between the tracks and the exact ones, nan where the tracks are not confident."""
    exact = dict(track_source("exact", capture, "cpu")([camera], 0, dense.targets))[camera]
    error = (dense.positions[row] - exact.positions[row]).norm(dim=-1)
    return np.asarray(torch.where(dense.confidence[row] >= 0.5, error, torch.nan).numpy())


def test_tracks_in_space_move_what_each_camera_sees(capture: Capture, gaussians: Gaussians, rasterizer: Rasterizer, file: Path) -> None:
    source = track_source("file", capture, "cpu", FileTrackSettings.of(file))
    assert isinstance(source, SceneSource)
    for camera, dense in source.on(gaussians, rasterizer)([0, 2], 0, [2, 5]):
        assert dense.provenance.tracker == "file:tapvid3d"
        assert len(dense.provenance.weights) == 64  # the hash of the file
        error = off(dense, capture, camera, 1)
        assert np.isfinite(error).mean() > 0.8
        assert np.nanmedian(error) < 0.1
        assert np.nanquantile(error, 0.9) < 1.0


def test_tracks_in_images_are_read_from_a_folder_named_by_camera(
    capture: Capture, gaussians: Gaussians, rasterizer: Rasterizer, tmp_path: Path
) -> None:
    truth = truth_tracks(capture)
    for index in (0, 1):
        camera = capture.cameras[index]
        pixels = np.stack([camera.project(points)[0] for points in truth.positions]).astype(np.float32)
        assert truth.view_visibility is not None
        seen = torch.from_numpy(truth.view_visibility[index].copy())
        tracks = Tracks(
            camera=camera.name,
            ids=torch.from_numpy(truth.ids.copy()),
            query=torch.zeros((len(truth), 3)),
            frames=truth.frames,
            positions=torch.from_numpy(pixels),
            visibility=seen,
            confidence=torch.ones_like(seen),
            ends=torch.zeros(seen.shape, dtype=torch.uint8),
            provenance=Provenance("made"),
        )
        tapvid.write(tmp_path / f"{camera.name}.npz", tracks, (WIDTH, HEIGHT))
    source = track_source("file", capture, "cpu", FileTrackSettings.of(tmp_path))
    assert isinstance(source, SceneSource)
    found = dict(source.on(gaussians, rasterizer)([0, 1, 2], 0, [3]))
    assert np.nanmedian(off(found[0], capture, 0, 0)) < 0.3
    assert (found[2].confidence == 0).all()  # it has no file


def test_a_file_that_changed_since_the_run_was_made_is_refused(capture: Capture, file: Path, tmp_path: Path) -> None:
    settings = replace(FileTrackSettings.of(file), path=str(tmp_path / "other.npz"))
    tapvid3d.write(tmp_path / "other.npz", truth_tracks(capture), capture.cameras[2])
    with pytest.raises(InputError, match="has changed since"):
        track_source("file", capture, "cpu", settings)


def test_tracks_of_another_world_are_refused(capture: Capture, file: Path, tmp_path: Path) -> None:
    tracks = truth_tracks(capture)
    tapvid3d.write(tmp_path / "far.npz", replace(tracks, positions=tracks.positions + 1e3), capture.cameras[0])
    source = FileTracks(capture, torch.device("cpu"), FileTrackSettings.of(tmp_path / "far.npz"))
    with pytest.raises(InputError, match="must be in the world of its cameras"):
        _ = source.space


def test_a_file_without_a_position_is_told_so(capture: Capture, tmp_path: Path) -> None:
    tracks = truth_tracks(capture)
    nowhere = replace(tracks, positions=np.full_like(tracks.positions, np.nan))
    tapvid3d.write(tmp_path / "nowhere.npz", nowhere, capture.cameras[0])
    none = tracks[:0]
    tapvid3d.write(tmp_path / "none.npz", none, capture.cameras[0])
    for name in ("nowhere.npz", "none.npz"):
        with pytest.raises(InputError, match=rf"{name} holds no position of any track"):
            FileTracks(capture, torch.device("cpu"), FileTrackSettings.of(tmp_path / name))


def test_tracks_in_the_frame_of_a_camera_are_placed_by_its_name(capture: Capture, file: Path, tmp_path: Path) -> None:
    with np.load(file) as whole:
        np.savez(tmp_path / "local.npz", **{name: whole[name] for name in whole.files if name != "extrinsics_w2c"})
    settings = FileTrackSettings.of(tmp_path / "local.npz")
    with pytest.raises(InputError, match="--tracks-camera"):
        _ = FileTracks(capture, torch.device("cpu"), settings).space
    placed = FileTracks(capture, torch.device("cpu"), replace(settings, camera=capture.cameras[1].name)).space
    assert placed is not None
    np.testing.assert_allclose(placed.positions, truth_tracks(capture).positions, atol=1e-4)


def test_it_tells_which_frames_the_tracks_reach(capture: Capture, file: Path) -> None:
    settings = FileTrackSettings.of(file)
    assert reachable_targets("file", capture, capture.training_cameras, 3, settings) == (4, 5)
    with pytest.raises(InputError, match="none from frame 6 on"):
        reachable_targets("file", capture, capture.training_cameras, 5, settings)
    with pytest.raises(InputError, match="name it with --tracks"):
        track_source("file", capture, "cpu")
