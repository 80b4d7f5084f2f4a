"""Every choice of the motion, with its defaults. Pixels are those of the images that were tracked."""

from __future__ import annotations

from dataclasses import dataclass, field

from trackersplat.geometry.graph import GraphSettings
from trackersplat.tracking.consistency.settings import ConsistencySettings


@dataclass(frozen=True)
class MeasureSettings:
    """What a view says about the 2D motion of a Gaussian (measure.py, ops/affine.py)."""

    core: float = 0.3  # share of a Gaussian's size whose pixels measure it
    track_noise_px: float = 0.3  # standard deviation per axis of a good track, at most: less where the views agree better (noise.py)
    minimum_weight: float = 0.05  # blending weight, summed over pixels, from which a view's observation is valid
    minimum_share: float = 0.05  # of the Gaussian's blending weight in a view that must carry certain tracks
    opaque_alpha: float = 0.5  # alpha above which a pixel shows a surface
    surface_deviations: float = 1.0  # in front of its mean at which a Gaussian's surface appears; exact scenes would want 0
    deepest_deviations: float = 6.0  # below the rendered surface at which a Gaussian can still be part of it
    surface_tolerance: float = 0.02  # share of its depth, beside its largest deviation, that a visible mean may lie behind the surface
    view_weight_power: float = 4.0  # of a view's visible area of a Gaussian over the largest one: the weight of the view
    least_view_share: float = 0.02  # least share that any view is taken to have, so that its weight is not 0


@dataclass(frozen=True)
class TriangulateSettings:
    """Robust triangulation of one Gaussian's motion from several views (ops/triangulate.py)."""

    iterations: int = 6  # Gauss-Newton steps
    robust_from: int = 1  # first step with robust weights; those before it are plain least squares
    kernel: float = 3.0  # standard deviations at which Geman-McClure's weight has quartered
    inlier_weight: float = 0.25  # robust weight above which a view agrees with the motion
    near: float = 1e-3  # scene units; the observation of a camera closer than this is not valid
    ridge: float = 1e-9  # of the trace of the normal equations, added to their diagonal: keeps them regular along a lone ray
    minimum_views: int = 2  # that must agree on a triangulated motion
    maximum_residual_px: float = 1.5  # RMS reprojection error of a motion that counts as measured
    maximum_deviation_px: float = 5.0  # standard deviation of a measured position: rejects views that look along one line


@dataclass(frozen=True)
class StaticSettings:
    """Which Gaussians did not move (static.py)."""

    threshold_px: float = 0.5  # motion up to this is not applied but carried to the next stride or batch
    agreement: float = 0.8  # share of the views' precision that must call a Gaussian static
    confirmed_agreement: float = 0.5  # the same, where the triangulated motion confirms it


@dataclass(frozen=True)
class RotationSettings:
    """Rotation of a Gaussian from the motion of its neighbourhood (ops/rotate.py, solve.py)."""

    neighbours: int = 16  # of which the measured ones decide a rotation
    prior: float = 3.0  # radians, expected size of a rotation
    rounds: int = 4  # Kabsch solutions; all but the first leave out neighbours that do not move with the rest
    kernel: float = 3.0  # standard deviations at which a neighbour's weight has quartered
    newton_steps: int = 24  # for the largest eigenvalue of Horn's matrix
    least_affinity: float = 1e-3  # of a neighbour of another colour
    repeats: int = 2  # at least 1: times that motions are found anew with the surface turned by the rotations found so far


@dataclass(frozen=True)
class NoiseSettings:
    """How noisy the tracks really are (noise.py)."""

    least_share: float = 0.005  # of the variance that tracks are given at first: no tracker finds a fiftieth of a pixel
    least_views: int = 4  # from which the residuals of one Gaussian count in the noise of all
    least_gaussians: int = 30  # such Gaussians; of fewer the median is off by a tenth and more
    sample: int = 100_000  # Gaussians of a target that are asked at most: a median needs no more
    prior_freedom: float = 4.0  # degrees of freedom of the noise of all in the noise of one Gaussian


@dataclass(frozen=True)
class SolverSettings:
    """Conjugate gradients on the graph (ops/graph_system.py)."""

    tolerance: float = 1e-6  # relative residual of motions
    confidence_tolerance: float = 1e-3  # relative residual of confidences, of which nobody needs more than two digits
    most_steps: int = 500
    check_every: int = 20  # steps between two looks at the residual, an even number; on a GPU each look waits for it
    stiffest: float = 300.0  # largest weight of a measurement over that of its edges: as good as fixed, and well conditioned


@dataclass(frozen=True)
class PropagateSettings:
    """Motion of Gaussians that no track measures, from their neighbours (propagate.py)."""

    strain: float = 0.2  # expected departure from rigid motion between neighbours, over their distance
    bend: float = 0.1  # radians, expected difference of neighbours' rotations
    static_pull: float = 0.002  # factor on an edge between a static Gaussian and one that was seen not to be
    kernel: float = 3.0  # standard deviations of disagreement at which an edge between two measured Gaussians has quartered
    least_agreement: float = 1e-3  # no edge is ever cut for good, so motion reaches the whole connected component
    least_company: int = 3  # measured neighbours from which a Gaussian can be out of line
    least_agreeing: float = 0.2  # share of them, by affinity, that must move with it
    fade: float = 0.02  # loss of confidence per edge between a measurement and a propagated motion
    confidence_coupling: float = 10.0  # strength of an edge between confidences, over the fade
    solver: SolverSettings = field(default_factory=SolverSettings)


@dataclass(frozen=True)
class CoastSettings:
    """Earlier motion of Gaussians that no track finds now (coast.py)."""

    velocity_change: float = 4.0  # expected change of a velocity from stride to stride, over the velocity
    least_trust: float = 0.1  # below which an earlier velocity says nothing any more


@dataclass(frozen=True)
class RenderAndMatchSettings:
    """Tracks corrected by matching the rendered scene with the photographs (render_and_match.py)."""

    match_rounds: int = 1  # times at most that this is done; 0: never
    unreliable_share: float = 0.05  # of the tracks to a target, from which it is done for that target
    reliable_certainty: float = 0.5  # visibility times confidence from which a track is reliable
    moved_px: float = 0.5  # motion of a track from which a base frame that drifts is corrected
    reach: float = 1 / 12  # of the search, over the longest side of an image: the scene is nearly where it should be
    closed_gap_px: int = 1  # gaps up to twice this between pixels that tracks reach count as reached


@dataclass(frozen=True)
class ResetStaticSettings:
    """Gaussians that are back where they were (reset_static.py)."""

    nearest_px: float = 6.0  # those further than this from where they were are not reset: inside one colour, tracks may call all static


@dataclass(frozen=True)
class CarryPointsSettings:
    """Points of the base frame that follow the Gaussians around them (carry.py)."""

    neighbours: int = 16  # Gaussians that move a point
    spacing_rank: int = 4  # the distance to the one of this rank (from 1) tells how densely the Gaussians lie around the point
    least_deviation: float = 1.5  # of a Gaussian, in spacings: the motion of single Gaussians is noisy, that of several together is not
    agreement: float = 0.6  # distance of two proposals, in spacings, at which they count as two motions
    rotation_weight: float = 0.5  # squared spacings: what the rotations of the Gaussians count beside the one that fits their positions


@dataclass(frozen=True)
class MotionSettings:
    """In the order of the steps."""

    agreement: ConsistencySettings | None = None  # how tracks of all views are joined first; None: they are taken as they are
    measure: MeasureSettings = field(default_factory=MeasureSettings)
    triangulate: TriangulateSettings = field(default_factory=TriangulateSettings)
    static: StaticSettings = field(default_factory=StaticSettings)
    rotation: RotationSettings = field(default_factory=RotationSettings)
    noise: NoiseSettings = field(default_factory=NoiseSettings)
    graph: GraphSettings = field(default_factory=GraphSettings)
    propagate: PropagateSettings = field(default_factory=PropagateSettings)
    coast: CoastSettings = field(default_factory=CoastSettings)
    render_and_match: RenderAndMatchSettings = field(default_factory=RenderAndMatchSettings)
    reset_static: ResetStaticSettings = field(default_factory=ResetStaticSettings)
