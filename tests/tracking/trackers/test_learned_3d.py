"""The trackers of points of the scene, on stand-ins: cameras, depths and units on the way there and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from stand_in_places import install_stand_in
from stand_in_trackers import STEP, write_mvtracker, write_spatracker, write_spatracker_2
from tiny_depths import tiny_clip, tiny_queries
from torch import Tensor

from trackersplat.errors import InputError, ShapeError
from trackersplat.tracking.registry import create_tracker, tracker_settings
from trackersplat.tracking.sources import track_source
from trackersplat.tracking.tracker3d import Clip3D, depth_at, matrices, project, unproject
from trackersplat.tracking.trackers.mvtracker import scene_similarity
from trackersplat.tracking.trackers.mvtracker_settings import MVTrackerSettings
from trackersplat.tracking.trackers.spatracker import best_views

SIZE = (128, 96)  # twice that of the tiny capture


@pytest.fixture(scope="module")
def clip() -> Clip3D:
    return tiny_clip()


def made(name: str, write: Any, places: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    install_stand_in(name, write, places, monkeypatch)
    settings = tracker_settings(name)
    return create_tracker(name, "cpu", replace(settings, **({"size": SIZE} if hasattr(settings, "size") else {})))


def test_what_is_projected_is_unprojected_and_has_the_depth_of_the_view(clip: Clip3D) -> None:
    intrinsics, poses = matrices(clip.cameras, torch.device("cpu"))
    queries = tiny_queries()
    for view in range(4):
        pixels, depth = project(queries[:, 1:], intrinsics[view], poses[view])
        torch.testing.assert_close(unproject(pixels, depth, intrinsics[view], poses[view]), queries[:, 1:], rtol=0, atol=1e-5)
        seen = torch.stack([depth_at(clip.depths[view][int(t)], pixel[None])[0] for t, pixel in zip(queries[:, 0], pixels, strict=True)])
        assert ((depth - seen)[:2].abs() < 0.05).all()
        assert float((depth - seen)[2]) > -0.05  # the quad hides the wall in some views
    assert depth_at(clip.depths[0][0], torch.tensor([[-0.5, 3.0], [64.5, 3.0]])).tolist() == [0.0, 0.0]


def test_mvtracker_gets_a_scene_that_its_cameras_see_where_ours_do(clip: Clip3D, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker, queries = made("mvtracker", write_mvtracker, places, monkeypatch), tiny_queries()
    tracker.track_points(clip, queries)
    given = {name: values[0] for name, values in tracker.model.given.items()}
    intrinsics, poses = matrices(clip.cameras, torch.device("cpu"))
    ratios = []
    for view in range(4):
        pixels, depth = project(queries[:, 1:], intrinsics[view], poses[view])
        local = given["queries"][:3, 1:] @ given["extrs"][view, 0, :, :3].T + given["extrs"][view, 0, :, 3]
        theirs = local @ given["intrs"][view, 0].T
        # Its pixel centres are at integers.
        torch.testing.assert_close(theirs[:, :2] / theirs[:, 2:], 2 * pixels - 0.5, rtol=0, atol=2e-3)
        ratios.append(local[:, 2] / depth)
        shown = given["depths"][view, :3, 0]
        torch.testing.assert_close(shown[:, ::2, ::2], clip.depths[view] * ratios[0][0], rtol=1e-4, atol=1e-4)
        assert torch.equal(given["rgbs"][view, 0, :, ::2, ::2], clip.images[view][0].permute(2, 0, 1).float())
    scale = torch.stack(ratios)
    torch.testing.assert_close(scale, scale[:1, :1].expand_as(scale), rtol=1e-4, atol=1e-4)  # one similarity for all
    assert given["queries"][:3, 0].tolist() == [0, 1, 0]
    assert given["depths"].shape[1] == 12  # its window
    assert len(given["queries"]) == 3 + 4 * 16  # the support grid


def test_mvtracker_answers_in_our_world(clip: Clip3D, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker, queries = made("mvtracker", write_mvtracker, places, monkeypatch), tiny_queries()
    motion = tracker.track_points(clip, queries)
    assert motion.positions.shape == (3, 3, 3)
    torch.testing.assert_close(motion.positions[0, [0, 2]], queries[[0, 2], 1:], rtol=0, atol=1e-4)
    torch.testing.assert_close(motion.positions[1, 1], queries[1, 1:], rtol=0, atol=1e-4)
    assert motion.positions[0, 1].isnan().all()  # before its query
    assert motion.visibility.tolist() == [[0.75, 0.0, 0.75], [0.75] * 3, [0.75] * 3]
    assert motion.confidence.tolist() == [[1.0, 0.0, 1.0], [1.0] * 3, [1.0] * 3]
    # It moves by (0.25, -0.5, 0.125) there: up there, z, is against y here.
    given = tracker.model.given
    _, poses = matrices(clip.cameras, torch.device("cpu"))
    here = motion.positions[1, 0] - motion.positions[0, 0]
    there = torch.tensor((0.25, -0.5, 0.125))
    theirs = given["extrs"][0, 0, 0, :, :3] @ there
    ours = poses[0, :3, :3].float() @ here
    torch.testing.assert_close(theirs / theirs.norm(), ours / ours.norm(), rtol=0, atol=1e-4)
    assert here.norm() < there.norm() / 1.2  # its scene is the larger one


def test_the_scene_of_mvtracker_stands_on_its_floor(clip: Clip3D) -> None:
    _, poses = matrices(clip.cameras, torch.device("cpu"))
    settings = MVTrackerSettings()
    points = torch.randn(500, 3, generator=torch.Generator().manual_seed(2)) * torch.tensor((2.0, 1.0, 0.5)) + torch.tensor((3.0, 1.0, 2.0))
    there = scene_similarity(points, poses, settings)
    moved = there.apply(points)
    assert moved[:, :2].mean(0).abs().max() < 1e-3
    assert float((moved[:, 2] < 0).float().mean()) == pytest.approx(0.12, abs=0.01)
    centres = there.apply(torch.stack([torch.tensor(camera.center) for camera in clip.cameras]).float())
    assert float(centres.norm(dim=1).median()) == pytest.approx(6.3, abs=1e-3)
    down = there.pose(poses)[:, 1, :3].mean(0)
    assert float(-down[2] / down.norm()) == pytest.approx(1.0, abs=1e-6)
    torch.testing.assert_close(there.undo(moved), points, rtol=0, atol=1e-4)


def scaled(clip: Clip3D, unit: float) -> Clip3D:
    """The same scene with another unit of length."""
    cameras = []
    for camera in clip.cameras:
        pose = camera.world_to_camera.copy()
        pose[:3, 3] *= unit
        cameras.append(replace(camera, world_to_camera=pose))
    return replace(clip, cameras=tuple(cameras), depths=tuple(depth * unit for depth in clip.depths))


def in_best_view(clip: Clip3D, points: Tensor, queries: Tensor) -> Tensor:
    """(P, 2) pixels of the points in the view in which each query is followed."""
    intrinsics, poses = matrices(clip.cameras, torch.device("cpu"))
    views = best_views(clip, queries, 0.02)
    return torch.stack(
        [project(point[None], intrinsics[view], poses[view])[0][0] for point, view in zip(points, views.tolist(), strict=True)]
    )


def test_each_point_is_followed_in_a_view_that_sees_it(clip: Clip3D) -> None:
    queries = tiny_queries()
    hidden = torch.tensor([[0.0, -0.2, -0.05, 1.5]])  # of the wall, behind the quad for the first camera
    views = best_views(clip, torch.cat((queries, hidden)), 0.02)
    intrinsics, poses = matrices(clip.cameras, torch.device("cpu"))
    for query, view in zip(torch.cat((queries, hidden)), views.tolist(), strict=True):
        pixels, depth = project(query[None, 1:], intrinsics[view], poses[view])
        seen = depth_at(clip.depths[view][int(query[0])], pixels)
        assert float((depth - seen) / depth) < 0.02


@pytest.mark.parametrize("unit", [1.0, 1e-4])  # scene units per metre
def test_spatracker_answers_in_our_world_whatever_its_unit(
    clip: Clip3D, places: Path, monkeypatch: pytest.MonkeyPatch, unit: float
) -> None:
    tracker, queries = made("spatracker", write_spatracker, places, monkeypatch), tiny_queries()
    motion = tracker.track_points(scaled(clip, unit), queries * torch.tensor((1.0, unit, unit, unit)))
    positions = motion.positions / unit
    start = positions[queries[:, 0].long(), torch.arange(3)]
    torch.testing.assert_close(start, queries[:, 1:], rtol=0, atol=1e-5)  # the depth is that of the point, not of a pixel
    first, last = (in_best_view(clip, at, queries) for at in (start, positions[2]))
    moved = torch.tensor(STEP) / 2 * (2 - queries[:, :1])  # in pixels of ours, since the query
    torch.testing.assert_close(last - first, moved, rtol=0, atol=1e-3)
    assert positions[0, 1].isnan().all()
    assert motion.visibility[:, 1].tolist() == [0.0, 0.75, 0.75]
    assert motion.confidence[:, 1].tolist() == [0.0, 1.0, 1.0]


def test_spatracker_gets_pixels_depths_and_intrinsics_that_belong_together(
    clip: Clip3D, places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker, query = made("spatracker", write_spatracker, places, monkeypatch), tiny_queries()[1:2]
    holes = tuple(depth.where(torch.arange(64) >= 32, 0.0) for depth in clip.depths)  # the left half of every view has no depth
    tracker.track_points(replace(clip, depths=holes), query)
    given, view = tracker.model.given, int(best_views(replace(clip, depths=holes), query, 0.02)[0])
    (intrinsics,), (pose,) = matrices(clip.cameras[view : view + 1], torch.device("cpu"))
    pixels, depth = project(query[:, 1:], intrinsics, pose)
    asked = given["queries"][0]
    torch.testing.assert_close(asked[:3], torch.cat((query[0, :1], 2 * pixels[0] - 0.5)), rtol=0, atol=1e-3)  # centres at integers
    ray = torch.linalg.inv(given["intrs"]) @ torch.tensor((asked[1], asked[2], 1.0))
    local = (pose[:3, :3] @ query[0, 1:].double() + pose[:3, 3]).float()
    unit = depth[0] / asked[3]
    torch.testing.assert_close(ray * asked[3] * unit, local, rtol=0, atol=1e-4)
    torch.testing.assert_close(given["depths"][:3, ::2, ::2] * unit, holes[view], rtol=1e-5, atol=1e-5)
    assert given["depths"].shape == (12, 96, 128)  # its window
    support = given["queries"][1:]
    assert len(support) == 18  # of its grid of 6 x 6, what has a depth
    assert (support[:, 1] >= 64).all()


def test_spatracker_2_answers_in_our_world(clip: Clip3D, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker, queries = made("spatracker-v2", write_spatracker_2, places, monkeypatch), tiny_queries()
    motion = tracker.track_points(clip, queries)
    torch.testing.assert_close(motion.positions[2], queries[:, 1:], rtol=0, atol=0.03)
    assert motion.confidence[2].tolist() == [0.5] * 3
    assert motion.visibility[:, 1].tolist() == [0.0, 0.75, 0.75]
    assert Path(tracker.model.folder) == places / "weights" / "SpatialTrackerV2-Offline"
    assert tracker.model.spatrack.track_num == 756


def test_spatracker_2_takes_clips_of_two_frames(clip: Clip3D, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker, queries = made("spatracker-v2", write_spatracker_2, places, monkeypatch), tiny_queries()
    two = Clip3D(tuple(images[:2] for images in clip.images), tuple(depth[:2] for depth in clip.depths), clip.cameras, clip.frames[:2])
    motion = tracker.track_points(two, queries)
    assert motion.positions.shape == (2, 3, 3)
    torch.testing.assert_close(motion.positions[1], queries[:, 1:], rtol=0, atol=0.03)


def test_spatracker_2_is_not_confident_of_points_without_depth(clip: Clip3D, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker, queries = made("spatracker-v2", write_spatracker_2, places, monkeypatch), tiny_queries()
    column = in_best_view(clip, queries[:, 1:], queries)[:, 0]
    assert column[2] < 20 < column[:2].min()
    without = tuple(depth.where(torch.arange(64) >= 20, 0.0) for depth in clip.depths)
    motion = tracker.track_points(replace(clip, depths=without), queries)
    assert motion.confidence.tolist() == [[0.5, 0.0, 0.0], [0.5, 0.5, 0.0], [0.5, 0.5, 0.0]]


def test_clips_and_queries_that_do_not_fit_are_refused(clip: Clip3D, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = made("mvtracker", write_mvtracker, places, monkeypatch)
    for queries in (torch.zeros(2, 3), torch.full((1, 4), torch.nan), torch.tensor([[3.0, 0, 0, 0]])):
        with pytest.raises(ShapeError, match="3D queries must"):
            tracker.track_points(clip, queries)
    with pytest.raises(ShapeError, match=r"depths of cam00 must be float32 \(3, 48, 64\)"):
        replace(clip, depths=tuple(depth.double() for depth in clip.depths))


def test_a_tracker_of_the_scene_is_no_source_of_tracks_of_views(small_capture: Any) -> None:
    with pytest.raises(InputError, match="The tracker mvtracker tracks in 3D, and this needs one that tracks in 2D"):
        track_source("mvtracker", small_capture, "cpu")
