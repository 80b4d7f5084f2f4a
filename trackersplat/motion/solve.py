"""From tracks in all views to the motion of every Gaussian."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.errors import ShapeError
from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.geometry.curve import order_along_curve
from trackersplat.geometry.devices import uploaded
from trackersplat.geometry.graph import Graph, middle_distances, neighbour_graph
from trackersplat.geometry.neighbours import nearest_neighbours
from trackersplat.geometry.quaternions import rotate, rotation_vector_to_quaternion
from trackersplat.motion.coast import coast
from trackersplat.motion.corrections import PointCorrection, with_corrections
from trackersplat.motion.evidence import Evidence
from trackersplat.motion.measure import Measurements, SeenBase, measure, pixel_size
from trackersplat.motion.motion import CarriedMotion, Motion
from trackersplat.motion.noise import noise_shares
from trackersplat.motion.ops.results import Triangulation
from trackersplat.motion.ops.rotate import Rotations, neighbourhood_rotations
from trackersplat.motion.ops.triangulate import Observations, triangulate, trusted
from trackersplat.motion.ops.view_evidence import view_evidence
from trackersplat.motion.propagate import Expected, Field, Measured, propagate, weakened
from trackersplat.motion.settings import MotionSettings
from trackersplat.motion.static import judge
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.tracking.tracks import DenseTracks

_MOTIONS_AT_ONCE = 4_000_000  # Gaussians times targets that a GPU solves together, for memory: about 1.5 kB each
_ROTATIONS_AT_ONCE = 500_000  # the same for rotations: about 4 kB each


def estimate_motion(
    rasterizer: Rasterizer,
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    tracks: Sequence[DenseTracks],  # one per camera, all of one base and the same targets
    settings: MotionSettings | None = None,
    *,
    carried: CarriedMotion | None = None,  # of the motion that led to this base frame
    corrections: Sequence[Sequence[PointCorrection]] = (),  # for each target, or none at all
    prepared: PreparedBase | None = None,  # of the same rasterizer, Gaussians, cameras and settings
) -> list[Motion]:
    """One motion per target frame of the tracks, each from the base frame.

    ``carried`` is ``motions[-1].carried`` of the batch before. It keeps slow motion alive from batch to batch: displacements
    that earlier batches measured but did not apply, because they were below the static threshold, count as the start of this
    one's. And it lets what moved go on where tracks lose it, as far as its neighbours do not know better (coast.py).
    ``corrections`` replace what the tracks say about the Gaussians that carry a point (corrections.py).

    Raises ShapeError if cameras and tracks, or Gaussians and what is carried, do not fit each other.
    """
    settings = settings or MotionSettings()
    if carried is not None and len(carried) != len(gaussians):
        raise ShapeError(f"What is carried is of {len(carried)} Gaussians, there are {len(gaussians)}.")
    prepared = prepared or PreparedBase(rasterizer, gaussians, cameras, settings)
    order, place = prepared.order, prepared.place
    carried = None if carried is None else carried[order]
    corrections = [[replace(point, carriers=place[point.carriers]) for point in points] for points in corrections]
    motions = _estimate(prepared, tracks, carried, corrections)
    return [motion[place] for motion in motions]


class PreparedBase:
    """What all estimates from one base frame share: its Gaussians along a curve, their neighbours, and what the cameras see of them."""

    def __init__(self, rasterizer: Rasterizer, gaussians: Gaussians, cameras: Sequence[Camera], settings: MotionSettings) -> None:
        self.rasterizer, self.cameras, self.settings = rasterizer, cameras, settings
        self.order = order_along_curve(gaussians.means.detach())
        self.place = torch.empty_like(self.order)
        self.place[self.order] = torch.arange(len(self.order), device=self.order.device)
        # Neighbours in memory should be neighbours in space: much of the time goes into fetching them.
        self.gaussians = gaussians.detach()[self.order]
        self.seen = SeenBase(rasterizer, self.gaussians, cameras, settings.measure)

    @cached_property
    def scene(self) -> _Scene:
        return _Scene.of(self.gaussians, self.cameras, self.settings)


def _estimate(
    prepared: PreparedBase, tracks: Sequence[DenseTracks], carried: CarriedMotion | None, corrections: Sequence[Sequence[PointCorrection]]
) -> list[Motion]:
    gaussians, cameras, settings = prepared.gaussians, prepared.cameras, prepared.settings
    with ThreadPoolExecutor(1) as pool:  # neither the graph nor the measurement keeps a GPU busy alone
        preparing = pool.submit(lambda: prepared.scene)
        measurements = measure(prepared.rasterizer, gaussians, cameras, tracks, settings.measure, prepared.seen)
        scene = preparing.result()
    if any(corrections):
        measurements = with_corrections(measurements, scene.means, cameras, corrections)
    # Small problems leave a GPU idle. A CPU is faster with one at a time, each stopping when it is solved, whatever the others need.
    at_once = max(1, _MOTIONS_AT_ONCE // max(len(gaussians), 1)) if gaussians.means.is_cuda else 1
    ahead = [target - tracks[0].base for target in tracks[0].targets]
    motions: list[Motion] = []
    for start in range(0, len(ahead), at_once):
        chosen = slice(start, start + at_once)
        motions += _motions(scene, cameras, measurements.targets(chosen), ahead[chosen], carried, settings)
    return motions


@dataclass(frozen=True, eq=False)
class _Scene:
    """What all targets share about N Gaussians."""

    means: Tensor  # (N, 3) float64
    pixel: Tensor  # (N,) float64 scene units that one pixel spans there, see `pixel_size`
    neighbours: Tensor  # (N, k) int64, nearest first
    affinity: Tensor  # (N, k) float64 in (0, 1]: how much a neighbour counts for a rotation
    distances: Tensor  # (N, k) float64
    graph: Graph

    @staticmethod
    def of(gaussians: Gaussians, cameras: Sequence[Camera], settings: MotionSettings) -> _Scene:
        means = gaussians.means.detach().double()
        colours = (0.5 + SH_C0 * gaussians.sh[:, 0]).detach().double()  # of no view in particular, in about [0, 1]
        neighbours, distances = nearest_neighbours(means, max(settings.rotation.neighbours, settings.graph.neighbours))
        usual = middle_distances(distances) if distances.shape[1] else distances.new_ones(len(means), 1)
        near = torch.exp(-0.5 * (distances / usual.clamp_min(1e-12)).square())
        difference = (colours[neighbours] - colours[:, None]).square().sum(-1)
        alike = torch.exp(-0.5 * difference / settings.graph.colour_scale**2).clamp_min(settings.rotation.least_affinity)
        closest = slice(settings.graph.neighbours)
        return _Scene(
            means=means,
            pixel=pixel_size(means, cameras),
            neighbours=neighbours,
            affinity=near * alike,
            distances=distances,
            graph=neighbour_graph(neighbours[:, closest], distances[:, closest], colours, settings.graph),
        )

    def repeated(self, times: int) -> _Scene:
        """The scene ``times`` times over, so that all targets are solved as one."""
        count = len(self.means)
        shift = count * torch.arange(times, device=self.means.device)[:, None, None]
        return _Scene(
            means=self.means.repeat(times, 1),
            pixel=self.pixel.repeat(times),
            neighbours=(shift + self.neighbours).flatten(0, 1),
            affinity=self.affinity.repeat(times, 1),
            distances=self.distances.repeat(times, 1),
            graph=self.graph.repeated(count, times),
        )


@dataclass(frozen=True, eq=False)
class _Views:
    """The measurements of T targets one after the other, as those of M = T N Gaussians."""

    cameras: Sequence[Camera]
    targets: int
    count: int  # N
    displacement: Tensor  # (V, M, 2)
    variance: Tensor  # (V, M)
    rough: Tensor  # (V, M)
    moved: Tensor  # (V, M)
    shown: Tensor  # (V, M)
    surface: Tensor  # (V, N, 3)
    inverse_weight: Tensor  # (V, N)
    below: Tensor  # (M, 3) scene units from the mean to the surface, in the mean over the views that show it
    corrected: Tensor  # (M,) bool

    @staticmethod
    def of(cameras: Sequence[Camera], measurements: Measurements) -> _Views:
        targets, count = measurements.displacement.shape[1:3]
        shown = measurements.shown.repeat(1, targets)
        return _Views(
            cameras=cameras,
            targets=targets,
            count=count,
            displacement=measurements.displacement.flatten(1, 2),
            variance=measurements.variance.flatten(1, 2),
            rough=measurements.rough.flatten(1, 2),
            moved=measurements.moved.flatten(1, 2),
            shown=shown,
            surface=measurements.surface,
            inverse_weight=measurements.inverse_view_weight,
            below=measurements.surface.double().sum(0).repeat(targets, 1) / shown.sum(0).clamp_min(1)[:, None],
            corrected=torch.zeros_like(shown[0]) if measurements.corrected is None else measurements.corrected.flatten(),
        )

    def weighted_variance(self) -> Tensor:
        """(V, M) px^2 of the observations of Gaussians that move."""
        return self.inverse_weight.repeat(1, self.targets) * self.variance


@dataclass(frozen=True, eq=False)
class _Solved:
    """What the views alone say about M Gaussians."""

    measured: Measured
    is_measured: Tensor  # (M,) bool
    residual_px: Tensor  # (M,) float64, nan where not measured
    views: Tensor  # (M,) int32, 0 where not measured
    variance: Tensor  # (V, M) px^2 of the observations, as the last solve took them
    rotation: Tensor  # (M, 4) float64: how the surface turns, as the last solve took it


def _motions(
    one: _Scene,
    cameras: Sequence[Camera],
    measurements: Measurements,
    ahead: Sequence[int],  # frames from the base to each target
    carried: CarriedMotion | None,
    settings: MotionSettings,
) -> list[Motion]:
    """The motions to all targets of the measurements, solved as one scene that holds the Gaussians once per target."""
    targets, count = len(ahead), len(one.means)
    scene, views = one.repeated(targets), _Views.of(cameras, measurements)
    frames = uploaded(ahead, scene.means.device, scene.means.dtype).repeat_interleave(count)
    threshold = settings.static.threshold_px * scene.pixel
    weighted = views.weighted_variance()
    first = triangulate(cameras, scene.means, Observations(views.displacement, weighted, views.surface), settings.triangulate)
    earlier = torch.zeros_like(scene.means) if carried is None else carried.pending_translation.double().repeat(targets, 1)
    is_static, believed = judge(first, views.moved, views.variance, views.shown, earlier, scene.pixel, settings)
    pending = torch.where(is_static[:, None], torch.where(believed[:, None], first.translation, 0.0) + earlier, 0.0)
    solved = _solve_moving(scene, views, first, is_static, believed & ~is_static, settings)

    # What was seen and is not static has moved, or was lost as a mover passed: static neighbours say little about it.
    graph = weakened(scene.graph, is_static, views.shown.any(0) & ~is_static, settings.propagate.static_pull)
    expected = _expected(carried, frames, threshold, settings)
    field = propagate(scene.means, solved.measured, is_static, graph, settings.propagate, expected)
    shift = field.translation + torch.where(is_static[:, None], 0.0, earlier)
    slow = ~is_static & ~solved.is_measured & (shift.norm(dim=-1) <= threshold)
    pending = torch.where(slow[:, None], shift, pending)
    is_static = is_static | slow
    fixed = is_static[:, None]
    flat = Motion(
        translation=torch.where(fixed, 0.0, shift).float(),
        rotation=rotation_vector_to_quaternion(torch.where(fixed, 0.0, field.rotation)).float(),
        is_static=is_static,
        measured=solved.is_measured,
        confidence=field.confidence.float(),
        residual_px=solved.residual_px.float(),
        views=solved.views,
        carried=CarriedMotion(
            pending_translation=pending.float(),
            # The pending translation of earlier batches belongs to earlier batches.
            velocity=torch.where(fixed, 0.0, field.translation / frames[:, None]).float(),
            angular_velocity=torch.where(fixed, 0.0, field.rotation / frames[:, None]).float(),
            trust=torch.where(is_static, 0.0, field.confidence).float(),
        ),
        evidence=_evidence(scene, views, solved, field, is_static, settings),
    )
    return [flat[target * count : (target + 1) * count] for target in range(targets)]


def _solve_moving(
    scene: _Scene, views: _Views, first: Triangulation, is_static: Tensor, is_measured: Tensor, settings: MotionSettings
) -> _Solved:
    """The motions of the Gaussians that ``first`` measured (``is_measured``, (M,) bool), with rotations and the true noise of the tracks.

    Each repeat solves the translations with the surface turned by the rotations found so far, and then the rotations.
    """
    precision = torch.where(is_measured, 3.0 / first.covariance_trace.clamp_min(1e-18), 0.0)
    information = torch.where(is_measured, first.information, 0.0)
    translation = first.translation.clone()
    # Gaussians lie at various depths below the surface, but the tracks are of the surface: so is the motion so far.
    on_surface = scene.means + views.below
    turn = _measured_rotations(scene, on_surface, translation, precision, settings)
    found = is_measured.nonzero()[:, 0]
    observations, variance = _observations_of(views, first, found, settings)
    for _ in range(settings.rotation.repeats):
        rotation = rotation_vector_to_quaternion(turn.vectors)
        again = triangulate(views.cameras, scene.means[found], observations._replace(turns=rotation[found]), settings.triangulate)
        good = trusted(again, settings.triangulate)
        translation[found] = again.translation
        precision[found] = torch.where(good, 3.0 / again.covariance_trace.clamp_min(1e-18), 0.0)
        information[:, found] = torch.where(good, again.information, 0.0)
        seen_to_move = translation + rotate(rotation, views.below) - views.below
        turn = _measured_rotations(scene, on_surface, seen_to_move, precision, settings)

    is_measured = is_measured.index_put((found,), good)
    confidence, residual_px = is_static.double(), torch.full_like(precision, torch.nan)
    trust = 1.0 / (1.0 + again.deviation_px.square() + (again.residual_px / settings.triangulate.maximum_residual_px).square())
    confidence[found] = torch.where(good, trust, 0.0)
    residual_px[found] = torch.where(good, again.residual_px, torch.nan)
    agreeing = torch.zeros_like(first.views)
    agreeing[found] = torch.where(good, again.views, 0)
    field = Field(translation=translation, rotation=turn.vectors, confidence=confidence)
    return _Solved(
        measured=Measured(
            field=field, information=information, precision=precision, rotation_precision=turn.precision, undisputed=views.corrected
        ),
        is_measured=is_measured,
        residual_px=residual_px,
        views=agreeing.to(torch.int32),
        variance=variance,
        rotation=rotation,
    )


def _observations_of(views: _Views, first: Triangulation, found: Tensor, settings: MotionSettings) -> tuple[Observations, Tensor]:
    """Those of the ``found`` (K,) Gaussians, as noisy as the residuals of ``first`` show; and the variances (V, M) of all with theirs."""
    inverse_weight = views.inverse_weight[:, found % views.count]
    variance, rough = inverse_weight * views.variance[:, found], inverse_weight * views.rough[:, found]
    noise = noise_shares(first.residual_px[found], first.views[found], variance, rough, found, views.targets, views.count, settings.noise)
    variance = rough + noise.float() * (variance - rough)
    everywhere = views.weighted_variance()
    everywhere[:, found] = variance
    surfaces = views.surface[:, found % views.count]
    return Observations(displacements=views.displacement[:, found], variances=variance, surfaces=surfaces), everywhere


def _expected(carried: CarriedMotion | None, frames: Tensor, floor: Tensor, settings: MotionSettings) -> Expected | None:
    """What the motion before leads one to expect of M Gaussians, ``frames`` (M,) after the base."""
    if carried is None:
        return None
    before = carried[torch.arange(len(frames), device=frames.device) % max(len(carried), 1)]
    return coast(before, frames, floor, settings.propagate.bend, settings.coast)


def _evidence(scene: _Scene, views: _Views, solved: _Solved, field: Field, is_static: Tensor, settings: MotionSettings) -> Evidence:
    """What the views say about the motions that were found.

    Static Gaussians are compared with no motion, measured ones with their triangulation, and the others with the motion that they get
    from their neighbours and their past. Pending translation is left out: it is of frames before the base. Variances are those that
    the solve took; for static Gaussians these are not weighted by the visible area, as in the decision that they are static.
    """
    solid = solved.measured.field
    taken = solved.is_measured[:, None]
    translation = torch.where(is_static[:, None], 0.0, torch.where(taken, solid.translation, field.translation))
    identity = rotation_vector_to_quaternion(torch.zeros_like(field.rotation[:1]))
    turns = torch.where(taken, solved.rotation, rotation_vector_to_quaternion(field.rotation))
    turns = torch.where(is_static[:, None], identity, turns)
    variances = torch.where(is_static, views.variance, solved.variance)
    observations = Observations(displacements=views.displacement, variances=variances, surfaces=views.surface, turns=turns)
    return view_evidence(views.cameras, scene.means, translation, observations, views.shown, settings.triangulate)


def _measured_rotations(scene: _Scene, points: Tensor, translation: Tensor, precision: Tensor, settings: MotionSettings) -> Rotations:
    """Rotations and precisions of the moving Gaussians from their moving neighbours; 0 for the others."""
    rotation, certainty = torch.zeros_like(scene.means), torch.zeros_like(precision)
    for chosen in (precision > 0).nonzero()[:, 0].split(_ROTATIONS_AT_ONCE):
        neighbours = scene.neighbours[chosen]
        theirs = precision[neighbours]
        # Neighbours may depart from rigid motion by the strain, however well they are measured.
        slack = (settings.propagate.strain * scene.distances[chosen]).square()
        weights = torch.where(theirs > 0, scene.affinity[chosen] / (1.0 / theirs.clamp_min(1e-30) + slack), 0.0)
        found = neighbourhood_rotations(points, translation, chosen, neighbours, weights, precision[chosen], settings.rotation)
        rotation[chosen], certainty[chosen] = found.vectors, found.precision
    return Rotations(vectors=rotation, precision=certainty)
