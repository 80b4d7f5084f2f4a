"""The bench on captures whose exact tracks are known."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_capture import write_tiny_capture
from tiny_truth import write_tiny_truth

from trackersplat.benchmarks.motion import (
    METHODS,
    MOVED,
    MOVED_REFINED,
    REFINED,
    UNMOVED,
    BaseDone,
    BenchDone,
    DistanceDone,
    MethodScore,
    MotionBenchSettings,
    Seconds,
    _point_scores,
    average,
    bench_motion,
    finite,
    to_json,
)
from trackersplat.captures.capture import Capture
from trackersplat.captures.registry import open_capture
from trackersplat.errors import InputError
from trackersplat.events import Event, Stage, StepDone
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.metrics.points import PointErrors, read_point_truth
from trackersplat.motion.settings import CarryPointsSettings
from trackersplat.pipelines.chain import ChainStep, follow_chain
from trackersplat.pipelines.settings import ReconstructSettings
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.training.first_frame.densify.settings import DensifySettings
from trackersplat.training.first_frame.fit import fit_first_frame
from trackersplat.training.first_frame.optimise import held_out_psnr
from trackersplat.training.first_frame.settings import FirstFrameSettings
from trackersplat.training.fit import FitDone
from trackersplat.training.optimiser import LearningRates
from trackersplat.training.points.settings import PointSettings
from trackersplat.training.refine.adam import refine
from trackersplat.training.refine.task import RefineTask

PATCHES = PointSettings(strategy="patches")  # alone: trying out what else there is takes most of the time of a first frame


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    folder = tmp_path_factory.mktemp("bench") / "tiny"
    return open_capture(write_tiny_truth(write_tiny_capture(folder)))


@pytest.fixture(scope="module")
def base(tiny: Capture) -> Gaussians:
    *_, last = fit_first_frame(tiny, 0, PortableRasterizer(), FirstFrameSettings(steps=800, points=PATCHES))
    assert isinstance(last, FitDone)
    return last.gaussians


def settings(
    tracker: str = "exact", distances: tuple[int, ...] = (2, 5), match: dict[str, Any] | None = None, **changes: Any
) -> MotionBenchSettings:
    """With 5 steps of refinement; ``match`` changes the settings of render-and-match, ``changes`` those of the refinement."""
    plain = ReconstructSettings.for_device("cpu", tracker=tracker)
    motion = replace(plain.motion, render_and_match=replace(plain.motion.render_and_match, **(match or {})))
    return MotionBenchSettings(0, distances, replace(plain, motion=motion, refine=replace(plain.refine, **{"steps": 5, **changes})))


def rows_of(events: Iterable[Event]) -> list[DistanceDone]:
    return [event for event in events if isinstance(event, DistanceDone)]


@pytest.fixture(scope="module")
def events(tiny: Capture, base: Gaussians) -> list[Event]:
    return list(bench_motion(tiny, base, settings(), PortableRasterizer()))


@pytest.fixture(scope="module")
def rows(events: list[Event]) -> list[DistanceDone]:
    return rows_of(events)


def test_every_distance_is_a_row_after_the_base_and_all_come_again_at_the_end(
    events: list[Event], rows: list[DistanceDone], base: Gaussians
) -> None:
    assert [(row.distance, row.frame) for row in rows] == [(2, 2), (5, 5)]
    first = events[0]
    assert isinstance(first, BaseDone)
    assert (first.frame, first.gaussians) == (0, len(base))
    stages = [event.name for event in events if isinstance(event, Stage)]
    assert stages == ["track", "move", *["refine", "refine", "measure"] * 2]
    *others, last = events
    assert all(isinstance(event, (BaseDone, Stage, StepDone, DistanceDone)) for event in others)
    assert last == BenchDone(first, tuple(rows), average(rows))


def test_doing_nothing_leaves_exactly_the_motion_of_the_truth_as_its_error(tiny: Capture, rows: list[DistanceDone]) -> None:
    with np.load(tiny.root / "gt" / "tracks.npz") as truth:
        xyz, dynamic, vis = truth["xyz"], truth["dynamic"], truth["vis"]
    seen = vis[list(tiny.training_cameras), 0].any(axis=0)
    for row in rows:
        moved = np.linalg.norm(xyz[row.frame].astype(float) - xyz[0], axis=1)
        errors = row.methods[UNMOVED].points
        assert errors["dynamic"].count == (dynamic & seen).sum()
        assert errors["dynamic_all"].count == dynamic.sum()
        assert errors["static_all"].count == (~dynamic).sum()
        assert errors["dynamic"].median == pytest.approx(np.median(moved[dynamic & seen]), abs=1e-9)
        assert errors["static"].p90 == pytest.approx(0, abs=1e-12)


def test_exact_tracks_take_the_points_to_their_places_and_the_picture_with_them(rows: list[DistanceDone]) -> None:
    for row in rows:
        nothing, moved = row.methods[UNMOVED], row.methods[MOVED]
        assert moved.points["dynamic"].median < 0.3 * nothing.points["dynamic"].median
        assert moved.dynamic_psnr > nothing.dynamic_psnr + 1
        assert row.methods[MOVED_REFINED].dynamic_psnr > row.methods[REFINED].dynamic_psnr + 1


def test_points_are_not_carried_by_gaussians_that_replaced_others(tiny: Capture, base: Gaussians) -> None:
    """All others stay where they are, and so do all points."""
    truth, carry = read_point_truth(tiny), CarryPointsSettings()
    replaced = torch.arange(0, len(base), 3)
    after = replace(base, means=base.means.index_add(0, replaced, torch.ones(len(replaced), 3)))
    unmoved = _point_scores(truth, tiny, base, base, None, (0, 5), carry)
    assert _point_scores(truth, tiny, base, after, replaced, (0, 5), carry) == unmoved
    assert _point_scores(truth, tiny, base, after, None, (0, 5), carry) != unmoved


def test_what_was_not_moved_is_refined_as_such(tiny: Capture, base: Gaussians, rows: list[DistanceDone]) -> None:
    row, rasterizer = rows[0], PortableRasterizer()
    nothing = torch.zeros(len(base), dtype=torch.bool)
    assert row.frame is not None
    plain = settings().reconstruct
    given = replace(plain.refine, seed=plain.seed + row.frame)
    scores = []
    for how in (given.unmoved(), given):
        *_, last = refine(RefineTask(base, nothing, tiny, row.frame, rasterizer, None, how))
        assert isinstance(last, FitDone)
        scores.append(held_out_psnr(tiny, row.frame, rasterizer, last.gaussians))
    assert row.methods[REFINED].psnr == pytest.approx(scores[0], abs=1e-9)
    assert row.methods[REFINED].psnr != scores[1]


def test_what_was_moved_is_refined_with_what_was_set(tiny: Capture, base: Gaussians) -> None:
    """With no rates nothing changes; what is refined without motion has another rate for its rotations."""
    unchanged = LearningRates(means=0.0, means_end=0.0, quats=0.0, log_scales=0.0, opacity_logits=0.0, sh_dc=0.0, sh_rest=0.0)
    (row,) = rows_of(bench_motion(tiny, base, settings(distances=(2,), steps=2, rates=unchanged), PortableRasterizer()))
    assert row.methods[MOVED_REFINED].psnr == row.methods[MOVED].psnr
    assert row.methods[REFINED].psnr != row.methods[UNMOVED].psnr


def test_shares_add_up_and_dynamic_pixels_are_fewer_than_all(rows: list[DistanceDone]) -> None:
    for row in rows:
        assert row.measured + row.propagated + row.static == pytest.approx(1)
        assert 0 < row.dynamic_share < 0.6
        assert row.measured > 0
        assert row.methods[UNMOVED].dynamic_psnr < row.methods[UNMOVED].psnr  # where nothing changed, nothing is wrong
        assert row.seconds.of(UNMOVED) == 0
        assert row.seconds.of(MOVED_REFINED) > row.seconds.of(MOVED) > 0


def test_doing_nothing_is_the_base_frame_rendered_against_the_target(tiny: Capture, base: Gaussians, rows: list[DistanceDone]) -> None:
    (camera,) = tiny.held_out_cameras
    with torch.no_grad():
        image = PortableRasterizer().render(base, [tiny.cameras[camera]]).color[0].clamp(0, 1).numpy()
    error = np.mean((image - tiny.image(camera, 5) / 255) ** 2)
    assert rows[1].methods[UNMOVED].psnr == pytest.approx(-10 * math.log10(error), abs=1e-3)


def test_the_same_seed_gives_the_same_numbers(tiny: Capture, base: Gaussians, rows: list[DistanceDone]) -> None:
    again = rows_of(bench_motion(tiny, base, settings(), PortableRasterizer()))
    assert [row.methods for row in again] == [row.methods for row in rows]


@pytest.mark.parametrize("tracker", ["exact", "dis"])
def test_only_tracks_that_are_not_exact_are_matched(tiny: Capture, base: Gaussians, tracker: str) -> None:
    always = settings(tracker, (2,), {"match_rounds": 2, "unreliable_share": 0.0}, steps=1)
    stages = [event for event in bench_motion(tiny, base, always, PortableRasterizer()) if isinstance(event, Stage)]
    assert [stage.detail for stage in stages if stage.name == "match"] == ([] if tracker == "exact" else [""] * 4)


def test_seconds_are_per_frame_on_the_way(tiny: Capture, base: Gaussians, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*arguments: Any, **options: Any) -> Iterator[Event]:
        for event in follow_chain(*arguments, **options):
            if isinstance(event, ChainStep):
                event = replace(event, seconds={"track": 1.0 * event.frame, "move": 7.0 * event.frame, "match": 3.0 * event.frame})
            yield event

    monkeypatch.setattr("trackersplat.benchmarks.motion.follow_chain", slow)
    for tracker, expected in (("exact", (7 / 2, 70 / 2)), ("dis", (15 / 5, 150 / 5))):  # frames 2 and 5, or 1 to 5
        for row in rows_of(bench_motion(tiny, base, settings(tracker, match={"match_rounds": 0}, steps=1), PortableRasterizer())):
            assert (row.seconds.tracking, row.seconds.motion) == pytest.approx(expected)


def test_without_truth_there_are_no_points(small_capture: Capture, base: Gaussians) -> None:
    (row,) = rows_of(bench_motion(small_capture, base, settings("dis", (1,), steps=1), PortableRasterizer()))
    assert all(score.points == {} for score in row.methods.values())


@pytest.mark.parametrize(("distances", "words"), [((), "ascending"), ((2, 1), "ascending"), ((0, 1), "from 1 on"), ((1, 6), "beyond")])
def test_distances_outside_the_clip_are_one_sentence(tiny: Capture, base: Gaussians, distances: tuple[int, ...], words: str) -> None:
    with pytest.raises(InputError, match=words):
        next(bench_motion(tiny, base, settings(distances=distances), PortableRasterizer()))


def test_without_a_held_out_camera_there_is_nothing_to_measure(tiny: Capture, base: Gaussians) -> None:
    with pytest.raises(InputError, match="--hold-out"):
        next(bench_motion(replace(tiny, held_out=()), base, settings(), PortableRasterizer()))


def row_of(psnr: float | None, error: float, seconds: float) -> DistanceDone:
    score = MethodScore(psnr, 0.5, None, None, {"dynamic": PointErrors(7, error, 2 * error)})
    return DistanceDone(1, 4, seconds, 0.2, 0.3, 0.5, dict.fromkeys(METHODS, score), Seconds(seconds, 1.0, 2.0, 3.0))


def test_the_average_is_over_what_there_is() -> None:
    mean = average([row_of(20.0, 0.1, 0.5), row_of(None, 0.3, 1.5), row_of(30.0, 0.2, 1.0)])
    score = mean.methods[MOVED]
    assert (mean.distance, mean.frame) == (None, None)
    assert (score.psnr, score.dynamic_psnr) == (25.0, None)
    assert (score.points["dynamic"].count, score.points["dynamic"].median) == (7, pytest.approx(0.2))
    assert (mean.seconds.tracking, mean.seconds.of(MOVED_REFINED)) == (pytest.approx(1.0), pytest.approx(5.0))


def test_json_has_numbers_or_null_and_counts_frames_from_one() -> None:
    data = to_json(row_of(math.inf, math.nan, 1.0))
    assert data["frame"] == 5
    assert data["methods"][UNMOVED]["psnr"] is None
    assert data["methods"][UNMOVED]["points"]["dynamic"]["median"] is None
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert finite({"a": (1.0, -math.inf), 2: "x"}) == {"a": [1.0, None], "2": "x"}


def test_exact_tracks_on_the_stage_reach_far_frames(shared_data: Path) -> None:
    capture = open_capture(shared_data / "stage_fast")
    rasterizer = PortableRasterizer()
    points = replace(PATCHES, max_side=160)
    *_, last = fit_first_frame(capture, 0, rasterizer, FirstFrameSettings(steps=40, densify=DensifySettings(cap=4_000), points=points))
    assert isinstance(last, FitDone)
    (row,) = rows_of(bench_motion(capture, last.gaussians, settings(distances=(9,), steps=10), rasterizer))
    capture.close()
    nothing, moved = row.methods[UNMOVED], row.methods[MOVED]
    assert nothing.points["dynamic"].median > 0.5
    assert moved.points["dynamic"].median < 0.05
    assert moved.points["static"].p90 < 0.005
    assert moved.dynamic_psnr > nothing.dynamic_psnr + 3
