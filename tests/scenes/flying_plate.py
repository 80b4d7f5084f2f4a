"""A plate that flies before a wall, its cameras, and tracks of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tiny_capture import look_at

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.events import Event, Stage
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.apply import move
from trackersplat.motion.motion import Motion
from trackersplat.motion.render_request import predict
from trackersplat.motion.settings import MotionSettings
from trackersplat.pipelines.motions import MotionContext, MotionsFound
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.tracking.registry import TRACKERS, create_matcher
from trackersplat.tracking.sources import TrackSource
from trackersplat.tracking.space_tracks import SceneSource
from trackersplat.tracking.tracks import DenseTracks, Provenance
from trackersplat.training.photometric import ColourAffines

WIDTH, HEIGHT, FRAMES, BASE = 96, 72, 5, 1
RASTERIZER = PortableRasterizer()
SETTINGS = MotionSettings()
PLACES = [(0.1, -0.2, -3.0), (-0.9, -0.4, -2.8), (1.0, 0.3, -2.8), (0.2, 0.8, -2.9)]
CAMERAS = tuple(
    Camera(f"cam{i}", WIDTH, HEIGHT, np.array(((90.0, 0, WIDTH / 2), (0, 91.0, HEIGHT / 2), (0, 0, 1))), look_at(place, (0.0, 0.0, 0.3)))
    for i, place in enumerate(PLACES)
)
MADE = Provenance("made")


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


def scene(frame: float) -> Gaussians:
    shift = torch.tensor((0.12, -0.05, 0.03)) * (frame - BASE)
    parts = WALL.tensors(), replace(PLATE, means=PLATE.means + shift).tensors()
    return Gaussians(**{name: torch.cat([part[name] for part in parts]) for name in parts[0]})


class Film:
    """What the cameras see, in the colours of each."""

    def __init__(self, colours: ColourAffines | None = None) -> None:
        self.colours = colours

    def read(self, camera: int, frame: float) -> np.ndarray:
        with torch.no_grad():
            color = RASTERIZER.render(scene(frame), [CAMERAS[camera]]).color[0]
        if self.colours is not None:
            color = self.colours.apply(CAMERAS[camera].name, color)
        return (color.clamp(0, 1) * 255).round().byte().numpy()

    def prefetch(self, wanted: Iterable[tuple[int, int]]) -> None: ...

    def close(self) -> None: ...


def film(folder: Path, frames: int = FRAMES) -> Capture:
    """The first camera is held out."""
    return Capture("plate", folder, "test", CAMERAS, frames, 30.0, Film(), held_out=("cam0",))


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
    def pixels() -> torch.Tensor:
        """(H, W, 2) their centres."""
        rows, columns = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
        return torch.stack((columns, rows), -1).float() + 0.5

    def __call__(self, cameras: Sequence[int], base: int, targets: Sequence[int]) -> Iterator[tuple[int, DenseTracks]]:
        self.asked.append((tuple(cameras), base, tuple(targets)))
        for camera in reversed(cameras):  # as views finish in any order
            ways = predict(RASTERIZER, scene(base), [scene(frame) for frame in targets], CAMERAS[camera])
            positions = torch.stack([way.forward for way in ways]) + self.pixels()
            confidence = torch.ones(positions.shape[:3])
            if camera in self.without:
                lost = torch.from_numpy(on_plate(camera))
                positions[:, lost] += 20
                confidence[:, lost] = 0
            yield camera, dense(base, targets, positions, confidence)


def dense(base: int, targets: Sequence[int], positions: torch.Tensor, confidence: torch.Tensor) -> DenseTracks:
    """Tracks of points that are all seen."""
    return DenseTracks(base, tuple(targets), positions, torch.ones_like(confidence), confidence, 0.1, MADE)


def context(
    capture: Capture,
    source: TrackSource | SceneSource,
    settings: MotionSettings = SETTINGS,
    colours: ColourAffines | None = None,
    *,
    match_rounds: int = 0,
    unreliable_share: float = 0.0,
    stride: int | None = None,
    matcher: str = "dis",
) -> MotionContext:
    """How motions are found: by default every target counts as one with many unreliable tracks."""
    matching = replace(settings.render_and_match, match_rounds=match_rounds, unreliable_share=unreliable_share)
    facts = replace(TRACKERS.facts("dis"), stride=stride)
    return MotionContext(
        capture=capture,
        rasterizer=RASTERIZER,
        source=source,
        tracker=facts,
        matcher=create_matcher(matcher, "cpu"),
        settings=replace(settings, render_and_match=matching),
        colours=colours,
    )


def run(events: Iterator[Event]) -> tuple[list[Stage], MotionsFound]:
    """The stages and the result."""
    *stages, found = events
    assert isinstance(found, MotionsFound)
    assert all(isinstance(stage, Stage) for stage in stages)
    return [stage for stage in stages if isinstance(stage, Stage)], found


def error_3d(motion: Motion, target: int) -> float:
    """Median distance of the plate's Gaussians from where they really go."""
    found = move(scene(BASE), motion).means - scene(target).means
    return found[PLATE_ALONE].norm(dim=1).median().item()
