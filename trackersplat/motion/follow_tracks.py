"""Follows sparse tracks from a base frame to a target frame: on by the tracker where they are seen, by the Gaussians where they are not.

Visible or hidden: the tracker knows what the images show, but may go on with whatever passes in front of a point. The moved Gaussians know
where the point must be and how deep: it is covered where most of the rendered surface around its reprojection (bilinear weights of four
depth pixels) lies in front of it by more than a tolerance. So a visible track becomes hidden

- where the tracker says so, or
- where it is covered and the tracker, if it is certain, goes elsewhere than the reprojection: what covers a point moves against it, and
  a rendered depth that is off does not.

A hidden track becomes visible again where most of the surface is at the depth of the point and the tracker is certain of the pixel it
comes from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.errors import ShapeError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.projection import inside_image, project
from trackersplat.geometry.quaternions import quaternion_to_matrix
from trackersplat.motion.carry import carry_points
from trackersplat.motion.followed_tracks import FollowedTracks, FollowSettings, round_positions, round_probabilities, track_ids
from trackersplat.motion.motion import Motion
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.tracking.tracks import DenseTracks, Provenance, TrackEnd

Masks = Mapping[str, np.ndarray | Tensor | None]  # camera name -> (H, W) bool foreground mask of one frame


def start_tracks(
    cameras: Sequence[Camera],
    gaussians: Gaussians,
    rasterizer: Rasterizer,
    frame: int,
    settings: FollowSettings,
    provenance: Provenance,
    masks: Masks | None = None,
) -> FollowedTracks:
    """Tracks on a grid in every camera, on the rasterizer's device. ``gaussians`` are those of the frame.

    A track starts at the pixel at the middle of a grid cell, unless there is no surface, or it is at an edge of the rendered depth or
    of the ``masks``: a point between two surfaces has no motion of its own.
    """
    gaussians = gaussians.detach().to(rasterizer.device)
    none = _no_tracks(cameras, frame, settings, provenance, rasterizer.device)
    return _with_new(none, gaussians, _render_depth(rasterizer, gaussians, cameras, settings), cameras, settings, masks)


def follow_tracks(
    start: FollowedTracks,
    gaussians: Gaussians,
    motion: Motion,
    moved: Gaussians,
    dense: Mapping[str, DenseTracks],
    target: int,
    cameras: Sequence[Camera],
    rasterizer: Rasterizer,
    settings: FollowSettings,
    masks: tuple[Masks, Masks] | None = None,
    *,
    earlier: FollowedTracks | None = None,
) -> FollowedTracks:
    """The state at frame ``target``, from that at the base frame of the ``dense`` tracks (by camera name).

    ``gaussians`` are those of the base frame and ``moved`` those of the target, by ``motion``. ``masks``: of the base and of the target.
    ``earlier``: the state at the target before this one, if that was followed from the same base: what ended there does not come back.

    Visible tracks move as the dense tracks at their sub-pixel position; their material points are refreshed from the rendered depth
    where the tracker is certain and the surface is where the point was expected. Hidden tracks keep the offset they had from the
    reprojection of their points when they were last seen. Positions of low confidence that contradict the reprojection are replaced by it
    once; a track ends as UNRELIABLE when that happens at the base frame and again at the target. New tracks start at the last of the dense
    tracks' targets, from which tracking goes on, where cells of the grid have no visible track.

    Raises ShapeError if the state, the cameras and the dense tracks do not fit each other; ValueError if ``target`` is not among the
    targets.
    """
    names = tuple(camera.name for camera in cameras)
    if start.cameras != names or any(name not in dense or dense[name].base != start.frame for name in names):
        raise ShapeError(f"Tracks of {start.cameras} at frame {start.frame} cannot be followed with dense tracks of {tuple(dense)}.")
    gaussians, moved = gaussians.detach(), moved.detach()
    live = start[start.alive]
    hidden_before = live.hidden + (target - start.frame)
    if earlier is not None:
        at = torch.searchsorted(earlier.ids, live.ids).clamp_max(max(len(earlier) - 1, 0))
        there = (earlier.ids[at] == live.ids) & earlier.alive[at] if len(earlier) else torch.zeros_like(live.alive)
        live, hidden_before = live[there], (earlier.hidden[at] + (target - earlier.frame))[there]
    depth = _render_depth(rasterizer, moved, cameras, settings)
    points = carry_points(live.points, gaussians, motion)
    tracked = _sample(live, dense, target, names)

    before, _ = _project(cameras, live.camera, live.points.double())
    after, distance = _project(cameras, live.camera, points)
    views = _Views.of(cameras, live.camera, points.device)
    ahead = distance > views.near
    expected = torch.where(ahead[:, None], live.positions + after - before, torch.nan)

    was_hidden = live.hidden > 0
    seen = tracked.visibility >= settings.visible
    certain = seen & (tracked.confidence >= settings.reliable)
    there = depth.at(expected, live.camera, distance)
    astray = (tracked.positions - after).norm(dim=-1) > settings.occluder_px
    covered = (there.nearer > 0.5) & (astray | ~certain)
    visible = torch.where(was_hidden, certain & (there.agreeing >= 0.5), seen & ~covered)
    apart = (tracked.positions - expected).norm(dim=-1) > settings.contradiction_px  # false where either is nowhere
    contradicted = visible & ~was_hidden & ~certain & apart
    by_tracker = visible & ~was_hidden & ~contradicted
    position = torch.where(by_tracker[:, None], tracked.positions, expected)
    known = position.isfinite().all(-1)
    position = round_positions(torch.where(known[:, None], position, live.positions))

    hidden = torch.where(visible, 0, hidden_before).int()
    ends = torch.zeros_like(live.ends)
    ends[hidden > settings.hidden_frames] = TrackEnd.OCCLUDED
    ends[contradicted & (live.confidence < settings.reliable)] = TrackEnd.UNRELIABLE
    if masks is not None:
        ends[by_tracker & _crossing(live, position, masks, names)] = TrackEnd.CROSSED_MASK
    ends[~known | ~inside_image(position, views.width, views.height)] = TrackEnd.LEFT_IMAGE

    found = depth.at(position, live.camera, distance)
    refreshed = by_tracker | (visible & was_hidden)
    refreshed &= certain & (found.agreeing > 1 - 1e-6) & (ends == TrackEnd.ALIVE)
    points = torch.where(refreshed[:, None], views.back_project(position, found.depth), points)
    followed = replace(
        live,
        frame=target,
        positions=position,
        visibility=torch.where(visible | ~seen & ~was_hidden, tracked.visibility, 0.0),
        confidence=torch.where(visible, tracked.confidence, _carrier_confidence(live.carriers, motion)),
        ends=ends,
        hidden=hidden,
        points=points.float(),
    )
    if any(dense[name].targets[-1] != target for name in names):
        return followed
    return _with_new(followed, moved, depth, cameras, settings, None if masks is None else masks[1])


@dataclass(frozen=True, eq=False)
class _Views:
    """Of P points the numbers of the cameras they belong to, each (P,) or (P, ...)."""

    width: Tensor
    height: Tensor
    near: Tensor
    focal: Tensor  # (P, 2)
    middle: Tensor  # (P, 2)
    rotation: Tensor  # (P, 3, 3) world to camera
    translation: Tensor  # (P, 3)

    @staticmethod
    def of(cameras: Sequence[Camera], camera: Tensor, device: torch.device) -> _Views:
        def gather(values: Sequence[object]) -> Tensor:
            return torch.from_numpy(np.array(values, np.float64)).to(device)[camera]

        return _Views(
            width=gather([c.width for c in cameras]),
            height=gather([c.height for c in cameras]),
            near=gather([c.near for c in cameras]),
            focal=gather([(c.fx, c.fy) for c in cameras]),
            middle=gather([(c.cx, c.cy) for c in cameras]),
            rotation=gather([c.rotation for c in cameras]),
            translation=gather([c.translation for c in cameras]),
        )

    def back_project(self, pixels: Tensor, depth: Tensor) -> Tensor:
        """(P, 3) float64 world points at these depths along the optical axis."""
        rays = (pixels - self.middle) / self.focal
        local = torch.cat((rays * depth[:, None], depth[:, None]), dim=-1).double() - self.translation
        return (local[:, None] @ self.rotation)[:, 0]


def _project(cameras: Sequence[Camera], camera: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Each point (P, 3) into its own camera: pixels (P, 2) and depths (P,)."""
    pixels, depth = project(cameras, points)
    row = torch.arange(len(points), device=points.device)
    return pixels[camera, row], depth[camera, row]


@dataclass(frozen=True, eq=False)
class _Surface:
    """The rendered surface at P pixel positions, next to the depth at which each is expected."""

    depth: Tensor  # (P,) float64 bilinear; nan where one of the four pixels has none
    nearer: Tensor  # (P,) share in [0, 1] of the bilinear weight at pixels that lie before the point
    agreeing: Tensor  # (P,) share at pixels that lie at the depth of the point


@dataclass(frozen=True, eq=False)
class _DepthImages:
    """Depth along the optical axis in every camera, nan where there is no surface."""

    images: list[Tensor]  # per camera (h, w) float32
    scale: list[tuple[float, float]]  # size of each image over that of its camera, in x and y
    tolerance: float  # share of the depth

    def at(self, pixels: Tensor, camera: Tensor, expected: Tensor) -> _Surface:
        """At positions (P, 2) of the cameras' own pixels in cameras (P,), against expected depths (P,). Nowhere (nan) is no surface."""
        corners = expected.new_full((len(pixels), 4), torch.nan)
        weights = expected.new_zeros(len(pixels), 4)
        for index, image in enumerate(self.images):
            chosen = ((camera == index) & pixels.isfinite().all(-1)).nonzero()[:, 0]
            rows, columns, weights[chosen] = _corners(pixels[chosen] * pixels.new_tensor(self.scale[index]), *image.shape, expected.dtype)
            corners[chosen] = image[rows, columns].to(expected.dtype)
        slack = (self.tolerance * expected)[:, None]
        return _Surface(
            depth=torch.where(weights > 0, corners * weights, 0.0).sum(-1),
            nearer=(weights * (corners < expected[:, None] - slack)).sum(-1),
            agreeing=(weights * ((corners - expected[:, None]).abs() <= slack)).sum(-1),
        )


def _render_depth(rasterizer: Rasterizer, gaussians: Gaussians, cameras: Sequence[Camera], settings: FollowSettings) -> _DepthImages:
    smaller = [
        camera.resized(max(2, round(camera.width * settings.depth_scale)), max(2, round(camera.height * settings.depth_scale)))
        for camera in cameras
    ]
    groups: dict[tuple[int, int, float], list[int]] = {}  # one call for all cameras of a size and near plane
    for index, camera in enumerate(smaller):
        groups.setdefault((camera.width, camera.height, camera.near), []).append(index)
    images: dict[int, Tensor] = {}
    with torch.no_grad():
        for members in groups.values():
            rendering = rasterizer.render(gaussians, [smaller[index] for index in members], sh_degree=0)
            opaque = rendering.alpha >= settings.minimum_alpha
            depth = torch.where(opaque, rendering.depth / rendering.alpha.clamp_min(1e-9), torch.nan)
            images.update(zip(members, depth, strict=True))
    scale = [(small.width / camera.width, small.height / camera.height) for small, camera in zip(smaller, cameras, strict=True)]
    return _DepthImages([images[index] for index in range(len(cameras))], scale, settings.surface_tolerance)


def _corners(pixels: Tensor, height: int, width: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Rows, columns (P, 4) and bilinear weights (P, 4) of the pixels around finite positions; the border goes on outside."""
    x = (pixels[:, 0].to(dtype) - 0.5).clamp(0, width - 1)
    y = (pixels[:, 1].to(dtype) - 0.5).clamp(0, height - 1)
    left, top = x.floor().clamp_max(width - 2), y.floor().clamp_max(height - 2)
    right, low = x - left, y - top
    columns, rows = left.long()[:, None] + left.new_tensor((0, 1, 0, 1)).long(), top.long()[:, None] + top.new_tensor((0, 0, 1, 1)).long()
    weights = torch.stack(((1 - right) * (1 - low), right * (1 - low), (1 - right) * low, right * low), dim=-1)
    return rows, columns, weights


@dataclass(frozen=True, eq=False)
class _Tracked:
    """What the dense tracks say about P tracks at the target; nothing (nan, 0, 0) where they have no finite position."""

    positions: Tensor  # (P, 2) float64
    visibility: Tensor  # (P,) float32, rounded
    confidence: Tensor  # (P,) float32, rounded


def _sample(live: FollowedTracks, dense: Mapping[str, DenseTracks], target: int, names: Sequence[str]) -> _Tracked:
    positions = live.positions.double()
    shift, seen, trust = torch.full_like(positions, torch.nan), torch.zeros_like(positions[:, 0]), torch.zeros_like(positions[:, 0])
    of_camera = live.camera
    for index, name in enumerate(names):
        tracks, chosen = dense[name], (of_camera == index).nonzero()[:, 0]
        which, device = tracks.targets.index(target), tracks.positions.device
        height, width = tracks.positions.shape[1:3]
        rows, columns, weights = _corners(positions[chosen].to(device), height, width, torch.float64)
        there = tracks.positions[which, rows, columns].double()  # (P, 4, 2)
        there = there - torch.stack((columns + 0.5, rows + 0.5), dim=-1)
        usable = there.isfinite().all(-1)
        weights = weights * usable
        weights = weights / weights.sum(-1, keepdim=True)  # nan if there is none
        shift[chosen] = (weights[..., None] * there.nan_to_num(0, 0, 0)).sum(1).to(positions)
        seen[chosen] = (weights * tracks.visibility[which, rows, columns]).sum(1).to(positions)
        trust[chosen] = (weights * tracks.confidence[which, rows, columns]).sum(1).to(positions)
    return _Tracked(positions + shift, round_probabilities(seen), round_probabilities(trust))


def _crossing(live: FollowedTracks, position: Tensor, masks: tuple[Masks, Masks], names: Sequence[str]) -> Tensor:
    """(P,) bool: all four mask pixels around a track say the one in the base frame and the other in the target."""
    shares = []
    for frame_masks, pixels in zip(masks, (live.positions, position), strict=True):
        share = torch.full_like(pixels[:, 0], 0.5)  # neither
        for index, name in enumerate(names):
            mask = frame_masks.get(name)
            if mask is not None:
                chosen = (live.camera == index).nonzero()[:, 0]
                mask = torch.as_tensor(mask, device=pixels.device)
                rows, columns, _ = _corners(pixels[chosen], *mask.shape, torch.float64)
                share[chosen] = mask[rows, columns].to(share).mean(-1)
        shares.append(share)
    return (shares[0] - shares[1]).abs() == 1


def _carrier_confidence(carriers: Tensor, motion: Motion) -> Tensor:
    """(P,) float32, rounded: mean confidence of the motion of the carriers that are left; 0 without any."""
    there = carriers >= 0
    values = torch.where(there, motion.confidence[carriers.clamp_min(0).long()], 0.0)
    return round_probabilities(values.sum(-1) / there.sum(-1).clamp_min(1))


def _no_tracks(
    cameras: Sequence[Camera], frame: int, settings: FollowSettings, provenance: Provenance, device: torch.device
) -> FollowedTracks:
    floats = {name: torch.zeros(shape, device=device) for name, shape in
              (("query", (0, 3)), ("positions", (0, 2)), ("visibility", 0), ("confidence", 0), ("points", (0, 3)))}  # fmt: skip
    return FollowedTracks(
        frame=frame,
        cameras=tuple(camera.name for camera in cameras),
        provenance=provenance,
        ids=torch.zeros(0, dtype=torch.int64, device=device),
        ends=torch.zeros(0, dtype=torch.uint8, device=device),
        hidden=torch.zeros(0, dtype=torch.int32, device=device),
        carriers=torch.zeros((0, settings.carriers), dtype=torch.int32, device=device),
        **floats,
    )


def _with_new(
    state: FollowedTracks,
    gaussians: Gaussians,
    depth: _DepthImages,
    cameras: Sequence[Camera],
    settings: FollowSettings,
    masks: Masks | None,
) -> FollowedTracks:
    """The state with new tracks in the grid cells that no visible track covers, as far as the number of tracks is bounded."""
    ids, pixels = [], []
    for index, camera in enumerate(cameras):
        mine = state.alive & (state.camera == index)
        cells, centres = _free_cells(camera, state.positions[mine & (state.hidden == 0)], settings)
        mask = None if masks is None else masks.get(camera.name)
        if mask is not None:
            cells, centres = (values[~_at_mask_border(mask, centres)] for values in (cells, centres))
        none = torch.full_like(centres[:, 0], index, dtype=torch.int64)
        surface = depth.at(centres, none, depth.at(centres, none, torch.zeros_like(centres[:, 0]).double()).depth)
        cells, centres = (values[surface.agreeing > 1 - 1e-6] for values in (cells, centres))
        room = max(settings.maximum - int(mine.sum()), 0)
        if len(cells) > room:  # evenly over the image
            chosen = torch.linspace(0, len(cells) - 1, room, device=cells.device).round().long()
            cells, centres = cells[chosen], centres[chosen]
        ids.append(track_ids(index, state.frame, cells))
        pixels.append(centres)
    new_ids, new_pixels = torch.cat(ids), torch.cat(pixels)
    camera_of = torch.cat([torch.full_like(part, index) for index, part in enumerate(ids)])
    surface = depth.at(new_pixels, camera_of, torch.zeros_like(new_pixels[:, 0]).double())
    points = _Views.of(cameras, camera_of, new_pixels.device).back_project(new_pixels, surface.depth)
    new = replace(
        state,
        ids=new_ids,
        query=torch.cat((torch.full_like(new_pixels[:, :1], state.frame), new_pixels), dim=1),
        positions=new_pixels,
        visibility=torch.ones_like(new_pixels[:, 0]),
        confidence=torch.ones_like(new_pixels[:, 0]),
        ends=torch.zeros_like(new_ids, dtype=torch.uint8),
        hidden=torch.zeros_like(new_ids, dtype=torch.int32),
        points=points.float(),
        carriers=_nearest_carriers(points, gaussians, settings),
    )
    both = replace(state, **{name: torch.cat((old, new.tensors()[name])) for name, old in state.tensors().items()})
    return both[both.ids.argsort()]


def _free_cells(camera: Camera, taken: Tensor, settings: FollowSettings) -> tuple[Tensor, Tensor]:
    """Indices (rows first) and centres (P, 2), which are pixel centres, of the grid cells without one of the ``taken`` positions (Q, 2)."""
    pitch = max(settings.spacing * max(camera.width, camera.height), 1.0)
    columns, rows = max(round(camera.width / pitch), 1), max(round(camera.height / pitch), 1)
    x = ((torch.arange(columns, device=taken.device) + 0.5) * (camera.width / columns)).floor() + 0.5
    y = ((torch.arange(rows, device=taken.device) + 0.5) * (camera.height / rows)).floor() + 0.5
    centres = torch.cartesian_prod(y, x).flip(-1)
    cells = torch.arange(len(centres), device=taken.device)
    if not len(taken):
        return cells, centres
    free = torch.cdist(centres, taken, compute_mode="donot_use_mm_for_euclid_dist").min(dim=1).values >= settings.gap * pitch
    return cells[free], centres[free]


def _at_mask_border(mask: np.ndarray | Tensor, centres: Tensor) -> Tensor:
    """(P,) bool: the 3 x 3 pixels around a pixel do not all say the same."""
    values = torch.as_tensor(mask, device=centres.device)
    reach = torch.tensor((-1, 0, 1), device=centres.device)
    rows = (centres[:, 1].long()[:, None, None] + reach[:, None]).clamp(0, values.shape[0] - 1)
    columns = (centres[:, 0].long()[:, None, None] + reach).clamp(0, values.shape[1] - 1)
    around = values[rows, columns].flatten(1)
    return around.any(1) & ~around.all(1)


def _nearest_carriers(points: Tensor, gaussians: Gaussians, settings: FollowSettings) -> Tensor:
    """(P, k) int32: of the nearest Gaussians those of the largest opacity times density at the point, largest first; -1 where too few.

    The density is that of Gaussians no thinner than the distance to the nearest mean: rendered surfaces lie a little before the means.
    """
    carriers = torch.full((len(points), settings.carriers), -1, dtype=torch.int32, device=points.device)
    count = min(settings.carrier_candidates, len(gaussians))
    if not count or not len(points):
        return carriers
    tree = cKDTree(gaussians.means.double().cpu().numpy(), balanced_tree=False)
    distances, indices = (torch.from_numpy(part).to(points.device) for part in tree.query(points.cpu().numpy(), k=range(1, count + 1)))
    offset = points[:, None] - gaussians.means[indices].double()
    axes = quaternion_to_matrix(gaussians.quats[indices].double())
    sizes = gaussians.scales[indices].double().maximum(distances[:, :1, None].clamp_min(1e-9))
    local = (axes.transpose(-1, -2) @ offset[..., None])[..., 0] / sizes
    opacity = torch.nn.functional.logsigmoid(gaussians.opacity_logits[indices].double())
    order = (opacity - 0.5 * local.square().sum(-1) - sizes.log().sum(-1)).argsort(dim=1, descending=True, stable=True)
    best = indices.gather(1, order[:, : settings.carriers])
    carriers[:, : best.shape[1]] = best.int()
    return carriers
