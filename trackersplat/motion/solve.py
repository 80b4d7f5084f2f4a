"""From tracks in all views to the motion of every Gaussian."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.errors import ShapeError
from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.geometry.curve import order_along_curve
from trackersplat.geometry.neighbours import nearest_neighbours
from trackersplat.geometry.quaternions import rotate, rotation_vector_to_quaternion
from trackersplat.motion.coast import coast
from trackersplat.motion.measure import Evidence, gather, pixel_size
from trackersplat.motion.motion import Carried, Motion
from trackersplat.motion.noise import noise_shares
from trackersplat.motion.ops.graph_system import Graph, neighbour_graph
from trackersplat.motion.ops.rotate import neighbourhood_rotations
from trackersplat.motion.ops.triangulate import triangulate, trusted
from trackersplat.motion.propagate import Field, propagate, weakened
from trackersplat.motion.settings import MotionSettings
from trackersplat.motion.static import still_and_trusted
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.tracking.tracks import DenseTracks

_MOTIONS_AT_ONCE = 4_000_000  # Gaussians times targets that a GPU solves together; about 1.5 kB each
_TURNS = 2  # times the rotations are found again with the surface turned by those found so far
_ROTATIONS_AT_ONCE = 500_000  # about 4 kB each


def estimate_motion(
    rasterizer: Rasterizer,
    gaussians: Gaussians,
    capture_cameras: Sequence[Camera],
    tracks: Sequence[DenseTracks],  # one per camera, all of one base and the same targets
    settings: MotionSettings | None = None,
    *,
    carried: Carried | None = None,  # of the motion that led to this base frame
) -> list[Motion]:
    """One motion per target frame of the tracks, each from the base frame.

    ``carried`` is ``motions[-1].carried`` of the batch before. It keeps slow motion alive from batch to batch: displacements
    that earlier batches measured but withheld, because they were below the static threshold, count as the start of this
    one's. And it lets what moved go on where tracks lose it, as far as its neighbours do not know better (coast.py).

    Raises ShapeError if cameras and tracks, or Gaussians and what is carried, do not fit each other.
    """
    settings = settings or MotionSettings()
    if carried is not None and len(carried) != len(gaussians):
        raise ShapeError(f"What is carried is of {len(carried)} Gaussians, there are {len(gaussians)}.")
    order = order_along_curve(gaussians.means.detach())
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device)
    carried = None if carried is None else carried[order]
    motions = _estimate(rasterizer, gaussians.detach()[order], capture_cameras, tracks, settings, carried)
    return [motion[place] for motion in motions]


def _estimate(
    rasterizer: Rasterizer,
    gaussians: Gaussians,  # neighbours in memory should be neighbours in space: much of the time goes into fetching them
    capture_cameras: Sequence[Camera],
    tracks: Sequence[DenseTracks],
    settings: MotionSettings,
    carried: Carried | None,
) -> list[Motion]:
    with ThreadPoolExecutor(1) as pool:  # neither the graph nor the gathering keeps a GPU busy alone
        preparing = pool.submit(_Scene.of, gaussians, capture_cameras, settings)
        evidence = gather(rasterizer, gaussians, capture_cameras, tracks, settings)
        scene = preparing.result()
    # Small problems leave a GPU idle. A CPU is faster with one at a time, each stopping when it is solved, whatever the others need.
    at_once = max(1, _MOTIONS_AT_ONCE // max(len(gaussians), 1)) if gaussians.means.is_cuda else 1
    ahead = [target - tracks[0].base for target in tracks[0].targets]
    motions: list[Motion] = []
    for start in range(0, len(ahead), at_once):
        chosen = slice(start, start + at_once)
        motions += _motions(scene, capture_cameras, evidence.targets(chosen), ahead[chosen], carried, settings)
    return motions


@dataclass(frozen=True)
class _Scene:
    """What all targets share about N Gaussians."""

    means: Tensor  # (N, 3) float64
    pixel: Tensor  # (N,) float64 scene units that one pixel spans there, see `pixel_size`
    neighbours: Tensor  # (N, k) int64, nearest first
    affinity: Tensor  # (N, k) float64 in (0, 1]: how much a neighbour says about a rotation
    distances: Tensor  # (N, k) float64
    graph: Graph

    @staticmethod
    def of(gaussians: Gaussians, cameras: Sequence[Camera], settings: MotionSettings) -> _Scene:
        means = gaussians.means.detach().double()
        colours = (0.5 + SH_C0 * gaussians.sh[:, 0]).detach().double()  # of no view in particular, in about [0, 1]
        neighbours, distances = nearest_neighbours(means, max(settings.rotation_neighbours, settings.neighbours))
        usual = distances.median(dim=1, keepdim=True).values if distances.shape[1] else distances.new_ones(len(means), 1)
        near = torch.exp(-0.5 * (distances / usual.clamp_min(1e-12)).square())
        difference = (colours[neighbours] - colours[:, None]).square().sum(-1)
        alike = torch.exp(-0.5 * difference / settings.colour_scale**2).clamp_min(1e-3)
        closest = slice(settings.neighbours)
        graph = neighbour_graph(neighbours[:, closest], distances[:, closest], colours, settings.colour_scale)
        return _Scene(means, pixel_size(means, cameras), neighbours, near * alike, distances, graph)

    def repeated(self, times: int) -> _Scene:
        """The scene ``times`` times over, so that all targets are solved as one."""
        count = len(self.means)
        shift = count * torch.arange(times, device=self.means.device)[:, None, None]
        return _Scene(
            self.means.repeat(times, 1),
            self.pixel.repeat(times),
            (shift + self.neighbours).flatten(0, 1),
            self.affinity.repeat(times, 1),
            self.distances.repeat(times, 1),
            self.graph.repeated(count, times),
        )


def _motions(
    one: _Scene,
    cameras: Sequence[Camera],
    evidence: Evidence,
    ahead: Sequence[int],  # frames from the base to each target
    carried: Carried | None,
    settings: MotionSettings,
) -> list[Motion]:
    """The motions to all targets of the evidence, solved as one scene that holds the Gaussians once per target."""
    targets, count = len(ahead), len(one.means)
    scene = one.repeated(targets)
    frames = scene.means.new_tensor(ahead).repeat_interleave(count)
    shown = evidence.shown.repeat(1, targets)
    variance = evidence.variance.flatten(1, 2)
    displacement = evidence.displacement.flatten(1, 2)
    solved = triangulate(cameras, scene.means, displacement, evidence.oblique.repeat(1, targets) * variance, evidence.surface)
    earlier = torch.zeros_like(scene.means) if carried is None else carried.withheld.double().repeat(targets, 1)
    static, measured = still_and_trusted(solved, evidence.moved.flatten(1, 2), variance, shown, earlier, scene.pixel, settings)
    withheld = torch.where(static[:, None], torch.where(measured[:, None], solved.translation, 0.0) + earlier, 0.0)
    measured &= ~static

    precision = torch.where(measured, 3.0 / solved.covariance_trace.clamp_min(1e-18), 0.0)
    information = torch.where(measured, solved.information, 0.0)
    translation = solved.translation
    # Gaussians lie at various depths below the surface, but the tracks are of the surface: so is the motion so far.
    below = evidence.surface.double().sum(0).repeat(targets, 1) / shown.sum(0).clamp_min(1)[:, None]
    turn, turn_precision = _measured_rotations(scene, scene.means + below, translation, precision, settings)
    found = measured.nonzero()[:, 0]
    oblique = evidence.oblique[:, found % count]
    variance, rough = oblique * variance[:, found], oblique * evidence.rough.flatten(1, 2)[:, found]
    noise = noise_shares(solved.residual_px[found], solved.views[found], variance, rough, found, targets, count)
    views_of_found = displacement[:, found], rough + noise.float() * (variance - rough), evidence.surface[:, found % count]
    for _ in range(_TURNS):
        rotation = rotation_vector_to_quaternion(turn)
        again = triangulate(cameras, scene.means[found], *views_of_found, rotation[found])
        trusted_again = trusted(again, settings)
        translation[found] = again.translation
        precision[found] = torch.where(trusted_again, 3.0 / again.covariance_trace.clamp_min(1e-18), 0.0)
        information[:, found] = torch.where(trusted_again, again.information, 0.0)
        seen_to_move = translation + rotate(rotation, below) - below
        turn, turn_precision = _measured_rotations(scene, scene.means + below, seen_to_move, precision, settings)

    measured[found] = trusted_again
    confidence, residual_px = static.double(), torch.full_like(precision, torch.nan)
    trust = 1.0 / (1.0 + again.deviation_px.square() + (again.residual_px / settings.maximum_residual_px).square())
    confidence[found] = torch.where(trusted_again, trust, 0.0)
    residual_px[found] = torch.where(trusted_again, again.residual_px, torch.nan)
    agreeing = torch.zeros_like(solved.views)
    agreeing[found] = torch.where(trusted_again, again.views, 0)

    # What was seen and is not static has moved, or was lost as a mover passed: what stands still beside it says little about it.
    graph = weakened(scene.graph, static, shown.any(0) & ~static, settings.static_pull)
    spread = {"strain": settings.strain, "bend": settings.bend}
    expected = None
    if carried is not None:
        before = carried[torch.arange(count, device=frames.device).repeat(targets)]
        expected = coast(before, frames, settings.static_px * scene.pixel, settings.unsteadiness, settings.bend)
    known = Field(translation, turn, confidence)
    field = propagate(scene.means, known, information, precision, turn_precision, static, graph, expected=expected, **spread)
    shift = field.translation + torch.where(static[:, None], 0.0, earlier)
    resting = ~static & ~measured & (shift.norm(dim=-1) <= settings.static_px * scene.pixel)
    withheld = torch.where(resting[:, None], shift, withheld)
    static |= resting
    flat = Motion(
        translation=torch.where(static[:, None], 0.0, shift).float(),
        rotation=rotation_vector_to_quaternion(torch.where(static[:, None], 0.0, field.rotation)).float(),
        static=static,
        measured=measured,
        confidence=field.confidence.float(),
        residual_px=residual_px.float(),
        views=agreeing.to(torch.int32),
        carried=Carried(
            withheld=withheld.float(),
            # What was withheld before belongs to batches before.
            velocity=torch.where(static[:, None], 0.0, field.translation / frames[:, None]).float(),
            spin=torch.where(static[:, None], 0.0, field.rotation / frames[:, None]).float(),
            trust=torch.where(static, 0.0, field.confidence).float(),
        ),
    )
    return [flat[target * count : (target + 1) * count] for target in range(targets)]


def _measured_rotations(
    scene: _Scene, points: Tensor, translation: Tensor, precision: Tensor, settings: MotionSettings
) -> tuple[Tensor, Tensor]:
    """Rotation vectors (N, 3) and precisions (N,) of the moving Gaussians from their moving neighbours; 0 for the others."""
    rotation, certainty = torch.zeros_like(scene.means), torch.zeros_like(precision)
    for chosen in (precision > 0).nonzero()[:, 0].split(_ROTATIONS_AT_ONCE):
        neighbours = scene.neighbours[chosen]
        theirs = precision[neighbours]
        # Neighbours may depart from rigid motion by the strain, however well they are measured.
        slack = (settings.strain * scene.distances[chosen]).square()
        weights = torch.where(theirs > 0, scene.affinity[chosen] / (1.0 / theirs.clamp_min(1e-30) + slack), 0.0)
        rotation[chosen], certainty[chosen] = neighbourhood_rotations(
            points, translation, chosen, neighbours, weights, precision[chosen], settings.rotation_prior
        )
    return rotation, certainty
