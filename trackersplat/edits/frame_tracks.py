"""The sparse tracks of one frame, and what edits do to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.edits.backward import BackwardPaths, BackwardQuery
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.projection import inside_image
from trackersplat.motion.followed_tracks import (
    CELL_BITS,
    FRAME_BITS,
    FollowedTracks,
    FollowSettings,
    round_positions,
    start_frame,
    track_ids,
)
from trackersplat.motion.rendered_depth import DepthImages, PointViews
from trackersplat.motion.start_tracks import GridCells, NewTracks, free_cells, surface_of, with_tracks
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.tracking.sources import TrackSource
from trackersplat.tracking.tracks import TrackEnd

FIRST_HAND_CELL = 1 << (CELL_BITS - 1)  # layout of ids: tracks that edits start have cells from here on, above those of any grid


@dataclass(frozen=True, eq=False)
class Following:
    """How tracks get to a frame, other than they did."""

    by: Callable[[str, Tensor], FollowedTracks] | None  # (tracker, ids) from the frame before; None in a first frame
    source: Callable[[str], TrackSource]  # by the name of a tracker
    cameras: tuple[int, ...]  # of the tracks: indices in the capture
    paths: BackwardPaths


@dataclass(frozen=True, eq=False)
class FrameTracks:
    """What the sparse tracks of a frame are changed with. ``notes`` collects, in sentences, what could not be done."""

    cameras: tuple[Camera, ...]
    gaussians: Gaussians  # of the frame, before it is refined
    rasterizer: Rasterizer
    settings: FollowSettings
    points: Mapping[int, Tensor]  # (3,) float64 by track: where corrections put them
    following: Following
    notes: list[str] = field(default_factory=list)

    @cached_property
    def depth(self) -> DepthImages:
        """Of the rendered surface."""
        return surface_of(self.gaussians, self.cameras, self.rasterizer, self.settings)

    def rows(self, state: FollowedTracks, ids: Sequence[int], label: str) -> Tensor:
        """(P,) bool: the tracks of these ids. What is not there is noted under the ``label`` of the edit."""
        wanted = torch.tensor(sorted(set(ids)), device=state.ids.device)
        chosen = torch.isin(state.ids, wanted)
        missing = wanted[~torch.isin(wanted, state.ids)].tolist()
        if missing:
            several = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            self.notes.append(f"{label}: track {missing[0]}{several} had ended before or had not begun, so nothing is changed there.")
        return chosen

    def followed_by(self, state: FollowedTracks, ids: Sequence[int], tracker: str, label: str) -> FollowedTracks:
        """With these tracks followed from the frame before by another tracker."""
        chosen = self.rows(state, ids, label)
        if self.following.by is None or not chosen.any():
            return state
        other = self.following.by(tracker, state.ids[chosen])
        other = other[torch.isin(other.ids, state.ids[chosen])]
        index = torch.searchsorted(state.ids, other.ids)
        theirs = other.tensors()
        return state.with_tensors({name: mine.index_copy(0, index, theirs[name]) for name, mine in state.tensors().items()})

    def led_back(
        self, state: FollowedTracks, pixels: Mapping[int, tuple[float, float]], frame: int, tracker: str, label: str
    ) -> FollowedTracks:
        """With tracks that are at these ``pixels`` (by id) in the later ``frame`` where the tracker, followed back, sees them."""
        here = [track for track in pixels if start_frame(track) < state.frame]  # where a track starts is part of its id
        if not here:
            return state
        chosen = self.rows(state, here, label)
        for index in state.camera[chosen].unique().tolist():
            rows = (chosen & (state.camera == index)).nonzero()[:, 0]
            places = tuple(pixels[track] for track in state.ids[rows].tolist())
            query = BackwardQuery(tracker, self.following.cameras[index], frame, places)
            found = self.following.paths.at(query, self.following.source(tracker), state.frame)
            position = found.positions.to(state.positions.device)
            seen = inside_image(position, self.cameras[index].width, self.cameras[index].height)
            seen &= found.visibility.to(state.positions.device) >= self.settings.visible
            lost = int((~seen).sum())
            if lost:
                self.notes.append(f"{label}: {tracker} does not see {lost} of {len(rows)} tracks here; they stay as they were.")
            rows, position = rows[seen], round_positions(position[seen])
            surface = self.depth.at(position, state.camera[rows])
            points = PointViews.of(self.cameras, state.camera[rows]).back_project(position.double(), surface.depth)
            kept = state.points[rows]
            state = _with_rows(
                state,
                rows,
                positions=position,
                visibility=found.visibility.to(position)[seen],
                confidence=found.confidence.to(position)[seen],
                ends=torch.full_like(state.ends[rows], int(TrackEnd.ALIVE)),
                hidden=torch.zeros_like(state.hidden[rows]),
                points=torch.where(surface.is_whole[:, None], points.to(kept), kept),
            )
        return state

    def with_tracks_in(
        self, state: FollowedTracks, camera: str, pixels: Sequence[tuple[float, float]], spacing: float | None, label: str
    ) -> FollowedTracks:
        """With new tracks at the ``pixels``, or else on a grid of the ``spacing`` (px) where no visible track is."""
        if camera not in state.cameras:
            self.notes.append(f"{label}: {camera} has no tracks, because it is not a training camera.")
            return state
        index = state.cameras.index(camera)
        view, device = self.cameras[index], state.positions.device
        if pixels:
            places = round_positions(torch.tensor(pixels, dtype=torch.float32, device=device))
        else:
            seen = state.alive & (state.hidden == 0) & (state.camera == index)
            share = self.settings.spacing / 3 if spacing is None else spacing / max(view.width, view.height)
            grid, taken = GridCells.of((view,), replace(self.settings, spacing=share)), state.positions[seen]
            free = free_cells(grid, taken, torch.zeros_like(taken[:, 0], dtype=torch.int64), torch.tensor([len(taken)]))
            places = grid.middles.to(device)[free]
        surface = self.depth.at(places, torch.full((len(places),), index, device=device))
        inside = inside_image(places, view.width, view.height)
        good = inside & (surface.depth.isfinite() if pixels else surface.is_whole)  # a person may choose the edge of a surface
        if not good.all():
            self.notes.append(f"{label}: no track starts at {int((~good).sum())} of {len(places)} places, where no surface is rendered.")
        at_edge = int((good & ~surface.is_whole).sum())
        if at_edge:
            self.notes.append(f"{label}: {at_edge} tracks start at the edge of a surface, where their depth is uncertain.")
        places, depth = places[good], surface.depth[good]
        mine = (state.camera == index) & ((state.ids >> CELL_BITS) & ((1 << FRAME_BITS) - 1) == state.frame)
        cells = state.ids[mine] & ((1 << CELL_BITS) - 1)
        first = max(FIRST_HAND_CELL, int(cells.max()) + 1 if len(cells) else 0)
        room = (1 << CELL_BITS) - first
        if len(places) > room:
            self.notes.append(
                f"{label}: {len(places) - room} tracks do not start, because there are ids for {FIRST_HAND_CELL:,} in a frame."
            )
            places, depth = places[:room], depth[:room]
        ids = track_ids(index, state.frame, first + torch.arange(len(places), device=device))
        new = NewTracks(ids, torch.full((len(places),), index, device=device), places, depth)
        return with_tracks(state, new, self.gaussians, self.cameras, self.settings)


def without_new_in(state: FollowedTracks, cameras: frozenset[str]) -> FollowedTracks:
    """Without the tracks that begin in the state's frame in these cameras."""
    if not cameras:
        return state
    dropped = torch.tensor([name in cameras for name in state.cameras], device=state.ids.device)
    begun = (state.ids >> CELL_BITS) & ((1 << FRAME_BITS) - 1) == state.frame
    return state[~(begun & dropped[state.camera])]


def _with_rows(state: FollowedTracks, rows: Tensor, **values: Tensor) -> FollowedTracks:
    return replace(state, **{name: getattr(state, name).index_copy(0, rows, value) for name, value in values.items()})
