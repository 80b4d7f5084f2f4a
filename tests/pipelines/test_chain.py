"""Legs on the way to far frames."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flying_plate import BASE, CAMERAS, PLATE_ALONE, RASTERIZER, SETTINGS, Film, Tracks, error_3d, film, scene

from trackersplat.captures.capture import Capture
from trackersplat.events import Stage
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.apply import move
from trackersplat.motion.motion import Carried
from trackersplat.motion.render_request import predict
from trackersplat.motion.solve import estimate_motion
from trackersplat.pipelines import chain, moving
from trackersplat.pipelines.chain import Origin, Reached, follow_in_legs
from trackersplat.pipelines.moving import Followed, follow
from trackersplat.tracking.registry import tracker_info
from trackersplat.tracking.tracks import DenseTracks


@pytest.fixture
def capture(tmp_path: Path) -> Capture:
    return film(tmp_path, frames=7)


def go(
    capture: Capture, source: Tracks, targets: tuple[int, ...], leg: int | None, looks: int = 0, base: Gaussians | None = None
) -> tuple[list[Stage], list[Reached]]:
    start = scene(BASE) if base is None else base
    events = list(follow_in_legs(capture, start, BASE, targets, source, RASTERIZER, SETTINGS, leg=leg, looks=looks))
    return [e for e in events if isinstance(e, Stage)], [e for e in events if isinstance(e, Reached)]


@pytest.mark.parametrize(
    ("leg", "asked"),
    [
        (1, [(1, (2,)), (2, (3,)), (3, (4,)), (4, (5,)), (5, (6,))]),
        (2, [(1, (2, 3)), (3, (4, 5)), (5, (6,))]),
        (9, [(1, (2, 3, 4, 5, 6))]),
        (None, [(1, (2, 3, 4, 5, 6))]),
    ],
)
def test_every_leg_starts_where_the_last_one_ended(capture: Capture, leg: int | None, asked: list[tuple[int, tuple[int, ...]]]) -> None:
    source = Tracks()
    _, reached = go(capture, source, (2, 3, 4, 5, 6), leg)
    assert [(base, targets) for _, base, targets in source.asked] == asked
    assert [event.frame for event in reached] == [2, 3, 4, 5, 6]
    for event in reached:
        assert error_3d(event.motion, event.frame) < 0.02  # of up to 0.67
        assert all(event.frame in dense.targets for _, dense in event.tracks)
        assert [camera for camera, _ in event.tracks] == [1, 2, 3]


def test_every_leg_gets_what_the_last_one_carries(capture: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Carried | None] = []

    def watched(*arguments: Any, **options: Any) -> Generator[Stage, None, Followed]:
        given.append(options["carried"])
        return (yield from follow(*arguments, **options))

    monkeypatch.setattr(chain, "follow", watched)
    _, reached = go(capture, Tracks(), (2, 3, 4), 1)
    assert given == [None, reached[0].motion.carried, reached[1].motion.carried]
    assert None not in given[1:]


def test_one_leg_is_exactly_the_motion_of_its_tracks(capture: Capture) -> None:
    _, (reached,) = go(capture, Tracks(), (3,), None)
    cameras, tracks = [capture.cameras[camera] for camera, _ in reached.tracks], [dense for _, dense in reached.tracks]
    (expected,) = estimate_motion(RASTERIZER, scene(BASE), cameras, tracks, SETTINGS)
    assert torch.equal(reached.motion.translation, expected.translation)
    assert torch.equal(reached.motion.static, expected.static)


def test_only_later_legs_are_looked_at_for_drift(capture: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "LOST", 2.0)  # no track is ever lost
    stages, _ = go(capture, Tracks(), (2, 3, 4), 1, looks=1)
    assert [(stage.frame, stage.name) for stage in stages] == [
        (2, "track"), (2, "move"), (3, "track"), (3, "move"), (3, "look"), (4, "track"), (4, "move"), (4, "look"),
    ]  # fmt: skip


class LostBetween(Tracks):
    """The plate is lost in all cameras where a leg starts from the base frame or leads over more than one frame."""

    def __call__(self, cameras: Sequence[int], base: int, targets: Sequence[int]) -> Iterator[tuple[int, DenseTracks]]:
        self.without = () if max(targets) - base == 1 else tuple(cameras)
        return super().__call__(cameras, base, targets)


def test_what_tracks_lose_over_many_frames_is_followed_in_legs(capture: Capture) -> None:
    _, (*_, far) = go(capture, LostBetween(), (2, 3, 4, 5, 6), None)
    _, (*_, near) = go(capture, LostBetween(), (2, 3, 4, 5, 6), 1)
    assert error_3d(far.motion, 6) > 0.5
    assert error_3d(near.motion, 6) < 0.02


class Sliding(Tracks):
    """The wall creeps by 0.7 pixels per leg in every view, which is not so."""

    def __call__(self, cameras: Sequence[int], base: int, targets: Sequence[int]) -> Iterator[tuple[int, DenseTracks]]:
        for camera, dense in super().__call__(cameras, base, targets):
            still = np.linalg.norm(dense.positions - self.pixels(), axis=-1) < 0.3
            yield camera, replace(dense, positions=dense.positions + np.float32(0.7) * still[..., None] * np.array((1, 0), np.float32))


def test_what_rests_where_it_was_is_put_back_after_every_leg(capture: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def wall(event: Reached) -> float:
        return (move(scene(BASE), event.motion).means - scene(BASE).means)[~PLATE_ALONE].norm(dim=1).median().item()

    _, resting = go(capture, Sliding(), (2, 3, 4), 1)
    monkeypatch.setattr(chain, "rest_again", lambda *arguments: arguments[5])
    _, creeping = go(capture, Sliding(), (2, 3, 4), 1)
    assert wall(creeping[-1]) > 0.05
    assert wall(resting[-1]) == 0
    assert error_3d(resting[-1].motion, 4) < 0.02


def test_what_rests_where_its_origin_has_it_is_put_back_there_also_after_the_first_leg(capture: Capture) -> None:
    wall = ~PLATE_ALONE[:, None]
    away = replace(scene(2), means=scene(2).means + torch.tensor((0.07, 0.0, 0.0)) * wall)  # by more than a pixel
    options: dict[str, Any] = {"leg": 1, "looks": 0}
    for origin, expected in ((Origin(BASE, scene(BASE)), 0.0), (None, 0.07)):
        *_, last = follow_in_legs(capture, away, 2, (3,), Tracks(), RASTERIZER, SETTINGS, **options, origin=origin)
        assert isinstance(last, Reached)
        moved = move(away, last.motion).means
        assert (moved - scene(BASE).means)[wall[:, 0]].norm(dim=1).median().item() == pytest.approx(expected, abs=1e-6)
        assert (moved - scene(3).means)[PLATE_ALONE].norm(dim=1).median() < 0.02


def slow(frame: int) -> float:
    """The plate goes on by an eighth of a pixel a frame."""
    return BASE + (frame - BASE) / 30


class SlowFilm(Film):
    def read(self, camera: int, frame: int) -> np.ndarray:
        return super().read(camera, slow(frame))


class SlowTracks(Tracks):
    def __call__(self, cameras: Sequence[int], base: int, targets: Sequence[int]) -> Iterator[tuple[int, DenseTracks]]:
        for camera in cameras:
            ways = predict(RASTERIZER, scene(slow(base)), [scene(slow(target)) for target in targets], CAMERAS[camera])
            positions = np.stack([way.forward for way in ways]) + self.pixels()
            ones = np.ones(positions.shape[:3], np.float32)
            yield camera, DenseTracks(base, tuple(targets), positions, ones, ones, tracker_info("dis"))


@pytest.mark.parametrize("origin", [Origin(BASE, scene(BASE)), None], ids=["origin", "base"])
def test_slow_motion_goes_on_from_batch_to_batch(tmp_path: Path, origin: Origin | None) -> None:
    capture = replace(film(tmp_path, frames=18), source=SlowFilm())
    base, carried = scene(BASE), None
    for start in range(BASE, BASE + 16, 4):
        events = list(
            follow_in_legs(
                capture,
                base,
                start,
                range(start + 1, start + 5),
                SlowTracks(),
                RASTERIZER,
                SETTINGS,
                leg=1,
                looks=0,
                carried=carried,
                origin=origin,
            )
        )
        motion = events[-1].motion
        base, carried = move(base, motion), motion.carried
    moved = (base.means - scene(BASE).means)[PLATE_ALONE].norm(dim=1).median().item()
    truth = (scene(slow(BASE + 16)).means - scene(BASE).means)[PLATE_ALONE].norm(dim=1).median().item()
    assert 0.7 < moved / truth < 1.1  # half a pixel of two may be withheld
