"""Every choice of a diagnosis, with its defaults."""

from __future__ import annotations

from dataclasses import dataclass, field

from trackersplat.motion.settings import CarryPointsSettings, TriangulateSettings


@dataclass(frozen=True)
class PatchSettings:
    """The patches around tracks that are compared."""

    samples: int = 9  # along each side
    side: float = 1 / 28  # of the patch, as a share of the longest image side: 9 px in an image of 256
    noise: float = 2.0  # grey levels; contrast below it is taken for noise


@dataclass(frozen=True)
class ViewSettings:
    """What the views say about a point."""

    visible: float = 0.5  # visibility from which a point is taken as seen
    reliable: float = 0.5  # confidence from which the tracker's position is used
    surface_tolerance: float = 0.03  # difference of depth, over the depth, up to which a point is on the rendered surface
    minimum_alpha: float = 0.5  # rendered opacity from which there is a surface
    least_views: int = 2  # that must agree on a point
    noise: float = 1 / 512  # standard deviation of an observation, as a share of the longest image side: half a pixel of 256
    triangulate: TriangulateSettings = field(default_factory=TriangulateSettings)
    carry_points: CarryPointsSettings = field(default_factory=CarryPointsSettings)


@dataclass(frozen=True)
class NeighbourSettings:
    """The tracks around a track."""

    count: int = 8
    depth: float = 0.1  # difference of depth, over the depth, up to which two tracks are on one surface
    least: int = 3  # neighbours from which their motion says something


@dataclass(frozen=True)
class StepSettings:
    """Photographs against the renderings of the frames around them."""

    reach: int = 3  # frames, to both sides
    side: int = 192  # px of the longer side of the pictures that are compared
    change: float = 16.0  # grey levels between two renderings from which something moves
    least_share: float = 0.002  # of the pixels that must move
    left: float = 0.6  # share of the squared difference that the shift may leave


@dataclass(frozen=True)
class CameraSettings:
    """When a camera is named. Angles and shifts come from how far renderings are displaced from photographs."""

    grid: int = 24  # points along the longer side at which the displacement is read
    least_points: int = 60  # with a certain displacement
    explained: float = 0.5  # share of the squared displacement that a turn or a shift in time must explain
    least_turn: float = 0.3  # degrees
    least_frames: float = 0.7  # by which a camera is out of step
    motion: float = 1 / 256  # motion of a point from frame to frame, over the longest side, from which it tells about time
    biased: float = 1 / 128  # median displacement, over the longest side, of a camera that is biased
    unusual: float = 3.0  # times the median of the other cameras
    blur_frames: int = 3  # in which focus is measured
    step: StepSettings = field(default_factory=StepSettings)


@dataclass(frozen=True)
class ScoreSettings:
    """The logistic regression behind the failure score; `benchmarks.failure_score` prints these numbers anew."""

    wrong_share: float = 1 / 64  # of the longest image side: a position further than this from the truth is wrong; 4 px of 256
    features: tuple[str, ...] = (  # names of `score.FEATURES`
        "loop", "other_views", "rendered", "nearest", "unlike_query", "covered", "distrust", "speed", "few_views", "plain",
    )  # fmt: skip
    centres: tuple[float, ...] = (-3.0335, -2.8456, -2.8569, -2.9168, -2.9189, 0.0, 0.0003, -3.1277, -0.6931, -4.1219)  # their medians
    weights: tuple[float, ...] = (0.7416, 0.2851, 0.0416, 0.8956, 0.5684, 0.1996, 0.0297, 0.3732, 0.8416, 0.5455)
    bias: float = -6.9247


@dataclass(frozen=True)
class CategorySettings:
    """Which reason is given for a failure. Distances are compared with the one that counts as wrong (`ScoreSettings`)."""

    least_score: float = 0.5  # from which a position has failed
    agrees: float = 0.5  # of the wrong distance, up to which other views agree with a position
    covered: float = 0.5  # share of rendered surface in front of a point from which it is occluded, or at it where it claims to be hidden
    fast_share: float = 1 / 24  # of the longest image side, moved in one frame, from which motion is fast
    texture: float = 12.0  # grey levels of contrast below which there is nothing to follow
    least_views: float = 2.0  # other views that must agree
    least_parallax: float = 2.0  # degrees


@dataclass(frozen=True)
class DiagnosisSettings:
    """What a diagnosis compares, and with what."""

    tracker: str = "dis"  # that tracks everything anew
    grid: float = 1 / 16  # spacing of tracks made for a run that keeps none, as a share of the longest image side
    matcher: str = "dis"  # that compares renderings with photographs
    patch: PatchSettings = field(default_factory=PatchSettings)
    views: ViewSettings = field(default_factory=ViewSettings)
    neighbours: NeighbourSettings = field(default_factory=NeighbourSettings)
    cameras: CameraSettings = field(default_factory=CameraSettings)
    score: ScoreSettings = field(default_factory=ScoreSettings)
    category: CategorySettings = field(default_factory=CategorySettings)
