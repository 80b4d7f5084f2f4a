"""From tracks in all views to the motion of every Gaussian."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.errors import ShapeError
from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.motion.affine import AffineMotion, Visibility, measure_view, project
from trackersplat.motion.motion import Motion
from trackersplat.motion.neighbours import nearest_neighbours
from trackersplat.motion.propagate import Field, Graph, neighbour_graph, propagate, weakened
from trackersplat.motion.quaternions import rotation_vector_to_quaternion
from trackersplat.motion.rotate import neighbourhood_rotations
from trackersplat.motion.static import still
from trackersplat.motion.triangulate import triangulate
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.tracking.tracker import DenseTracks


@dataclass(frozen=True)
class MotionSettings:
    """Pixels are those of the images that were tracked."""

    core: float = 0.3  # share of a Gaussian's size whose pixels measure it
    track_noise_px: float = 0.3  # standard deviation per axis of a good track; sets how fast trust falls with disagreement
    minimum_weight: float = 0.05  # blending weight, summed over pixels, from which a view has a say about a Gaussian
    minimum_share: float = 0.4  # of the Gaussian's blending weight in a view that must carry certain tracks
    surface_tolerance: float = 0.02  # a mean further behind the rendered surface than 2 deviations + this share of its depth is hidden
    minimum_views: int = 2  # that must agree on a triangulated motion
    maximum_residual_px: float = 1.5  # RMS reprojection error of a motion that counts as measured
    maximum_deviation_px: float = 5.0  # standard deviation of a measured position: rejects views that look along one line
    static_px: float = 0.5  # motion below this is withheld and carried to the next batch
    neighbours: int = 8  # of the graph that carries motion
    rotation_neighbours: int = 12  # measured ones that decide a rotation
    rotation_prior: float = 1.0  # radians, expected size of a rotation
    strain: float = 0.1  # expected departure from rigid motion between neighbours, over their distance
    bend: float = 0.1  # radians, expected difference of neighbours' rotations
    static_pull: float = 0.002  # strength of an edge between a static Gaussian and one that was seen but lost
    colour_scale: float = 0.15  # difference of colour in [0, 1] at which two neighbours start to count as two surfaces


def estimate_motion(
    rasterizer: Rasterizer,
    gaussians: Gaussians,
    capture_cameras: Sequence[Camera],
    tracks: Sequence[DenseTracks],  # one per camera, all of one base and the same targets
    settings: MotionSettings | None = None,
    *,
    carried: Tensor | None = None,  # (N, 3) ``withheld`` of the motion that led to this base frame
) -> list[Motion]:
    """One motion per target frame of the tracks, each from the base frame.

    ``carried`` keeps slow motion alive from batch to batch: displacements that earlier batches measured but withheld,
    because they were below the static threshold, count as the start of this one's. Pass ``motions[-1].withheld`` of the
    batch before.

    Raises ShapeError if cameras and tracks do not fit each other.
    """
    settings = settings or MotionSettings()
    if not tracks or len(tracks) != len(capture_cameras):
        raise ShapeError(f"Motion needs tracks of every camera, got {len(tracks)} for {len(capture_cameras)} cameras.")
    if any((t.base, t.targets) != (tracks[0].base, tracks[0].targets) for t in tracks):
        raise ShapeError("Tracks of all cameras must have the same base and target frames.")
    evidence = _gather(rasterizer, gaussians, capture_cameras, tracks, settings)
    points = gaussians.means.detach().double().cpu().numpy()
    graph = neighbour_graph(*nearest_neighbours(points, settings.neighbours), _colours(gaussians), settings.colour_scale)
    return [_motion(gaussians, capture_cameras, points, graph, one, carried, settings) for one in evidence]


@dataclass(frozen=True)
class _Evidence:
    """What V views say about N Gaussians for one target frame."""

    displacement: Tensor  # (V, N, 2) px, of the projected means
    variance: Tensor  # (V, N) px^2 per axis; inf where a view has no say
    moved: Tensor  # (V, N) px, of the mean or of the footprint's rim
    shown: Tensor  # (V, N) bool: seen in the base frame, whether or not its tracks reach the target


def _gather(
    rasterizer: Rasterizer, gaussians: Gaussians, cameras: Sequence[Camera], tracks: Sequence[DenseTracks], settings: MotionSettings
) -> list[_Evidence]:
    """The evidence for every target. Memory: 17 bytes per view, target and Gaussian."""
    displacements, variances, moved, shown = [], [], [], []
    for camera, track in zip(cameras, tracks, strict=True):
        affine, seen = measure_view(rasterizer, gaussians, camera, track, settings.core)
        variance, visible = _variance(affine, seen, gaussians, camera, settings)
        displacements.append(affine.displacement)
        variances.append(variance)
        moved.append(affine.displacement.norm(dim=-1).maximum(affine.reach))
        shown.append(visible)
    per_target = zip(*(torch.stack(values, dim=1) for values in (displacements, variances, moved)), strict=True)
    return [_Evidence(displacement, variance, motion, torch.stack(shown)) for displacement, variance, motion in per_target]


def _variance(
    affine: AffineMotion, seen: Visibility, gaussians: Gaussians, camera: Camera, settings: MotionSettings
) -> tuple[Tensor, Tensor]:
    """(F, N) px^2 per axis of the displacement of the mean in one view, inf where it has no say; and where it is seen at all."""
    depth = (gaussians.means - gaussians.means.new_tensor(camera.center)).norm(dim=-1)
    tolerance = settings.surface_tolerance * depth + gaussians.scales.amax(-1)
    hidden = (seen.behind.nan_to_num(torch.inf) / tolerance).clamp(0.0, 1e3)
    variance = (settings.track_noise_px**2 + affine.spread.square()) * (1.0 + affine.leverage) * (1.0 + hidden**4)
    # Little weight means few pixels, and share those that are certain: both thin out what there is to average.
    variance = variance * (1.0 + settings.minimum_weight / affine.weight.clamp_min(1e-9)) / affine.share.clamp_min(1e-6)
    shown = (seen.weight >= settings.minimum_weight) & (hidden < 1.0)
    say = (affine.weight >= settings.minimum_weight) & (affine.share >= settings.minimum_share) & (hidden < 1.0)
    return torch.where(say, variance, torch.inf), shown


def _motion(
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    points: np.ndarray,
    graph: Graph,
    evidence: _Evidence,
    carried: Tensor | None,
    settings: MotionSettings,
) -> Motion:
    device = gaussians.device
    solved = triangulate(cameras, gaussians.means.detach(), evidence.displacement, evidence.variance)
    measured = (
        (solved.views >= settings.minimum_views)
        & (2 * solved.views > solved.seen)
        & (solved.residual_px <= settings.maximum_residual_px)
        & (solved.deviation_px <= settings.maximum_deviation_px)
    )
    pixel = _pixel_size(gaussians, cameras)
    earlier = torch.zeros_like(gaussians.means) if carried is None else carried
    translation = torch.where(measured[:, None], solved.translation + earlier, 0.0)
    moved_px = torch.where(measured, translation.norm(dim=-1) / pixel, torch.nan)
    static = still(evidence.moved, evidence.variance, evidence.shown, moved_px, settings.static_px, settings.minimum_views)
    withheld = torch.where((static & measured)[:, None], translation, torch.where(static[:, None], earlier, 0.0)).float()
    measured &= ~static

    confidence = 1.0 / (1.0 + solved.deviation_px.square() + (solved.residual_px / settings.maximum_residual_px).square())
    confidence = torch.where(measured, confidence, static.double())
    precision = torch.where(measured, 3.0 / solved.covariance_trace.clamp_min(1e-18), 0.0)
    translation = torch.where(measured[:, None], translation, 0.0)
    turn, turn_precision = _measured_rotations(points, translation, precision, _colours(gaussians), settings)

    # What was seen and then lost has moved or was passed by a mover: what stands still beside it says little about it.
    lost = (evidence.shown.any(0) & ~measured & ~static).cpu().numpy()
    field = propagate(
        points,
        Field(translation.cpu().numpy(), turn, confidence.cpu().numpy()),
        precision.cpu().numpy(),
        turn_precision,
        static.cpu().numpy(),
        weakened(graph, static.cpu().numpy(), lost, settings.static_pull),
        strain=settings.strain,
        bend=settings.bend,
    )
    shift = torch.from_numpy(field.translation).to(device)
    static |= ~measured & (shift.norm(dim=-1) <= settings.static_px * pixel)
    vectors = torch.where(static[:, None], 0.0, torch.from_numpy(field.rotation).to(device))
    return Motion(
        translation=torch.where(static[:, None], 0.0, shift).float(),
        rotation=rotation_vector_to_quaternion(vectors).float(),
        static=static,
        measured=measured,
        confidence=torch.from_numpy(field.confidence).float().to(device),
        residual_px=torch.where(measured, solved.residual_px, torch.nan).float(),
        views=torch.where(measured, solved.views, 0).to(torch.int32),
        withheld=withheld,
    )


def _pixel_size(gaussians: Gaussians, cameras: Sequence[Camera]) -> Tensor:
    """(N,) scene units that one pixel spans at a Gaussian, in the camera that resolves it best."""
    sizes = []
    for camera in cameras:
        _, depth = project(camera, gaussians.means.detach().double())
        sizes.append(torch.where(depth > 0, depth / (0.5 * (camera.fx + camera.fy)), torch.inf))
    return torch.stack(sizes).amin(0)


def _measured_rotations(
    points: np.ndarray, translation: Tensor, precision: Tensor, colours: np.ndarray, settings: MotionSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Rotation vectors (N, 3) and precisions (N,) of the moving Gaussians from their moving neighbours; 0 for the others."""
    rotation, certainty = np.zeros_like(points), np.zeros(len(points))
    moving = np.flatnonzero(precision.cpu().numpy() > 0)
    if len(moving) < 2:
        return rotation, certainty
    indices, distances = nearest_neighbours(points[moving], settings.rotation_neighbours)
    difference = np.square(colours[moving][indices] - colours[moving][:, None]).sum(-1)
    near = np.exp(-0.5 * np.square(distances / np.maximum(np.median(distances, axis=1, keepdims=True), 1e-12)))
    affinity = near * np.maximum(np.exp(-0.5 * difference / settings.colour_scale**2), 1e-3)
    device = translation.device
    chosen = torch.from_numpy(moving).to(device)
    neighbours = torch.from_numpy(indices).to(device)
    # Neighbours may depart from rigid motion by the strain, however well they are measured.
    slack = torch.from_numpy(np.square(settings.strain * distances)).to(device)
    own = precision[chosen]
    vectors, sure = neighbourhood_rotations(
        torch.from_numpy(points).to(device)[chosen],
        translation[chosen],
        neighbours,
        torch.from_numpy(affinity).to(device) / (1.0 / own[neighbours] + slack),
        own,
        settings.rotation_prior,
    )
    rotation[moving], certainty[moving] = vectors.cpu().numpy(), sure.cpu().numpy()
    return rotation, certainty


def _colours(gaussians: Gaussians) -> np.ndarray:
    """(N, 3) view-independent colour in about [0, 1]."""
    return (0.5 + SH_C0 * gaussians.sh[:, 0]).detach().double().cpu().numpy()
