"""A plate that flies before a wall: what it takes to follow it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
from tiny_capture import look_at

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.apply import move
from trackersplat.motion.estimate import MotionSettings, estimate_motion
from trackersplat.motion.motion import Carried, Motion
from trackersplat.motion.predict import predict
from trackersplat.rendering.portable import PortableRasterizer
from trackersplat.runs import moving
from trackersplat.runs.events import Stage
from trackersplat.runs.moving import Followed, follow
from trackersplat.tracking.registry import tracker_info
from trackersplat.tracking.tracker import DenseTracks
from trackersplat.training.photometric import ColourAffines

WIDTH, HEIGHT, FRAMES, BASE = 96, 72, 5, 1
RASTERIZER = PortableRasterizer()
SETTINGS = MotionSettings()
PLACES = [(0.1, -0.2, -3.0), (-0.9, -0.4, -2.8), (1.0, 0.3, -2.8), (0.2, 0.8, -2.9)]
CAMERAS = tuple(
    Camera(f"cam{i}", WIDTH, HEIGHT, np.array(((90.0, 0, WIDTH / 2), (0, 91.0, HEIGHT / 2), (0, 0, 1))), look_at(place, (0.0, 0.0, 0.3)))
    for i, place in enumerate(PLACES)
)
LOST = moving.LOST  # as it is outside these tests
T = TypeVar("T")


def sheet(width: float, height: float, z: float, columns: int, rows: int, seed: int) -> Gaussians:
    """A textured rectangle across the z axis."""
    x, y = np.meshgrid(np.linspace(-width / 2, width / 2, columns), np.linspace(-height / 2, height / 2, rows))
    rng, count = np.random.default_rng(seed), rows * columns
    return Gaussians(
        means=torch.tensor(np.stack((x, y, np.full_like(x, z)), -1).reshape(-1, 3), dtype=torch.float32),
        quats=torch.tensor((1.0, 0, 0, 0)).repeat(count, 1),
        log_scales=torch.tensor(np.log((width / columns / 1.6, height / rows / 1.6, 0.005)), dtype=torch.float32).repeat(count, 1),
        opacity_logits=torch.full((count,), 3.0),
        sh=torch.tensor(rng.normal(0, 1.0, (count, 1, 3)), dtype=torch.float32),
    )


WALL, PLATE = sheet(4.4, 3.4, 1.2, 60, 46, 0), sheet(0.8, 0.7, 0.0, 16, 14, 1)
PLATE_ALONE = torch.arange(len(WALL) + len(PLATE)) >= len(WALL)


def scene(frame: int) -> Gaussians:
    shift = torch.tensor((0.12, -0.05, 0.03)) * (frame - BASE)
    parts = WALL.tensors(), replace(PLATE, means=PLATE.means + shift).tensors()
    return Gaussians(**{name: torch.cat([part[name] for part in parts]) for name in parts[0]})


class Film:
    """What the cameras see, in the colours of each."""

    def __init__(self, colours: ColourAffines | None = None) -> None:
        self.colours = colours

    def read(self, camera: int, frame: int) -> np.ndarray:
        with torch.no_grad():
            color = RASTERIZER.render(scene(frame), [CAMERAS[camera]]).color[0]
        if self.colours is not None:
            color = self.colours.apply(CAMERAS[camera].name, color)
        return (color.clamp(0, 1) * 255).round().byte().numpy()

    def prefetch(self, wanted: Iterable[tuple[int, int]]) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def capture(tmp_path: Path) -> Capture:
    """The first camera is held out."""
    return Capture("plate", tmp_path, "test", CAMERAS, FRAMES, 30.0, Film(), held_out=("cam0",))


def on_plate(camera: int) -> np.ndarray:
    """(H, W) bool: pixels of the base frame that show the plate."""
    with torch.no_grad():
        rendering = RASTERIZER.render(scene(BASE), [CAMERAS[camera]], channels=PLATE_ALONE.float()[:, None])
    assert rendering.channels is not None
    return rendering.channels[0, ..., 0].numpy() > 0.5


class Tracks:
    """Exact tracks, but those of the plate are lost in some cameras: wrong, and known to be."""

    def __init__(self, *without: int) -> None:
        self.without = without
        self.asked: list[tuple[tuple[int, ...], int, tuple[int, ...]]] = []

    @staticmethod
    def pixels() -> np.ndarray:
        """(H, W, 2) their centres."""
        return np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)), -1).astype(np.float32) + np.float32(0.5)

    def __call__(self, cameras: Sequence[int], base: int, targets: Sequence[int]) -> Iterator[tuple[int, DenseTracks]]:
        self.asked.append((tuple(cameras), base, tuple(targets)))
        for camera in reversed(cameras):  # as views finish in any order
            ways = predict(RASTERIZER, scene(base), [scene(frame) for frame in targets], CAMERAS[camera])
            positions = np.stack([way.forward for way in ways]) + self.pixels()
            confidence = np.ones(positions.shape[:3], np.float32)
            if camera in self.without:
                positions[:, on_plate(camera)] += 20
                confidence[:, on_plate(camera)] = 0
            yield camera, DenseTracks(base, tuple(targets), positions, np.ones_like(confidence), confidence, tracker_info("dis"))


def run(stages: Generator[Stage, None, T]) -> tuple[list[Stage], T]:
    """The stages and the result."""
    said = []
    while True:
        try:
            said.append(next(stages))
        except StopIteration as end:
            return said, end.value


def error_3d(motion: Motion, target: int) -> float:
    """Median distance of the plate's Gaussians from where they really go."""
    found = move(scene(BASE), motion).means - scene(target).means
    return found[PLATE_ALONE].norm(dim=1).median().item()


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
    """A velocity to the left of the plate, which the batch before is sure of."""
    count, velocity = len(PLATE_ALONE), torch.zeros(len(PLATE_ALONE), 3)
    velocity[PLATE_ALONE] = torch.tensor((-0.1, 0.0, 0.0))
    return Carried(torch.zeros(count, 3), velocity, torch.zeros(count, 3), PLATE_ALONE.float())


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
    def stages(through: tuple[int, ...], looks: int, said_of: int | None = None) -> list[Stage]:
        return run(follow(capture, scene(BASE), BASE, through, Tracks(), RASTERIZER, SETTINGS, looks=looks, said_of=said_of))[0]

    assert stages((2,), 0) == [Stage(2, "track", "3 views, frame 2 to 3"), Stage(2, "move")]
    assert stages((2, 3), 1) == [Stage(2, "track", "3 views, frame 2 to 3-4"), Stage(2, "move"), Stage(2, "look", "2 of 2 frames")]
    assert stages((2, 3), 2, 3)[1:] == [Stage(3, "move"), *[Stage(3, "look", "2 of 2 frames")] * 2]
    assert stages((2, 3), 0, 3)[0].frame == 3
    assert stages((2,), 0, 0)[0].frame == 0  # an index, not nothing


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


def test_motions_are_of_the_targets_alone_though_tracks_go_through_all(capture: Capture) -> None:
    source = Tracks(3)
    stages, followed = run(follow(capture, scene(BASE), BASE, (2, 3, 4), source, RASTERIZER, SETTINGS, looks=1, targets=(3, 4)))
    assert source.asked == [((1, 2, 3), BASE, (2, 3, 4))]
    assert followed.targets == (3, 4)
    assert [dense.targets for _, dense in followed.tracks] == [(3, 4)] * 3
    assert [stage.frame for stage in stages] == [3, 3, 3]
    assert "frame 2 to 3-5" in stages[0].detail
    for target, motion in zip((3, 4), followed.motions, strict=True):
        assert error_3d(motion, target) < 0.01


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
