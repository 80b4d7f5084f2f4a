"""Candidates for the first points are tried on training cameras that a short fit has not seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from quad_scene import cast, quad_capture

from trackersplat.captures.capture import Capture, FrameSource, PointCloud
from trackersplat.events import Note, Stage
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.training.first_frame.densify.settings import DensifySettings
from trackersplat.training.first_frame.fit import fit_first_frame
from trackersplat.training.first_frame.settings import FirstFrameSettings, TrialSettings
from trackersplat.training.first_frame.trial import CandidateChosen, _ShortFits, clearly_worse, spread, spread_order, try_candidates
from trackersplat.training.fit import FitDone
from trackersplat.training.points.settings import PointSettings
from trackersplat.training.points.task import Candidate, PointsFound, PointTask

SETTINGS = FirstFrameSettings(
    steps=20,
    points=PointSettings(count=600),
    densify=DensifySettings(every=1000, cap=1000),
    trial=TrialSettings(steps=25, side=32, cameras=2, most=2),
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
    assert details[0] == "trial of 2 candidates, camera 1 of at most 2"
    (note,) = (event for event in told if isinstance(event, Note))
    assert note.text.startswith("first points: good, by 2 or more training cameras left out (bad ")


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
    one = replace(SETTINGS, trial=replace(SETTINGS.trial, cameras=1, most=1))
    rivals = [_candidate("its own", _surface(capture), left_out), _candidate("worse", points)]
    *_, last = try_candidates(capture, 0, PortableRasterizer(), one, rivals)
    assert isinstance(last, CandidateChosen)
    assert last.points is points


class _OneDarker:
    """The frames of a capture, one of whose cameras is exposed less."""

    def __init__(self, source: FrameSource, camera: int, gain: float) -> None:
        self._source, self._camera, self._gain = source, camera, gain

    def read(self, camera: int, frame: int) -> np.ndarray:
        image = self._source.read(camera, frame)
        return np.round(self._gain * image).astype(np.uint8) if camera == self._camera else image

    def prefetch(self, wanted: Iterable[tuple[int, int]]) -> None:
        self._source.prefetch(wanted)

    def close(self) -> None:
        self._source.close()


def test_the_exposure_of_the_camera_left_out_does_not_count() -> None:
    capture = quad_capture(forbid_held_out=True)
    candidate, place = _candidate("good", _surface(capture)), 1
    scores = []
    for gain in (1.0, 0.5):
        exposed = replace(capture, source=_OneDarker(capture.source, capture.training_cameras[place], gain))
        scores.append(_ShortFits(exposed, 0, PortableRasterizer(), SETTINGS).measured(candidate, place))
    # The same fit, and half the error: 6 dB more. As rendered, it would be far too bright.
    assert scores[1][0] == pytest.approx(scores[0][0] + 20 * np.log10(2), abs=0.3)


def test_short_fits_leave_no_gaussians_out() -> None:
    capture = quad_capture()
    candidate = _candidate("any", _surface(capture))
    kept, dropping = (_ShortFits(capture, 0, PortableRasterizer(), replace(SETTINGS, drop=drop)) for drop in (0.0, 0.5))
    assert dropping.measured(candidate, 1) == kept.measured(candidate, 1)


def test_fog_that_costs_structure_and_no_psnr_loses(monkeypatch: pytest.MonkeyPatch) -> None:
    points = _surface(quad_capture(forbid_held_out=True))
    rivals = [_candidate(name, PointCloud(points.xyz.copy(), points.rgb)) for name in ("fog", "clear")]
    measured = {"fog": (16.9, 0.35), "clear": (16.7, 0.45)}
    monkeypatch.setattr("trackersplat.training.first_frame.trial._ShortFits.measured", lambda _, candidate, place: measured[candidate.name])
    *_, last = try_candidates(quad_capture(), 0, PortableRasterizer(), SETTINGS, rivals)
    assert isinstance(last, CandidateChosen)
    assert last.points is rivals[1].points


def test_cameras_are_left_out_until_one_candidate_is_better_than_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    capture = quad_capture(forbid_held_out=True)
    points = _surface(capture)
    scores = {"poor": [8.0, 8.5, 8.1], "best": [10.0, 11.0, 12.0, 10.0, 11.0], "close": [10.5, 10.5, 12.2, 9.0, 10.0]}
    asked: list[str] = []

    def measured(_: object, candidate: Candidate, place: int) -> tuple[float, float]:
        asked.append(candidate.name)
        return scores[candidate.name][asked.count(candidate.name) - 1], 0.5

    monkeypatch.setattr("trackersplat.training.first_frame.trial._ShortFits.measured", measured)
    settings = replace(SETTINGS, trial=TrialSettings(cameras=3, most=5))
    rivals = [_candidate(name, PointCloud(points.xyz.copy(), points.rgb)) for name in scores]
    *told, last = try_candidates(capture, 0, PortableRasterizer(), settings, rivals)
    assert isinstance(last, CandidateChosen)
    assert last.points is rivals[1].points
    assert {name: asked.count(name) for name in scores} == {"poor": 3, "best": 5, "close": 5}
    (note,) = (event for event in told if isinstance(event, Note))
    assert note.text.endswith("(poor 8.2 dB, SSIM 0.500; best 10.8 dB, SSIM 0.500 on 5 cameras; close 10.4 dB, SSIM 0.500 on 5 cameras)")


def test_a_row_is_clearly_worse_by_its_differences_to_the_best_turn_by_turn() -> None:
    hard = np.array([0.0, 10.0, 20.0])  # turns differ by far more than candidates
    scores = hard + np.array([[2.0, 2.0, 2.0], [1.0, 1.1, 0.9], [2.4, 1.4, 1.6]])
    assert clearly_worse(scores, 2.0).tolist() == [False, True, False]
    assert clearly_worse(scores[:, :1], 2.0).tolist() == [False] * 3
    assert clearly_worse(np.stack((hard, hard)), 2.0).tolist() == [False] * 2


def test_more_cameras_are_left_out_far_from_those_before() -> None:
    assert spread_order(11, 3) == [1, 5, 9, 3, 7, 0, 2, 4, 6, 8, 10]
    assert spread_order(2, 0) == [0, 1]


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
