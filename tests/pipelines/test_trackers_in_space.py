"""Trackers in 3D as the source of a pipeline: what they are given, and that the Gaussians go where they say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from flying_plate import BASE, CAMERAS, RASTERIZER, SETTINGS, Tracks, context, error_3d, film, run, scene
from torch import Tensor

from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.motion.lifting.in_space import follow_in_space, surface_grid
from trackersplat.motion.lifting.queries import RenderedScene
from trackersplat.motion.settings import MotionSettings
from trackersplat.pipelines.motions import find_motions
from trackersplat.pipelines.settings import ReconstructSettings
from trackersplat.pipelines.sources import SourceSettings, TracksInSpace
from trackersplat.tracking.consistency.settings import ConsistencySettings
from trackersplat.tracking.parts import follow_points
from trackersplat.tracking.settings import GridSettings
from trackersplat.tracking.tracker import TrackerFacts, TrackerFailed
from trackersplat.tracking.tracker3d import Clip3D, PointMotion3D
from trackersplat.tracking.tracks import Provenance

STEP = torch.tensor((0.12, -0.05, 0.03))  # of the plate, per frame
SOURCE = SourceSettings(grid=GridSettings(step_px=4), motion=SETTINGS)


class Knowing:
    """A `Tracker3D` that knows the scene: what lies on the plate moves with it, the wall rests."""

    facts = TrackerFacts("knowing", "", "", dense=False, three_d=True)
    provenance = Provenance("knowing")
    device = torch.device("cpu")

    def __init__(self, memory: int = 10**9, hole: bool = False) -> None:
        self.memory, self.hole = memory, hole
        self.clip: Clip3D | None = None
        self.asked: list[Tensor] = []

    def track_points(self, clip: Clip3D, queries: Tensor) -> PointMotion3D:
        self.clip = clip
        if len(queries) > self.memory:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.asked.append(queries)
        frames = torch.tensor(clip.frames)[:, None] - torch.tensor(clip.frames)[queries[:, 0].long()]
        on_plate = queries[:, 3] < 0.6
        positions = queries[:, 1:] + frames[..., None] * STEP * on_plate[:, None]
        if self.hole:
            positions[-1, 0, 1] = torch.nan
        shares = torch.ones(positions.shape[:2])
        return PointMotion3D.after_query(positions, shares, shares, queries)


@pytest.fixture
def capture(tmp_path: Path) -> Capture:
    return film(tmp_path)


def test_the_gaussians_go_where_a_tracker_in_space_says_and_it_is_given_depths_of_moved_gaussians(capture: Capture) -> None:
    tracker = Knowing()
    about = context(capture, TracksInSpace(capture, tracker, Tracks(), SOURCE))
    _, found = run(find_motions(about, scene(BASE), BASE, (2, 4)))
    assert [error_3d(motion, target) < 0.01 for motion, target in zip(found.motions, (2, 4), strict=True)] == [True, True]
    clip = tracker.clip
    assert clip is not None
    assert clip.frames == (BASE, 2, 4)
    assert [camera.name for camera in clip.cameras] == ["cam1", "cam2", "cam3"]  # those that are trained on
    for view, camera in enumerate(clip.cameras):
        truth = RASTERIZER.render(scene(4), [camera], sh_degree=0)
        depth = truth.depth[0] / truth.alpha[0].clamp_min(1e-6)
        near = (truth.alpha[0] > 0.9) & (clip.depths[view][2] > 0)
        assert ((clip.depths[view][2] - depth)[near].abs() < 0.05).float().mean() > 0.9


def test_without_depths_of_their_own_the_targets_would_be_wrong(capture: Capture) -> None:
    """The other tracker decides about the depths: one that says that nothing moves leaves them as in the base."""

    class Still(Tracks):
        def __call__(self, cameras, base, targets):  # type: ignore[no-untyped-def]
            for camera, dense in super().__call__(cameras, base, targets):
                yield camera, replace(dense, positions=self.pixels().expand_as(dense.positions).clone())

    tracker = Knowing()
    about = context(capture, TracksInSpace(capture, tracker, Still(), SOURCE))
    run(find_motions(about, scene(BASE), BASE, (4,)))
    assert tracker.clip is not None
    torch.testing.assert_close(tracker.clip.depths[0][1], tracker.clip.depths[0][0], rtol=0, atol=1e-3)


def test_points_begin_once_where_several_views_see_the_surface(capture: Capture) -> None:
    there = RenderedScene(lambda _: scene(BASE), RASTERIZER)
    alone, together = (surface_grid(capture, there, BASE, cameras, 4) for cameras in ((1,), (1, 2, 3)))
    assert len(alone) < len(together) < 2 * len(alone)
    assert (together[:, 0] == BASE).all()
    on_plate = together[together[:, 3] < 0.6]
    assert len(on_plate) > 20
    assert np.median(abs(on_plate[:, 3])) < 0.1  # the wall shines through a little


def test_chunks_that_run_out_of_memory_are_halved_and_answers_keep_their_order(capture: Capture) -> None:
    there = RenderedScene(scene, RASTERIZER)
    query = surface_grid(capture, there, BASE, (1, 2), 6)
    tracker = Knowing(memory=len(query) // 3)
    tracks, remarks = follow_in_space(tracker, capture, (1, 2), query, (BASE, 3), there)
    whole, said = follow_in_space(Knowing(), capture, (1, 2), query, (BASE, 3), there)
    assert (tracks.positions == whole.positions).all()
    assert said == ()
    assert remarks == (f"The tracker knowing ran out of memory, so it was asked for {len(query) // 4} points at a time, not more.",)
    assert max(len(asked) for asked in tracker.asked) <= len(query) // 3
    with pytest.raises(TrackerFailed, match=r"failed between frames 2 and 4 \(out of memory with a single point"):
        follow_in_space(Knowing(memory=0), capture, (1, 2), query, (BASE, 3), there)


def test_an_answer_that_is_no_number_after_its_query_is_a_failure(capture: Capture) -> None:
    there = RenderedScene(scene, RASTERIZER)
    query = surface_grid(capture, there, BASE, (1,), 8)
    with pytest.raises(TrackerFailed, match="values that are no numbers"):
        follow_in_space(Knowing(hole=True), capture, (1,), query, (BASE, 3), there)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda motion: replace(motion, positions=motion.positions[:-1]), r"it answered positions \(1, \d+, 3\), expected \(2, \d+, 3\)"),
        (lambda motion: replace(motion, visibility=motion.visibility[:, :-1]), r"it answered visibility \(2, \d+\), expected \(2, \d+\)"),
        (lambda motion: replace(motion, confidence=motion.confidence * 3), "it answered a confidence of 3 to 3, expected 0 to 1"),
    ],
)
def test_an_answer_that_the_contract_does_not_allow_is_a_failure(
    spoil: Callable[[PointMotion3D], PointMotion3D], reason: str, capture: Capture
) -> None:
    class Wrong(Knowing):
        def track_points(self, clip: Clip3D, queries: Tensor) -> PointMotion3D:
            return spoil(super().track_points(clip, queries))

    there = RenderedScene(scene, RASTERIZER)
    query = surface_grid(capture, there, BASE, (1,), 8)
    with pytest.raises(TrackerFailed, match=rf"\({reason}\): check that its code is the version"):
        follow_in_space(Wrong(), capture, (1,), query, (BASE, 3), there)


def test_a_frame_without_gaussians_and_a_query_outside_are_told(capture: Capture) -> None:
    there = RenderedScene(lambda frame: scene(frame) if frame < 3 else None, RASTERIZER)
    query = surface_grid(capture, there, BASE, (1,), 8)
    with pytest.raises(InputError, match="needs depths, and frame 4 has no Gaussians"):
        follow_in_space(Knowing(), capture, (1,), query, (BASE, 3), there)
    with pytest.raises(InputError, match="A query is in frame 2, which is not among the 2"):
        follow_in_space(Knowing(), capture, (1,), query, (2, 3), there)


def test_the_settings_of_a_reconstruction_say_how_a_tracker_is_asked() -> None:
    motion = MotionSettings(agreement=ConsistencySettings())
    settings = ReconstructSettings(queries=GridSettings(step_px=5), depth_tracker="dis-gpu", motion=motion)
    assert SourceSettings.of(settings) == SourceSettings(GridSettings(step_px=5), "dis-gpu", motion)


def test_no_points_are_no_failure() -> None:
    image, depth = (
        torch.zeros(2, CAMERAS[0].height, CAMERAS[0].width, 3, dtype=torch.uint8),
        torch.ones(2, CAMERAS[0].height, CAMERAS[0].width),
    )
    motion, remarks = follow_points(Knowing(), Clip3D((image,), (depth,), CAMERAS[:1], (0, 1)), torch.zeros(0, 4))
    assert motion.positions.shape == (2, 0, 3)
    assert remarks == ()
