"""A plate that flies before a wall: what it takes to follow it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from flying_plate import BASE, CAMERAS, PLATE_ALONE, RASTERIZER, SETTINGS, Film, T, Tracks, error_3d, film, on_plate, run, scene

from trackersplat.captures.capture import Capture
from trackersplat.events import Stage
from trackersplat.motion.apply import move
from trackersplat.motion.motion import Carried, Motion
from trackersplat.motion.render_request import predict
from trackersplat.motion.solve import estimate_motion
from trackersplat.pipelines import moving
from trackersplat.pipelines.moving import Followed, follow
from trackersplat.tracking.tracks import DenseTracks
from trackersplat.training.photometric import ColourAffines

LOST = moving.LOST  # as it is outside these tests


@pytest.fixture
def capture(tmp_path: Path) -> Capture:
    return film(tmp_path)


def same(ours: Sequence[Motion], theirs: Sequence[Motion]) -> bool:
    names = ("translation", "rotation", "static", "measured", "confidence", "views")
    return len(ours) == len(theirs) and all(
        torch.equal(getattr(a, name), getattr(b, name)) for a, b in zip(ours, theirs, strict=True) for name in names
    )


def estimated(tracks: Sequence[tuple[int, DenseTracks]], carried: Carried | None = None) -> list[Motion]:
    return estimate_motion(
        RASTERIZER, scene(BASE), [CAMERAS[camera] for camera, _ in tracks], [dense for _, dense in tracks], SETTINGS, carried=carried
    )


def carried_along() -> Carried:
    """A velocity to the left of the plate, which the batch before is sure of, and a little way up that it withheld."""
    withheld, velocity, spin = torch.zeros(3, len(PLATE_ALONE), 3)
    withheld[PLATE_ALONE] = torch.tensor((0.0, -0.002, 0.0))
    velocity[PLATE_ALONE] = torch.tensor((-0.1, 0.0, 0.0))
    return Carried(withheld, velocity, spin, PLATE_ALONE.float())


@pytest.fixture(autouse=True)
def every_target_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "LOST", 0.0)


class LostOnTheWay(Tracks):
    """The plate is lost in two cameras, but only in the frame 3."""

    def __call__(self, cameras: Sequence[int], base: int, targets: Sequence[int]) -> Iterator[tuple[int, DenseTracks]]:
        for (camera, lost), (_, exact) in zip(Tracks(2, 3)(cameras, base, targets), Tracks()(cameras, base, targets), strict=True):
            yield camera, exact.replaced(lost.only([3])) if 3 in targets else exact


def test_only_targets_to_which_tracks_were_lost_are_looked_at_again(capture: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "LOST", LOST)

    def followed(looks: int, source: Tracks, through: tuple[int, ...] = (2, 3, 4)) -> tuple[list[Stage], Followed]:
        return run(follow(capture, scene(BASE), BASE, through, source, RASTERIZER, SETTINGS, looks=looks))

    _, once = followed(0, LostOnTheWay())
    stages, again = followed(1, LostOnTheWay())
    assert [stage.detail for stage in stages if stage.name == "look"] == ["1 of 3 frames"]
    assert same(again.motions[::2], once.motions[::2])
    assert error_3d(once.motions[1], 3) > 0.05
    assert error_3d(again.motions[1], 3) < 0.02
    for (camera, ours), (other, theirs) in zip(again.tracks, once.tracks, strict=True):
        assert (camera, ours.targets) == (other, theirs.targets)
        assert np.array_equal(ours.positions[::2], theirs.positions[::2])
        assert np.array_equal(ours.positions[1], theirs.positions[1]) == (camera == 1)  # the one that lost nothing
    # What the first look found needs no second one; what was not lost, none at all.
    assert [stage.name for stage in followed(3, LostOnTheWay())[0]] == ["track", "move", "look"]
    assert [stage.name for stage in followed(1, Tracks())[0]] == ["track", "move"]


def test_stages_are_said_in_their_order(capture: Capture) -> None:
    def stages(targets: tuple[int, ...], looks: int) -> list[Stage]:
        return run(follow(capture, scene(BASE), BASE, targets, Tracks(), RASTERIZER, SETTINGS, looks=looks))[0]

    assert stages((2,), 0) == [Stage(2, "track", "3 views, frame 2 to 3"), Stage(2, "move")]
    assert stages((2, 3), 1) == [Stage(2, "track", "3 views, frame 2 to 3-4"), Stage(2, "move"), Stage(2, "look", "2 of 2 frames")]
    assert stages((2, 3), 2)[1:] == [Stage(2, "move"), *[Stage(2, "look", "2 of 2 frames")] * 2]


def test_without_a_look_there_is_exactly_the_motion_of_the_tracks(capture: Capture) -> None:
    source = Tracks(3)
    _, followed = run(follow(capture, scene(BASE), BASE, (2, 4), source, RASTERIZER, SETTINGS, looks=0))
    assert source.asked == [((1, 2, 3), BASE, (2, 4))]
    assert followed.targets == (2, 4)
    expected = sorted(Tracks(3)((1, 2, 3), BASE, (2, 4)), key=lambda pair: pair[0])
    assert [camera for camera, _ in followed.tracks] == [1, 2, 3]
    for (_, ours), (_, theirs) in zip(followed.tracks, expected, strict=True):
        np.testing.assert_array_equal(ours.positions, theirs.positions)
        np.testing.assert_array_equal(ours.confidence, theirs.confidence)
    assert same(followed.motions, estimated(expected))
    assert not same(followed.motions, estimated(expected[:2]))


def test_a_drifting_base_is_corrected_at_every_target_though_no_track_is_lost(capture: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plate is taken to be beside its place in the base frame; the tracks tell exactly how it goes on."""
    monkeypatch.setattr(moving, "LOST", LOST)
    off = torch.tensor((0.05, -0.04, 0.0))
    base = scene(BASE)
    base = replace(base, means=base.means + PLATE_ALONE[:, None] * off)

    def error(motion: Motion, target: int) -> float:
        return (move(base, motion).means - scene(target).means)[PLATE_ALONE].norm(dim=1).median().item()

    for drifting in (False, True):
        stages, followed = run(follow(capture, base, BASE, (2, 3), Tracks(), RASTERIZER, SETTINGS, looks=1, drifting=drifting))
        assert [stage.detail for stage in stages if stage.name == "look"] == ["2 of 2 frames"] * drifting
        errors = [error(motion, target) for target, motion in zip((2, 3), followed.motions, strict=True)]
        if drifting:
            assert max(errors) < 0.015
        else:
            assert min(errors) > 0.05


@pytest.mark.parametrize("looks", [0, 1])
def test_what_is_carried_and_set_counts_for_every_estimate(capture: Capture, looks: int) -> None:
    def motions(carried: Carried | None) -> Followed:
        source = Tracks(1, 2, 3)
        return run(follow(capture, scene(BASE), BASE, (2,), source, RASTERIZER, SETTINGS, looks=looks, carried=carried))[1]

    plain, carried = motions(None), motions(carried_along())
    assert same(plain.motions, estimated(plain.tracks))
    assert same(carried.motions, estimated(carried.tracks, carried_along()))
    assert not same(carried.motions, estimated(carried.tracks))
    other = replace(SETTINGS, static_px=2.0)
    _, steady = run(follow(capture, scene(BASE), BASE, (2,), Tracks(), RASTERIZER, other, looks=looks))
    cameras, tracks = [CAMERAS[camera] for camera, _ in steady.tracks], [dense for _, dense in steady.tracks]
    assert same(steady.motions, estimate_motion(RASTERIZER, scene(BASE), cameras, tracks, other))
    assert not same(steady.motions, estimated(steady.tracks))


def test_a_view_that_lost_an_object_finds_it_where_the_others_say_that_it_went(capture: Capture) -> None:
    target, lost = 4, on_plate(3)
    (exact,) = (dense for camera, dense in Tracks()((3,), BASE, (target,)))
    assert np.linalg.norm(exact.positions[0] - Tracks.pixels(), axis=-1)[lost].max() > 9
    views, errors = [], []
    for looks in (0, 1):
        _, followed = run(follow(capture, scene(BASE), BASE, (target,), Tracks(3), RASTERIZER, SETTINGS, looks=looks))
        found = dict(followed.tracks)[3]
        sure = (found.visibility * found.confidence)[0] > 0.5
        error = np.linalg.norm(found.positions[0] - exact.positions[0], axis=-1)
        errors.append((sure[lost].mean(), np.median(error[lost])))
        views.append(followed.motions[0].views[PLATE_ALONE].float().mean().item())
    assert errors[0] == (0, pytest.approx(20 * np.sqrt(2), abs=1e-3))
    assert errors[1][0] > 0.8
    assert errors[1][1] < 0.2
    assert views[0] < 2.1
    assert views[1] > 2.9


def test_an_object_that_all_but_one_view_lost_is_followed_after_a_second_look(capture: Capture) -> None:
    nothing, looked = (
        run(follow(capture, scene(BASE), BASE, (2,), Tracks(2, 3), RASTERIZER, SETTINGS, looks=looks))[1].motions[0] for looks in (0, 1)
    )
    assert error_3d(nothing, 2) > 0.12
    assert error_3d(looked, 2) < 0.01
    assert not nothing.measured[PLATE_ALONE].any()
    assert looked.measured[PLATE_ALONE].float().mean() > 0.9
    assert looked.static[~PLATE_ALONE].float().mean() > 0.95


def test_every_look_goes_on_from_the_motion_that_the_last_one_led_to(capture: Capture) -> None:
    measured = []
    for looks in (0, 1, 2):
        _, followed = run(follow(capture, scene(BASE), BASE, (4,), Tracks(2, 3), RASTERIZER, SETTINGS, looks=looks))
        measured.append(followed.motions[0].measured[PLATE_ALONE].float().mean().item())
    assert measured[0] == 0
    assert 0.5 < measured[1] < 0.9
    assert measured[2] > 0.95


def test_predictions_have_the_colours_of_their_camera(capture: Capture) -> None:
    """Other cameras show the scene darker and the wrong way round."""
    matrices = torch.eye(3, 4).repeat(3, 1, 1)
    matrices[2] = torch.tensor(((-0.7, 0, 0, 0.9), (0, -0.7, 0, 0.9), (0, 0, -0.7, 0.9)))
    colours = ColourAffines(("cam1", "cam2", "cam3"), matrices)
    filmed = replace(capture, source=Film(colours))
    found = []
    for known in (colours, None):
        _, followed = run(follow(filmed, scene(BASE), BASE, (4,), Tracks(3), RASTERIZER, SETTINGS, looks=1, colours=known))
        found.append(followed.motions[0].views[PLATE_ALONE].float().mean().item())
    assert found[0] > 2.9
    assert found[1] < 2.3


def test_seconds_are_those_of_tracking_and_of_moving_with_its_looks(capture: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]

    def slow(seconds: float, work: Callable[..., T]) -> Callable[..., T]:
        def later(*arguments: object, **options: object) -> T:
            now[0] += seconds
            return work(*arguments, **options)

        return later

    monkeypatch.setattr(moving.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(moving, "estimate_motion", slow(3.0, estimate_motion))
    monkeypatch.setattr(moving, "predict", slow(0.25, predict))
    source = slow(5.0, Tracks())
    _, followed = run(follow(capture, scene(BASE), BASE, (2, 3), source, RASTERIZER, SETTINGS, looks=2))
    assert (followed.tracking, followed.moving) == (5.0, 3 * 3.0 + 2 * 3 * 0.25)
