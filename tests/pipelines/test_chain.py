"""Strides on the way to far frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flying_plate import BASE, CAMERAS, PLATE_ALONE, RASTERIZER, SETTINGS, Film, Tracks, context, dense, error_3d, film, scene

from trackersplat.captures.capture import Capture
from trackersplat.events import Event, Stage
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.lineage import Lineage
from trackersplat.motion.apply import move
from trackersplat.motion.followed_tracks import FollowSettings
from trackersplat.motion.motion import CarriedMotion
from trackersplat.motion.render_request import predict
from trackersplat.motion.solve import estimate_motion
from trackersplat.pipelines import chain
from trackersplat.pipelines.chain import ChainStep, follow_chain
from trackersplat.pipelines.motions import find_motions
from trackersplat.pipelines.pipeline import ChainState, Origin
from trackersplat.tracking.tracks import DenseTracks


@pytest.fixture
def capture(tmp_path: Path) -> Capture:
    return film(tmp_path, frames=7)


def start(base: Gaussians, frame: int = BASE, origin: Origin | None = None, carried: CarriedMotion | None = None) -> ChainState:
    return ChainState(frame, base, Lineage.of_first_frame(origin.frame if origin else frame, len(base)), origin, carried)


def go(
    capture: Capture, source: Tracks, targets: tuple[int, ...], stride: int | None, **options: Any
) -> tuple[list[Stage], list[ChainStep]]:
    events = list(follow_chain(start(scene(BASE)), targets, context(capture, source, stride=stride, **options)))
    return [e for e in events if isinstance(e, Stage)], [e for e in events if isinstance(e, ChainStep)]


@pytest.mark.parametrize(
    ("stride", "asked"),
    [
        (1, [(1, (2,)), (2, (3,)), (3, (4,)), (4, (5,)), (5, (6,))]),
        (2, [(1, (2, 3)), (3, (4, 5)), (5, (6,))]),
        (9, [(1, (2, 3, 4, 5, 6))]),
        (None, [(1, (2, 3, 4, 5, 6))]),
    ],
)
def test_every_stride_starts_where_the_last_one_ended(
    capture: Capture, stride: int | None, asked: list[tuple[int, tuple[int, ...]]]
) -> None:
    source = Tracks()
    _, steps = go(capture, source, (2, 3, 4, 5, 6), stride)
    assert [(base, targets) for _, base, targets in source.asked] == asked
    assert [event.frame for event in steps] == [2, 3, 4, 5, 6]
    for event in steps:
        assert error_3d(event.motion, event.frame) < 0.02  # of up to 0.67


def test_every_stride_gets_what_the_last_one_carries(capture: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[CarriedMotion | None] = []

    def watched(*arguments: Any, **options: Any) -> Iterator[Event]:
        given.append(options["carried"])
        return find_motions(*arguments, **options)

    monkeypatch.setattr(chain, "find_motions", watched)
    _, steps = go(capture, Tracks(), (2, 3, 4), 1)
    assert given == [None, steps[0].motion.carried, steps[1].motion.carried]
    assert None not in given[1:]


def test_one_stride_is_exactly_the_motion_of_its_tracks(capture: Capture) -> None:
    _, (step,) = go(capture, Tracks(), (3,), None)
    tracks = sorted(Tracks()((1, 2, 3), BASE, (3,)), key=lambda pair: pair[0])
    cameras = [capture.cameras[camera] for camera, _ in tracks]
    (expected,) = estimate_motion(RASTERIZER, scene(BASE), cameras, [dense for _, dense in tracks], SETTINGS)
    assert torch.equal(step.motion.translation, expected.translation)
    assert torch.equal(step.motion.is_static, expected.is_static)


def test_only_later_strides_are_matched_for_drift(capture: Capture) -> None:
    stages, _ = go(capture, Tracks(), (2, 3, 4), 1, match_rounds=1, unreliable_share=2.0)  # no track is ever lost
    assert [(stage.frame, stage.name) for stage in stages] == [
        (2, "track"), (2, "move"), (3, "track"), (3, "move"), (3, "match"), (4, "track"), (4, "move"), (4, "match"),
    ]  # fmt: skip


def test_sparse_tracks_keep_their_ids_from_frame_to_frame(capture: Capture) -> None:
    about = context(capture, Tracks(), stride=1)
    events = follow_chain(start(scene(BASE)), (2, 3, 4), about, FollowSettings(spacing=1 / 8))
    states = [event.tracks for event in events if isinstance(event, ChainStep)]
    assert [state.frame for state in states if state is not None] == [2, 3, 4]
    first, *_, last = states
    assert first is not None
    assert last is not None
    kept = torch.isin(first.ids, last.ids[last.alive])
    assert kept.float().mean() > 0.9
    same = first.ids[kept]
    moved = (last.positions[torch.isin(last.ids, same)] - first.positions[torch.isin(first.ids, same)]).norm(dim=-1)
    assert moved.max() > 3  # on the plate
    assert moved.median() < 0.1  # on the wall


class LostBetween(Tracks):
    """The plate is lost in all cameras where a stride leads over more than one frame."""

    def __call__(self, cameras: Sequence[int], base: int, targets: Sequence[int]) -> Iterator[tuple[int, DenseTracks]]:
        self.without = () if max(targets) - base == 1 else tuple(cameras)
        return super().__call__(cameras, base, targets)


def test_what_tracks_lose_over_many_frames_is_followed_in_strides(capture: Capture) -> None:
    _, (*_, far) = go(capture, LostBetween(), (2, 3, 4, 5, 6), None)
    _, (*_, near) = go(capture, LostBetween(), (2, 3, 4, 5, 6), 1)
    assert error_3d(far.motion, 6) > 0.5
    assert error_3d(near.motion, 6) < 0.02


class Sliding(Tracks):
    """The wall creeps by 0.7 pixels per stride in every view, which is not so."""

    def __call__(self, cameras: Sequence[int], base: int, targets: Sequence[int]) -> Iterator[tuple[int, DenseTracks]]:
        for camera, exact in super().__call__(cameras, base, targets):
            static = (exact.positions - self.pixels()).norm(dim=-1) < 0.3
            yield camera, replace(exact, positions=exact.positions + 0.7 * static[..., None] * torch.tensor((1.0, 0.0)))


def test_static_content_is_reset_after_every_stride(capture: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def wall(event: ChainStep) -> float:
        return (move(scene(BASE), event.motion).means - scene(BASE).means)[~PLATE_ALONE].norm(dim=1).median().item()

    _, resting = go(capture, Sliding(), (2, 3, 4), 1)
    monkeypatch.setattr(chain, "reset_static", lambda *arguments, **others: arguments[5])
    _, creeping = go(capture, Sliding(), (2, 3, 4), 1)
    assert wall(creeping[-1]) > 0.05
    assert wall(resting[-1]) == 0
    assert error_3d(resting[-1].motion, 4) < 0.02


def test_static_content_is_reset_to_the_origin_also_after_the_first_stride(capture: Capture) -> None:
    wall = ~PLATE_ALONE[:, None]
    away = replace(scene(2), means=scene(2).means + torch.tensor((0.07, 0.0, 0.0)) * wall)  # by more than a pixel
    for origin, expected in ((Origin(BASE, scene(BASE)), 0.0), (None, 0.07)):
        *_, last = follow_chain(start(away, 2, origin), (3,), context(capture, Tracks(), stride=1))
        assert isinstance(last, ChainStep)
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
            positions = torch.stack([way.forward for way in ways]) + self.pixels()
            yield camera, dense(base, targets, positions, torch.ones(positions.shape[:3]))


@pytest.mark.parametrize("origin", [Origin(BASE, scene(BASE)), None], ids=["origin", "base"])
def test_slow_motion_goes_on_from_batch_to_batch(tmp_path: Path, origin: Origin | None) -> None:
    capture = replace(film(tmp_path, frames=18), source=SlowFilm())
    base, carried = scene(BASE), None
    for first in range(BASE, BASE + 16, 4):
        about = context(capture, SlowTracks(), stride=1)
        *_, last = follow_chain(start(base, first, origin, carried), range(first + 1, first + 5), about)
        assert isinstance(last, ChainStep)
        base, carried = move(base, last.motion), last.motion.carried
    moved = (base.means - scene(BASE).means)[PLATE_ALONE].norm(dim=1).median().item()
    truth = (scene(slow(BASE + 16)).means - scene(BASE).means)[PLATE_ALONE].norm(dim=1).median().item()
    assert 0.7 < moved / truth < 1.1  # half a pixel of two may be pending
