"""Where the tracks of a pipeline come from: as in `tracking.sources`, and from trackers in 3D, which need depths of every frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from trackersplat.captures.capture import Capture
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.apply import move
from trackersplat.motion.lifting.in_space import follow_in_space, surface_grid
from trackersplat.motion.lifting.queries import RenderedScene
from trackersplat.motion.settings import MotionSettings
from trackersplat.motion.solve import estimate_motion
from trackersplat.pipelines.settings import ReconstructSettings
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.tracking.registry import TRACKERS, create_tracker
from trackersplat.tracking.settings import GridSettings
from trackersplat.tracking.sources import TrackSource, track_source
from trackersplat.tracking.space_tracks import SceneSource, SpaceSource
from trackersplat.tracking.track_cache import TrackCache
from trackersplat.tracking.tracker3d import Tracker3D
from trackersplat.tracking.tracks import DenseTracks


@dataclass(frozen=True)
class SourceSettings:
    """Of what a pipeline asks for tracks."""

    grid: GridSettings = field(default_factory=GridSettings)
    depth_tracker: str = "dis"  # moves the Gaussians from which the depths of target frames are rendered, for a tracker in 3D
    motion: MotionSettings = field(default_factory=MotionSettings)  # how it does

    @staticmethod
    def of(settings: ReconstructSettings) -> SourceSettings:
        return SourceSettings(settings.queries, settings.depth_tracker, settings.motion)


def motion_source(
    name: str,
    capture: Capture,
    device: torch.device | str,
    own: Any = None,  # settings of the tracker; None: its defaults
    settings: SourceSettings | None = None,
    cache: TrackCache | None = None,
) -> TrackSource | SceneSource:
    """The source of that name. Raises InputError if the name is unknown or the tracker cannot be used."""
    settings = settings or SourceSettings()
    if not TRACKERS.facts(name).three_d:
        return track_source(name, capture, device, own, grid=settings.grid, cache=cache)
    tracker: Any = create_tracker(name, device, own)
    first = track_source(settings.depth_tracker, capture, device, grid=settings.grid, cache=cache)
    return TracksInSpace(capture, tracker, first, settings)


@dataclass(frozen=True, eq=False)
class TracksInSpace:
    """A `SceneSource`: a tracker in 3D follows the surface of the Gaussians of a base frame.

    It needs depths of the targets, which are not reconstructed yet: another tracker moves the Gaussians there first.
    """

    capture: Capture
    tracker: Tracker3D
    first: TrackSource  # of the other tracker
    settings: SourceSettings

    def on(self, gaussians: Gaussians, rasterizer: Rasterizer) -> TrackSource:
        """The tracks from the frame of these Gaussians."""
        return _OnGaussians(self, gaussians.detach(), rasterizer)


@dataclass(frozen=True, eq=False)
class _OnGaussians:
    about: TracksInSpace
    gaussians: Gaussians
    rasterizer: Rasterizer

    def __call__(self, cameras: Sequence[int], base: int, targets: Sequence[int]) -> Iterator[tuple[int, DenseTracks]]:
        capture, settings = self.about.capture, self.about.settings
        states = {base: self.gaussians, **self._moved(cameras, base, targets)}
        scene = RenderedScene(states.get, self.rasterizer)
        query = surface_grid(capture, scene, base, cameras, settings.grid.step_px)
        tracks, remarks = follow_in_space(self.about.tracker, capture, cameras, query, (base, *targets), scene)
        source = SpaceSource(tracks, capture, self.gaussians, self.rasterizer, hidden_weight=self.about.tracker.facts.hidden_weight)
        for camera, dense in source(cameras, base, targets):
            yield camera, replace(dense, remarks=(*dense.remarks, *remarks))

    def _moved(self, cameras: Sequence[int], base: int, targets: Sequence[int]) -> dict[int, Gaussians]:
        """The Gaussians in each target, as the tracks of the other tracker move them."""
        about = self.about
        tracks = [dense for _, dense in sorted(about.first(cameras, base, targets), key=lambda pair: pair[0])]
        views = [about.capture.cameras[camera] for camera in sorted(cameras)]
        motions = estimate_motion(self.rasterizer, self.gaussians, views, tracks, about.settings.motion)
        return {target: move(self.gaussians, motion) for target, motion in zip(targets, motions, strict=True)}
