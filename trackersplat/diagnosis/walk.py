"""Goes through the frames once and says of each what is known about all tracks; holds two frames at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch

from trackersplat.captures.camera import Camera
from trackersplat.diagnosis.cross_views import Echoes, agree, begin_echoes, follow_echoes
from trackersplat.diagnosis.fields import grey, patches, sample_image, sample_tracks
from trackersplat.diagnosis.in_step import Pictures
from trackersplat.diagnosis.moment import Material, Moment
from trackersplat.diagnosis.renderings import displacements, render_views
from trackersplat.diagnosis.settings import DiagnosisSettings
from trackersplat.diagnosis.tracked import Scene, TrackTable
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.neighbours import nearest_to
from trackersplat.motion.carry import carry_points_between
from trackersplat.motion.rendered_depth import DepthImages, PointViews
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.tracking.registry import create_matcher, create_tracker
from trackersplat.tracking.tracks import DenseTracks
from trackersplat.tracking.views import track_views


class Displaced(NamedTuple):
    """Points of one camera in one frame, (M, 2) px each; nan where nothing is certain."""

    pixels: np.ndarray
    offset: np.ndarray  # from the rendering to the photograph
    motion: np.ndarray  # since the frame before


@dataclass(frozen=True, eq=False)
class Visited:
    """One frame of the walk."""

    moment: Moment
    carrier: np.ndarray  # (P,) int64: of tracks that begin here the Gaussian that carries them most, -1 otherwise
    displaced: dict[int, Displaced]  # by camera, as an index into the table's
    pictures: dict[int, Pictures]  # likewise


@dataclass(frozen=True, eq=False)
class _Before:
    """What is kept of the frame before."""

    frame: int
    gaussians: Gaussians
    images: dict[int, np.ndarray]  # grey
    patch: np.ndarray
    position: np.ndarray
    world: np.ndarray


def walk(table: TrackTable, scene: Scene, rasterizer: Rasterizer, settings: DiagnosisSettings) -> Iterator[Visited]:
    """Yields one `Visited` per frame of the table, in order.

    Raises InputError if an image cannot be decoded or the tracker is not known.
    """
    walker = _Walker(table, scene, rasterizer, settings)
    for row in range(len(table.frames)):
        yield walker.visit(row)


class _Walker:
    def __init__(self, table: TrackTable, scene: Scene, rasterizer: Rasterizer, settings: DiagnosisSettings) -> None:
        self.table, self.scene, self.rasterizer, self.settings = table, scene, rasterizer, settings
        capture, count = scene.capture, len(table)
        self.indices = [capture.camera_index(name) for name in table.cameras]
        self.cameras: list[Camera] = [capture.cameras[index] for index in self.indices]
        self.tracker = create_tracker(settings.tracker, rasterizer.device)
        self.matcher = create_matcher(settings.matcher, rasterizer.device)
        self.camera = torch.from_numpy(table.camera.astype(np.int64))
        self.views = PointViews.of(self.cameras, self.camera)
        self.material = torch.full((count, 3), torch.nan).double()
        self.echoes = Echoes.none(len(self.cameras), count)
        self.loop = np.full((count, 2), np.nan)
        self.query_patch = np.full((count, settings.patch.samples, settings.patch.samples), np.nan, np.float32)
        self.begun = np.zeros(count, bool)
        self.earlier_position, self.earlier_world = np.full((count, 2), np.nan), np.full((count, 3), np.nan)
        self.before: _Before | None = None

    def visit(self, row: int) -> Visited:
        table, settings, before, frame = self.table, self.settings, self.before, self.table.frames[row]
        position = table.positions[row].astype(np.float64)
        here = np.isfinite(position).all(1)
        begins = here & ~self.begun
        self.begun |= here
        colours = {view: self.scene.capture.image(index, frame) for view, index in enumerate(self.indices)}
        images = {view: grey(image) for view, image in colours.items()}
        gaussians = self.scene.gaussians(frame).detach().to(self.rasterizer.device)
        depth, pictures, shown = render_views(self.rasterizer, gaussians, self.cameras, settings.views)
        offsets = displacements(self.matcher, pictures, shown, colours, settings.views.reliable)

        forward: dict[int, DenseTracks] = {}
        backward: dict[int, DenseTracks] = {}
        if before is not None:
            forward, backward = self._dense(before.frame, frame), self._dense(frame, before.frame)
            self._carry(before, gaussians, frame)
            self.echoes = follow_echoes(self.echoes, forward, settings.views)
        lifted = begins | (here & ~self.material.isfinite().all(-1).numpy())
        self._lift(lifted, position, depth)
        self.echoes = begin_echoes(self.echoes, torch.from_numpy(begins), self.material)
        seen = here & (table.visibility[row] >= settings.views.visible)
        own = torch.from_numpy(np.where(seen[:, None], position, np.nan))
        self.echoes, points = agree(self.echoes, own, self.camera, self.material, self.cameras, depth, settings.views)

        nowhere = np.full_like(position, np.nan)
        previous = nowhere if before is None else before.position
        back = self._sampled(backward, position) if backward else nowhere
        self.loop = np.where(begins[:, None], 0.0, self.loop + np.nan_to_num(back - previous))
        patch = patches(images, table.camera, position, settings.patch)
        self.query_patch[begins] = patch[begins]
        nothing = np.full_like(patch, np.nan)
        previous_patch = nothing if before is None else before.patch
        moment = Moment(
            settings=settings,
            frame=frame,
            elapsed=0 if before is None else frame - before.frame,
            size=self.views.size.numpy(),
            camera=table.camera.astype(np.int64),
            begins=begins,
            position=position,
            previous=previous,
            earlier=self.earlier_position,
            visibility=table.visibility[row].astype(np.float64),
            confidence=table.confidence[row].astype(np.float64),
            back=back,
            loop=self.loop,
            points=points,
            previous_world=np.full((len(table), 3), np.nan) if before is None else before.world,
            earlier_world=self.earlier_world,
            material=self._material(depth),
            lifted=lifted,
            offset=self._at(offsets, position),
            patch=patch,
            previous_patch=previous_patch,
            query_patch=self.query_patch,
            mask_border=self._mask_border(frame, position),
        )
        self.earlier_position, self.earlier_world = previous, moment.previous_world
        self.before = _Before(frame, gaussians, images, patch, position, points.world)
        seen = {view: Pictures(colours[view], pictures[view]) for view in colours}
        return Visited(moment, self._carriers(begins, gaussians), self._displaced(offsets, backward), seen)

    def _dense(self, base: int, target: int) -> dict[int, DenseTracks]:
        """View -> dense tracks between two frames, on the CPU."""
        view_of = {index: view for view, index in enumerate(self.indices)}
        return {view_of[index]: tracks for index, tracks in track_views(self.tracker, self.scene.capture, self.indices, base, [target])}

    def _carry(self, before: _Before, gaussians: Gaussians, frame: int) -> None:
        """Moves the material points with the Gaussians that are the same in both frames; without any, they are lost."""
        kept = self.scene.kept(frame, before.frame)
        alive = self.material.isfinite().all(-1)
        carried = torch.full_like(self.material, torch.nan)
        if kept is not None and bool(kept.any()) and bool(alive.any()):
            mask = kept.to(gaussians.device)
            start, settings = self.material[alive].to(gaussians.device), self.settings.views.carry_points
            carried[alive] = carry_points_between(start, before.gaussians[mask], gaussians[mask], settings).cpu()
        self.material = carried

    def _lift(self, chosen: np.ndarray, position: np.ndarray, depth: DepthImages) -> None:
        """The material points of these tracks (P,) bool, from the rendered surface where they are measured; nan without a whole surface."""
        pixels = torch.from_numpy(position)
        surface = depth.at(pixels, self.camera)
        points = self.views.back_project(pixels, surface.depth)
        points = torch.where(surface.is_whole[:, None], points, torch.nan)
        self.material = torch.where(torch.from_numpy(chosen)[:, None], points, self.material)

    def _material(self, depth: DepthImages) -> Material:
        known = self.material.isfinite().all(-1)
        pixels, distance = self.views.project(self.material.nan_to_num(0.0))
        pixels = torch.where(known[:, None], pixels, torch.nan)
        surface = depth.at(pixels, self.camera, torch.where(known, distance, 1.0))
        inside = self.views.inside(pixels)
        return Material(
            world=self.material.numpy(),
            pixels=pixels.numpy(),
            depth=torch.where(known, distance, torch.nan).numpy(),
            covered=torch.where(inside, surface.nearer, 0.0).numpy(),
            shown=torch.where(inside, surface.agreeing, 0.0).numpy(),
        )

    def _carriers(self, begins: np.ndarray, gaussians: Gaussians) -> np.ndarray:
        """The nearest Gaussian of the points of tracks that begin."""
        carrier = np.full(len(self.table), -1, np.int64)
        chosen = np.flatnonzero(begins & self.material.isfinite().all(-1).numpy())
        if len(chosen) and len(gaussians):
            carrier[chosen] = nearest_to(self.material[chosen], gaussians.means, 1).indices[:, 0].cpu().numpy()
        return carrier

    def _sampled(self, dense: dict[int, DenseTracks], position: np.ndarray) -> np.ndarray:
        """(P, 2) where the dense tracks of each track's own camera take it."""
        result = np.full_like(position, np.nan)
        for view, tracks in dense.items():
            chosen = np.flatnonzero(self.table.camera == view)
            result[chosen] = sample_tracks(tracks, torch.from_numpy(position[chosen]))[0].numpy()
        return result

    def _at(self, fields: dict[int, np.ndarray], position: np.ndarray) -> np.ndarray:
        """(P, K) values of (H, W, K) fields by view."""
        result = np.full_like(position, np.nan)
        for view, field in fields.items():
            chosen = np.flatnonzero(self.table.camera == view)
            result[chosen] = sample_image(field, position[chosen])
        return result

    def _mask_border(self, frame: int, position: np.ndarray) -> np.ndarray:
        result = np.full(len(position), np.nan)
        for view, index in enumerate(self.indices):
            mask = self.scene.capture.mask(index, frame) if self.scene.capture.has_masks(index) else None
            if mask is None or not mask.any() or mask.all():
                continue
            inside, outside = (cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, 5) for part in (mask, ~mask))
            chosen = np.flatnonzero(self.table.camera == view)
            result[chosen] = sample_image(np.where(mask, inside, outside) - np.float32(0.5), position[chosen])
        return result

    def _displaced(self, offsets: dict[int, np.ndarray], backward: dict[int, DenseTracks]) -> dict[int, Displaced]:
        """On a grid in every camera."""
        result = {}
        for view, field in offsets.items():
            height, width = field.shape[:2]
            step = max(max(height, width) / self.settings.cameras.grid, 1.0)
            axes = (np.arange(step / 2, size, step) for size in (width, height))
            pixels = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
            motion = np.full_like(pixels, np.nan)
            if view in backward:
                back, certain = sample_tracks(backward[view], torch.from_numpy(pixels))
                motion = np.where((certain.numpy() >= self.settings.views.reliable)[:, None], pixels - back.numpy(), np.nan)
            result[view] = Displaced(pixels, sample_image(field, pixels).astype(np.float64), motion)
        return result
