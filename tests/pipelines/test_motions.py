"""Motions of a plate that flies before a wall."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
from flying_plate import BASE, CAMERAS, PLATE_ALONE, RASTERIZER, SETTINGS, Film, Tracks, context, error_3d, film, on_plate, run, scene

from trackersplat.captures.capture import Capture
from trackersplat.events import Note, Stage
from trackersplat.geometry.projection import inside_image
from trackersplat.motion.apply import move
from trackersplat.motion.motion import CarriedMotion, Motion
from trackersplat.motion.render_request import predict
from trackersplat.motion.settings import MotionSettings
from trackersplat.motion.solve import estimate_motion
from trackersplat.pipelines import clock, motions
from trackersplat.pipelines.motions import MotionsFound, find_motions
from trackersplat.tracking.consistency.settings import ConsistencySettings
from trackersplat.tracking.tracker import TrackerFailed
from trackersplat.tracking.tracks import DenseTracks
from trackersplat.training.photometric import ColourAffines

SHARE = SETTINGS.render_and_match.unreliable_share
T = TypeVar("T")


@pytest.fixture
def capture(tmp_path: Path) -> Capture:
    return film(tmp_path)


def same(ours: Sequence[Motion], theirs: Sequence[Motion]) -> bool:
    names = ("translation", "rotation", "is_static", "measured", "confidence", "views")
    return len(ours) == len(theirs) and all(
        torch.equal(getattr(a, name), getattr(b, name)) for a, b in zip(ours, theirs, strict=True) for name in names
    )


def estimated(tracks: Sequence[tuple[int, DenseTracks]], carried: CarriedMotion | None = None) -> list[Motion]:
    return estimate_motion(
        RASTERIZER, scene(BASE), [CAMERAS[camera] for camera, _ in tracks], [dense for _, dense in tracks], SETTINGS, carried=carried
    )


def carried_along() -> CarriedMotion:
    """A velocity to the left of the plate, of which the batch before is certain, and a little way up that is pending."""
    pending, velocity, angular = torch.zeros(3, len(PLATE_ALONE), 3)
    pending[PLATE_ALONE] = torch.tensor((0.0, -0.002, 0.0))
    velocity[PLATE_ALONE] = torch.tensor((-0.1, 0.0, 0.0))
    return CarriedMotion(pending, velocity, angular, PLATE_ALONE.float())


def found(
    capture: Capture, source: Tracks, targets: tuple[int, ...], match_rounds: int, share: float = 0.0, **options: object
) -> tuple[list[Stage], MotionsFound]:
    about = context(capture, source, match_rounds=match_rounds, unreliable_share=share)
    return run(find_motions(about, scene(BASE), BASE, targets, **options))  # type: ignore[arg-type]


class LostOnTheWay(Tracks):
    """The plate is lost in two cameras, but only in the frame 3."""

    def __call__(self, cameras: Sequence[int], base: int, targets: Sequence[int]) -> Iterator[tuple[int, DenseTracks]]:
        for (camera, lost), (_, exact) in zip(Tracks(2, 3)(cameras, base, targets), Tracks()(cameras, base, targets), strict=True):
            yield camera, exact.with_part(lost.only([3])) if 3 in targets else exact


def test_only_targets_to_which_tracks_were_lost_are_matched(capture: Capture) -> None:
    _, once = found(capture, LostOnTheWay(), (2, 3, 4), 0, SHARE)
    stages, again = found(capture, LostOnTheWay(), (2, 3, 4), 1, SHARE)
    assert [stage.detail for stage in stages if stage.name == "match"] == ["1 of 3 frames"]
    assert same(again.motions[::2], once.motions[::2])
    assert error_3d(once.motions[1], 3) > 0.05
    assert error_3d(again.motions[1], 3) < 0.02
    for (camera, ours), (other, theirs) in zip(again.tracks, once.tracks, strict=True):
        assert (camera, ours.targets) == (other, theirs.targets)
        assert torch.equal(ours.positions[::2], theirs.positions[::2])
        assert torch.equal(ours.positions[1], theirs.positions[1]) == (camera == 1)  # the one that lost nothing
    # What the first round found needs no second one; what was not lost, none at all.
    assert [stage.name for stage in found(capture, LostOnTheWay(), (2, 3, 4), 3, SHARE)[0]] == ["track", "move", "match"]
    assert [stage.name for stage in found(capture, Tracks(), (2, 3, 4), 1, SHARE)[0]] == ["track", "move"]


class FailsInOneCamera(Tracks):
    """Some code of others that gives up after the first camera."""

    def __call__(self, cameras: Sequence[int], base: int, targets: Sequence[int]) -> Iterator[tuple[int, DenseTracks]]:
        yield next(super().__call__(cameras, base, targets))
        raise TrackerFailed("The tracker failed.")


def test_where_the_tracker_fails_everything_stays_as_it_is_and_that_is_said_or_its_error_is_raised(capture: Capture) -> None:
    about = context(capture, FailsInOneCamera(), match_rounds=1, unreliable_share=0.0)
    with pytest.raises(TrackerFailed):
        list(find_motions(about, scene(BASE), BASE, (2, 3)))
    events = list(find_motions(replace(about, keep_on_failure=True), scene(BASE), BASE, (2, 3), carried=carried_along()))
    said = f"The tracker failed. The Gaussians of frame {BASE + 1} stay as they are until they are refined."
    assert [event for event in events if isinstance(event, Note)] == [Note(2, said), Note(3, said)]
    assert [event.name for event in events if isinstance(event, Stage)] == ["track", "move"]  # and nothing is matched
    assert isinstance(events[-1], MotionsFound)
    for motion in events[-1].motions:
        assert not motion.measured.any()
        assert motion.translation.abs().max() == 0
        assert torch.equal(move(scene(BASE), motion).means, scene(BASE).means)


def test_what_has_to_be_said_about_tracks_is_said_once(capture: Capture) -> None:
    class Remarked(Tracks):
        def __call__(self, cameras: Sequence[int], base: int, targets: Sequence[int]) -> Iterator[tuple[int, DenseTracks]]:
            for camera, dense in super().__call__(cameras, base, targets):
                yield camera, replace(dense, remarks=("It ran out of memory.",))

    about = context(capture, Remarked(), match_rounds=0, unreliable_share=0.0)
    events = list(find_motions(about, scene(BASE), BASE, (2,)))
    assert [event for event in events if isinstance(event, Note)] == [Note(2, "It ran out of memory.")]


def test_stages_are_said_in_their_order(capture: Capture) -> None:
    assert found(capture, Tracks(), (2,), 0)[0] == [Stage(2, "track", "3 views, frame 2 to 3"), Stage(2, "move")]
    match = Stage(2, "match", "2 of 2 frames")
    assert found(capture, Tracks(), (2, 3), 1)[0] == [Stage(2, "track", "3 views, frame 2 to 3-4"), Stage(2, "move"), match]
    assert found(capture, Tracks(), (2, 3), 2)[0][1:] == [Stage(2, "move"), match, match]


def test_without_a_match_there_is_exactly_the_motion_of_the_tracks(capture: Capture) -> None:
    source = Tracks(3)
    _, result = found(capture, source, (2, 4), 0)
    assert source.asked == [((1, 2, 3), BASE, (2, 4))]
    assert result.targets == (2, 4)
    expected = sorted(Tracks(3)((1, 2, 3), BASE, (2, 4)), key=lambda pair: pair[0])
    assert [camera for camera, _ in result.tracks] == [1, 2, 3]
    for (_, ours), (_, theirs) in zip(result.tracks, expected, strict=True):
        assert torch.equal(ours.positions, theirs.positions)
        assert torch.equal(ours.confidence, theirs.confidence)
    assert same(result.motions, estimated(expected))
    assert not same(result.motions, estimated(expected[:2]))


def test_a_drifting_base_is_corrected_at_every_target_though_no_track_is_lost(capture: Capture) -> None:
    """The plate is taken to be beside its place in the base frame; the tracks tell exactly how it goes on."""
    off = torch.tensor((0.05, -0.04, 0.0))
    base = scene(BASE)
    base = replace(base, means=base.means + PLATE_ALONE[:, None] * off)

    def error(motion: Motion, target: int) -> float:
        return (move(base, motion).means - scene(target).means)[PLATE_ALONE].norm(dim=1).median().item()

    for drifting in (False, True):
        about = context(capture, Tracks(), match_rounds=1, unreliable_share=SHARE)
        stages, result = run(find_motions(about, base, BASE, (2, 3), drifting=drifting))
        assert [stage.detail for stage in stages if stage.name == "match"] == ["2 of 2 frames"] * drifting
        errors = [error(motion, target) for target, motion in zip((2, 3), result.motions, strict=True)]
        if drifting:
            assert max(errors) < 0.015
        else:
            assert min(errors) > 0.05


@pytest.mark.parametrize("rounds", [0, 1])
def test_what_is_carried_and_set_counts_for_every_estimate(capture: Capture, rounds: int) -> None:
    _, plain = found(capture, Tracks(1, 2, 3), (2,), rounds)
    _, carried = found(capture, Tracks(1, 2, 3), (2,), rounds, carried=carried_along())
    assert same(plain.motions, estimated(plain.tracks))
    assert same(carried.motions, estimated(carried.tracks, carried_along()))
    assert not same(carried.motions, estimated(carried.tracks))
    other: MotionSettings = replace(SETTINGS, static=replace(SETTINGS.static, threshold_px=2.0))
    _, steady = run(find_motions(context(capture, Tracks(), other, match_rounds=rounds), scene(BASE), BASE, (2,)))
    cameras, tracks = [CAMERAS[camera] for camera, _ in steady.tracks], [dense for _, dense in steady.tracks]
    assert same(steady.motions, estimate_motion(RASTERIZER, scene(BASE), cameras, tracks, other))
    assert not same(steady.motions, estimated(steady.tracks))


def test_a_view_that_lost_an_object_finds_it_where_the_others_say_that_it_went(capture: Capture) -> None:
    target, lost = 4, on_plate(3)
    (exact,) = (dense for camera, dense in Tracks()((3,), BASE, (target,)))
    assert (exact.positions[0] - Tracks.pixels()).norm(dim=-1).numpy()[lost].max() > 9
    views, errors = [], []
    for rounds in (0, 1):
        _, result = found(capture, Tracks(3), (target,), rounds)
        dense = dict(result.tracks)[3]
        certain = ((dense.visibility * dense.confidence)[0] > 0.5).numpy()
        error = (dense.positions[0] - exact.positions[0]).norm(dim=-1).numpy()
        errors.append((certain[lost].mean(), np.median(error[lost])))
        views.append(result.motions[0].views[PLATE_ALONE].float().mean().item())
    assert errors[0] == (0, pytest.approx(20 * np.sqrt(2), abs=1e-3))
    assert errors[1][0] > 0.8
    assert errors[1][1] < 0.2
    assert views[0] < 2.1
    assert views[1] > 2.9


def joined(capture: Capture, source: Tracks, target: int) -> MotionsFound:
    """With tracks that agree between views, and no match."""
    about = context(capture, source, match_rounds=0, unreliable_share=0.0)
    return run(
        find_motions(replace(about, settings=replace(about.settings, agreement=ConsistencySettings())), scene(BASE), BASE, (target,))
    )[1]


def test_tracks_that_agree_between_views_find_an_object_that_one_of_them_lost(capture: Capture) -> None:
    target, lost = 4, on_plate(3)
    (exact,) = (dense for camera, dense in Tracks()((3,), BASE, (target,)))
    result = joined(capture, Tracks(3), target)
    dense = dict(result.tracks)[3]
    assert np.median((dense.positions[0] - exact.positions[0]).norm(dim=-1).numpy()[lost]) < 0.3
    assert (dense.visibility[0].numpy()[lost] > 0.5).mean() > 0.8
    assert result.motions[0].views[PLATE_ALONE].float().mean().item() > 2.5
    assert error_3d(result.motions[0], target) < 0.02


def test_tracks_that_agree_between_views_and_cross_a_mask_are_not_trusted(capture: Capture) -> None:
    class Opposite:
        """All of the base frame is foreground, nothing of another one."""

        def has(self, camera: int) -> bool:
            return True

        def read(self, camera: int, frame: int) -> np.ndarray:
            shape = (capture.cameras[camera].height, capture.cameras[camera].width)
            return np.full(shape, frame == BASE)

        def close(self) -> None: ...

    result = joined(replace(capture, masks=Opposite()), Tracks(3), 4)
    for camera, dense in result.tracks:
        view = capture.cameras[camera]
        inside = inside_image(dense.positions[0], view.width, view.height)
        assert inside.float().mean() > 0.5
        assert dense.confidence[0][inside].max() == 0


def test_an_object_that_all_but_one_view_lost_is_followed_after_a_match(capture: Capture) -> None:
    nothing, matched = (found(capture, Tracks(2, 3), (2,), rounds)[1].motions[0] for rounds in (0, 1))
    assert error_3d(nothing, 2) > 0.12
    assert error_3d(matched, 2) < 0.01
    assert not nothing.measured[PLATE_ALONE].any()
    assert matched.measured[PLATE_ALONE].float().mean() > 0.9
    assert matched.is_static[~PLATE_ALONE].float().mean() > 0.95


def test_every_round_goes_on_from_the_motion_that_the_last_one_led_to(capture: Capture) -> None:
    measured = []
    for rounds in (0, 1, 2):
        _, result = found(capture, Tracks(2, 3), (4,), rounds)
        measured.append(result.motions[0].measured[PLATE_ALONE].float().mean().item())
    assert measured[0] == 0
    assert 0.5 < measured[1] < 0.9
    assert measured[2] > 0.95


@pytest.mark.parametrize("matcher", ["dis", "dis-gpu"])
def test_predictions_have_the_colours_of_their_camera(capture: Capture, matcher: str) -> None:
    """Other cameras show the scene darker and the wrong way round."""
    matrices = torch.eye(3, 4).repeat(3, 1, 1)
    matrices[2] = torch.tensor(((-0.7, 0, 0, 0.9), (0, -0.7, 0, 0.9), (0, 0, -0.7, 0.9)))
    colours = ColourAffines(("cam1", "cam2", "cam3"), matrices)
    filmed = replace(capture, source=Film(colours))
    views = []
    for known in (colours, None):
        about = context(filmed, Tracks(3), colours=known, match_rounds=1, matcher=matcher)
        _, result = run(find_motions(about, scene(BASE), BASE, (4,)))
        views.append(result.motions[0].views[PLATE_ALONE].float().mean().item())
    assert views[0] > 2.9
    assert views[1] < 2.3


def test_seconds_are_those_of_tracking_moving_and_matching(capture: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]

    def slow(seconds: float, work: Callable[..., T]) -> Callable[..., T]:
        def later(*arguments: object, **options: object) -> T:
            now[0] += seconds
            return work(*arguments, **options)

        return later

    class AtHand(clock.Clock):
        def __init__(self, device: torch.device) -> None:
            super().__init__(device, lambda: now[0])

    monkeypatch.setattr(motions, "Clock", AtHand)
    monkeypatch.setattr(motions, "estimate_motion", slow(3.0, estimate_motion))
    monkeypatch.setattr(motions, "predict", slow(0.25, predict))
    about = context(capture, slow(5.0, Tracks()), match_rounds=2)
    _, result = run(find_motions(about, scene(BASE), BASE, (2, 3)))
    assert result.seconds == {"track": 5.0, "move": 3.0, "match": 2 * 3.0 + 2 * 3 * 0.25}
