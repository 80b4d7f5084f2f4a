"""Candidates for the first points are tried on training cameras that a short fit has not seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from quad_scene import cast, quad_capture

from trackersplat.captures.capture import Capture, PointCloud
from trackersplat.events import Note, Stage
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.training.first_frame.densify.settings import DensifySettings
from trackersplat.training.first_frame.fit import fit_first_frame
from trackersplat.training.first_frame.settings import FirstFrameSettings, TrialSettings
from trackersplat.training.first_frame.trial import CandidateChosen, spread, try_candidates
from trackersplat.training.fit import FitDone
from trackersplat.training.points.settings import PointSettings
from trackersplat.training.points.task import Candidate, PointsFound, PointTask

SETTINGS = FirstFrameSettings(
    steps=20,
    points=PointSettings(count=600),
    densify=DensifySettings(every=1000, cap=1000),
    trial=TrialSettings(steps=25, side=32, cameras=2),
)


def _surface(capture: Capture, wrong: float = 1.0) -> PointCloud:
    """Points of what the first training camera sees, at ``wrong`` times their depth."""
    camera = capture.cameras[capture.training_cameras[0]]
    image, depth = cast(camera)
    row, column = np.mgrid[0 : camera.height : 2, 0 : camera.width : 2].reshape(2, -1)
    z = wrong * depth[row, column]
    local = np.stack(((column + 0.5 - camera.cx) / camera.fx * z, (row + 0.5 - camera.cy) / camera.fy * z, z), axis=1)
    return PointCloud(((local - camera.translation) @ camera.rotation).astype(np.float32), image[row, column])


def _candidate(name: str, points: PointCloud, view: int = -1) -> Candidate:
    return Candidate(name, points, np.full(len(points.xyz), view))


def test_the_candidate_wins_that_shows_cameras_left_out_best_and_the_log_says_why() -> None:
    capture = quad_capture(forbid_held_out=True)
    good, bad = _surface(capture), _surface(capture, wrong=0.6)
    *told, last = try_candidates(capture, 0, PortableRasterizer(), SETTINGS, [_candidate("bad", bad), _candidate("good", good)])
    assert isinstance(last, CandidateChosen)
    assert last.points is good
    details = [event.detail for event in told if isinstance(event, Stage) and event.name == "points"]
    assert details[0] == "trial of 2 candidates, 1 of 2"
    (note,) = (event for event in told if isinstance(event, Note))
    assert note.text.startswith("first points: good, by the PSNR of training cameras left out (bad ")


def test_of_candidates_that_are_as_good_the_first_is_taken() -> None:
    capture = quad_capture(forbid_held_out=True)
    points = _surface(capture)
    same = PointCloud(points.xyz.copy(), points.rgb.copy())
    *_, last = try_candidates(capture, 0, PortableRasterizer(), SETTINGS, [_candidate("one", points), _candidate("two", same)])
    assert isinstance(last, CandidateChosen)
    assert last.points is points


def test_points_that_the_camera_left_out_proposed_do_not_count_for_it() -> None:
    capture = quad_capture(forbid_held_out=True)
    points = _surface(capture, wrong=0.6)
    (left_out,) = spread(len(capture.training_cameras), 1)
    one = replace(SETTINGS, trial=replace(SETTINGS.trial, cameras=1))
    rivals = [_candidate("its own", _surface(capture), left_out), _candidate("worse", points)]
    *_, last = try_candidates(capture, 0, PortableRasterizer(), one, rivals)
    assert isinstance(last, CandidateChosen)
    assert last.points is points


@pytest.mark.parametrize("candidates", [0, 1])
def test_there_is_nothing_to_try_without_two_candidates(candidates: int) -> None:
    capture = quad_capture(forbid_held_out=True)
    assert not list(try_candidates(capture, 0, PortableRasterizer(), SETTINGS, [_candidate("alone", _surface(capture))] * candidates))


def test_cameras_left_out_are_spread_and_never_all_but_one() -> None:
    assert spread(11, 3) == [1, 5, 9]
    assert spread(3, 1) == [1]
    assert spread(2, 0) == []
    capture = quad_capture(forbid_held_out=True)
    few = replace(capture, held_out=tuple(camera.name for camera in capture.cameras[2:]))
    assert not list(try_candidates(few, 0, PortableRasterizer(), SETTINGS, [_candidate("a", _surface(capture))] * 2))


def test_a_first_frame_starts_from_the_candidate_that_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    capture = quad_capture(forbid_held_out=True)
    good, bad = _surface(capture), _surface(capture, wrong=0.6)

    def find(task: PointTask):
        yield PointsFound(task.frame, bad, candidates=(_candidate("bad", bad), _candidate("good", good)))

    monkeypatch.setattr("trackersplat.training.first_frame.fit.find_points", find)
    settings = replace(SETTINGS, steps=0, prune=0.0, cull_sh=0.0)
    *_, last = fit_first_frame(capture, 0, PortableRasterizer(), settings)
    assert isinstance(last, FitDone)
    assert np.array_equal(last.gaussians.means.numpy(), good.xyz)
