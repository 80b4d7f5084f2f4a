"""Cameras whose pose does not fit their image: by the epipolar lines of matches, and by points triangulated from other cameras."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.checks.findings import Finding, name_some
from trackersplat.checks.geometry import epipolar_distances, prediction, triangulate
from trackersplat.checks.matches import Features, PairMatches
from trackersplat.checks.settings import DEFAULTS, PoseSettings


@dataclass(frozen=True)
class PairDistances:
    """How far the matches of two cameras are from the epipolar lines that their poses give."""

    a: int
    b: int
    distances: np.ndarray  # (M,) pixels
    share: float  # see PairMatches


@dataclass(frozen=True)
class PoseFit:
    """How well the pose of one camera fits its images."""

    matches: int = 0
    epipolar: float | None = None  # pixels, median over the matches
    points: int = 0  # triangulated from other cameras
    reprojection: float | None = None  # pixels, median over those points, of the best frame
    wrong: bool = False  # other cameras agree with each other and not with this one
    doubtful: bool = False  # its matches with several cameras contradict its pose, but no third camera confirms them
    turned: float | None = None  # degrees between the given pose and one that fits the points
    moved: float | None = None  # scene units


def distances(cameras: Sequence[Camera], features: Sequence[Features], pairs: Sequence[PairMatches]) -> list[PairDistances]:
    """Epipolar distances of the matches of one frame."""
    return [
        PairDistances(
            p.a,
            p.b,
            epipolar_distances(cameras[p.a], cameras[p.b], features[p.a].uv[p.index_a], features[p.b].uv[p.index_b]),
            p.share,
        )
        for p in pairs
    ]


def tolerance(camera: Camera, settings: PoseSettings = DEFAULTS.poses) -> float:
    """Pixels: the largest residual that does no harm."""
    return max(settings.tolerance_px, settings.tolerance_share * max(camera.width, camera.height))


def measure_poses(
    cameras: Sequence[Camera],
    pairs: Sequence[PairDistances],
    uv: np.ndarray,
    frames: np.ndarray,
    settings: PoseSettings = DEFAULTS.poses,
) -> list[PoseFit]:
    """One fit per camera. Cameras that are found wrong, the worst first, are not used to triangulate points for the others.

    ``uv`` (T, C, 2) are pixels where cameras see the same points, NaN where they do not; ``frames`` (T,) are their frames.
    """
    views = _Views(cameras, uv, frames, settings)
    wrong: set[int] = set()
    judged = _judge(views, wrong)
    while suspects := _suspects(views, judged, wrong):
        worst = _culprit(suspects, judged, views, wrong)
        wrong.add(worst)
        judged = _judge(views, wrong)
    usual = [j.median for c, j in enumerate(judged) if j.median is not None and c not in wrong]
    if usual:  # a camera that is hardly worse than the others has no fault of its own: the whole calibration is coarse
        wrong = {c for c in wrong if (judged[c].median or 0.0) > settings.unusual * float(np.median(usual))}
    doubtful = _doubtful(cameras, pairs, settings)
    fits = []
    for camera in range(len(cameras)):
        own = [p.distances for p in pairs if camera in (p.a, p.b)]
        matched = np.concatenate(own) if own else np.empty(0)
        turned, moved = _fitting_pose(camera, views, wrong) if camera in wrong else (None, None)
        fits.append(
            PoseFit(
                matches=len(matched),
                epipolar=float(np.median(matched)) if len(matched) else None,
                points=judged[camera].points,
                reprojection=judged[camera].median,
                wrong=camera in wrong,
                doubtful=camera in doubtful and judged[camera].median is None,
                turned=turned,
                moved=moved,
            )
        )
    return fits


def contradicted(cameras: Sequence[Camera], pairs: Sequence[PairDistances], settings: PoseSettings = DEFAULTS.poses) -> float | None:
    """The share of the matches of certain pairs that belong to pairs which contradict the poses; None if there are too few matches."""
    certain = [p for p in pairs if _is_certain(p, settings)]
    total = sum(len(p.distances) for p in certain)
    if total < 2 * settings.certain_matches:
        return None
    return sum(len(p.distances) for p in certain if _is_bad(p, cameras, settings)) / total


def check_poses(
    cameras: Sequence[Camera],
    fits: Sequence[PoseFit],
    pairs: Sequence[PairDistances],
    explained: Collection[str | None] = (),
    settings: PoseSettings = DEFAULTS.poses,
) -> list[Finding]:
    """Findings about poses that do not fit, or that could not be checked.

    The latter are left out for the cameras in ``explained`` (None: all of them), which have another problem already.
    """
    share = contradicted(cameras, pairs, settings)
    count = sum(fit.wrong for fit in fits)
    if count > len(fits) / 2 or (share is not None and share > 0.5 and count == 0):
        residuals = np.concatenate([p.distances for p in pairs]) if count == 0 else [f.reprojection for f in fits if f.wrong]
        median = float(np.median(np.asarray(residuals, dtype=np.float64)))
        return [
            Finding(
                "poses", "problem" if median > settings.contradiction * settings.tolerance_px else "warning", None,
                f"The poses do not fit the images: shared points lie {median:.1f} pixels (median) from where the poses put them.",
                "Check that poses, camera names and image sizes belong together and which way the axes point, or calibrate again.",
                (), {"residual": median},
            )
        ]  # fmt: skip
    findings = []
    for camera, fit in zip(cameras, fits, strict=True):
        numbers = {key: value for key in ("epipolar", "reprojection", "turned", "moved") if (value := getattr(fit, key)) is not None}
        numbers["points"] = float(fit.points)
        if fit.wrong:
            fits_at = ""
            if fit.turned is not None:
                fits_at = f"; turned by {fit.turned:.1f} degrees and moved by {fit.moved:.2g} scene units it would fit"
            findings.append(
                Finding(
                    "poses", "problem", camera.name,
                    f"The pose of {camera.name} is wrong: it sees {fit.points} points {fit.reprojection:.1f} pixels (median) from where "
                    f"the other cameras place them{fits_at}.",
                    "Calibrate the camera again, check that its name belongs to its pose, or leave it out.",
                    (), numbers,
                )
            )  # fmt: skip
        elif fit.doubtful:
            findings.append(
                Finding(
                    "poses", "warning", camera.name,
                    f"The pose of {camera.name} is doubtful: its matches with other cameras lie {fit.epipolar:.1f} pixels (median) "
                    "from their epipolar lines.",
                    "Repeated patterns may explain it; otherwise calibrate the camera again or leave it out.",
                    (), numbers,
                )
            )  # fmt: skip
    unknown = [
        camera.name
        for camera, fit in zip(cameras, fits, strict=True)
        if fit.reprojection is None and not fit.doubtful and camera.name not in explained
    ]
    if unknown and len(cameras) > 1 and None not in explained:
        whose = "No pose" if len(unknown) == len(cameras) else f"The pose of {name_some(unknown)}"
        could = "could" if len(unknown) == len(cameras) else "could not"
        findings.append(
            Finding(
                "poses", "note", unknown[0] if len(unknown) == 1 else None,
                f"{whose} {could} be checked: too few points are seen by three cameras.",
                "This need not be an error: cameras that are far apart, and images without texture, share few points.",
                (), {"cameras": float(len(unknown))},
            )
        )  # fmt: skip
    return findings


@dataclass(frozen=True)
class _Views:
    """What the poses are judged by."""

    cameras: Sequence[Camera]
    uv: np.ndarray  # (T, C, 2) pixels where cameras see the same points, NaN where they do not
    frames: np.ndarray  # (T,)
    settings: PoseSettings


@dataclass(frozen=True)
class _Judgement:
    """How one camera fits the points of the other cameras."""

    points: int = 0  # on which two or more others agree
    share: float = 0.0  # of the points that two or more others see
    median: float | None = None  # pixels between projections of the points and their images; None if there are too few points


def _judge(views: _Views, wrong: set[int]) -> list[_Judgement]:
    """Each camera by those that are not wrong, in the frame that fits best.

    A wrong pose is wrong in every frame; fast motion and poor synchronisation disturb only some.
    """
    judged = []
    needed = min(2, len(np.unique(views.frames)))
    for index, camera in enumerate(views.cameras):
        placed = _placed_by_others(index, views, wrong)
        errors = np.linalg.norm(camera.project(placed.points)[0] - placed.at, axis=1) if len(placed.at) else np.empty(0)
        when = views.frames[placed.tracks]
        medians = [float(np.median(errors[when == f])) for f in np.unique(when) if (when == f).sum() >= views.settings.min_points]
        judged.append(_Judgement(len(errors), placed.share, min(medians) if len(medians) >= max(needed, 1) else None))
    return judged


def _suspects(views: _Views, judged: Sequence[_Judgement], wrong: set[int]) -> dict[int, float]:
    """Cameras whose residual is above the tolerance, and by how many pixels."""
    over = {
        c: j.median - tolerance(views.cameras[c], views.settings) for c, j in enumerate(judged) if j.median is not None and c not in wrong
    }
    return {c: excess for c, excess in over.items() if excess > 0}


def _culprit(suspects: dict[int, float], judged: Sequence[_Judgement], views: _Views, wrong: set[int]) -> int:
    """The camera without which the others fit best: a wrong camera spoils the points by which its neighbours are judged.

    Where that does not decide, as among three cameras, it is the one on whose points the others agree most.
    """
    settings = views.settings
    tried = sorted(suspects, key=lambda c: -suspects[c])[: settings.candidates]
    left = {}
    for camera in tried:
        without = wrong | {camera}
        left[camera] = sum(min(e, settings.max_excess_px) for e in _suspects(views, _judge(views, without), without).values())
    least = min(left.values())
    return max((c for c in tried if left[c] <= least + settings.tolerance_px), key=lambda c: (judged[c].share, suspects[c]))


@dataclass(frozen=True)
class _Placed:
    """Points of one camera that are triangulated from two or more others, which agree on them."""

    points: np.ndarray  # (M, 3) world
    at: np.ndarray  # (M, 2) pixels where the camera sees them
    tracks: np.ndarray  # (M,) their indices
    share: float  # of the points that two or more others see


def _placed_by_others(camera: int, views: _Views, wrong: set[int]) -> _Placed:
    cameras, uv, settings = views.cameras, views.uv, views.settings
    others = np.isfinite(uv[..., 0])
    seen = others[:, camera].copy()
    others[:, [camera, *wrong]] = False
    chosen = np.flatnonzero(seen & (others.sum(axis=1) >= 2))
    if not len(chosen):
        return _Placed(np.empty((0, 3)), np.empty((0, 2)), chosen, 0.0)
    placed = triangulate(cameras, uv[chosen], others[chosen], settings)
    _, spread = prediction(cameras[camera], placed)
    if camera in wrong:  # projected by a wrong pose, the uncertainty means nothing
        spread = np.zeros_like(spread)
    agreed = placed.error < settings.tolerance_px
    good = agreed & (spread < settings.max_uncertainty_px)
    return _Placed(placed.points[good], uv[chosen[good], camera], chosen[good], float(agreed.mean()))


def _is_certain(pair: PairDistances, settings: PoseSettings) -> bool:
    return len(pair.distances) >= settings.certain_matches and pair.share >= settings.certain_share


def _is_bad(pair: PairDistances, cameras: Sequence[Camera], settings: PoseSettings) -> bool:
    limit = max(tolerance(cameras[camera], settings) for camera in (pair.a, pair.b))
    return float(np.median(pair.distances)) > settings.contradiction * limit


def _doubtful(cameras: Sequence[Camera], pairs: Sequence[PairDistances], settings: PoseSettings) -> set[int]:
    """Cameras most of whose matches contradict the poses, in pairs with two others or more: the worst, then the worst without it, ..."""
    certain = [p for p in pairs if _is_certain(p, settings)]
    found: set[int] = set()
    while True:
        shares = {}
        for camera in range(len(cameras)):
            own = [p for p in certain if camera in (p.a, p.b) and not {p.a, p.b} & found]
            bad = [p for p in own if _is_bad(p, cameras, settings)]
            if len({p.a + p.b - camera for p in bad}) >= 2:
                shares[camera] = sum(len(p.distances) for p in bad) / sum(len(p.distances) for p in own)
        worst = max(shares, key=lambda c: shares[c], default=None)
        if worst is None or shares[worst] <= 0.5:
            return found
        found.add(worst)


def _fitting_pose(camera: int, views: _Views, wrong: set[int]) -> tuple[float | None, float | None]:
    """Degrees and scene units between the given pose and one that fits the points of the other cameras; None if there is none."""
    settings = views.settings
    placed = _placed_by_others(camera, views, wrong)
    points, at = placed.points, placed.at
    if len(points) < settings.min_points:
        return None, None
    given = views.cameras[camera]
    center = points.mean(axis=0)  # as the origin, for precision
    cv2.setRNGSeed(settings.seed)
    try:
        ok, turn, shift, inside = cv2.solvePnPRansac(
            points - center, at, given.K, None, reprojectionError=settings.pnp_px, iterationsCount=settings.pnp_rounds
        )
    except cv2.error:  # its solver fails on points that fix no pose
        return None, None
    if not ok or inside is None or len(inside) < max(settings.min_points, 0.5 * len(points)):
        return None, None
    rotation = cv2.Rodrigues(turn)[0]
    position = center - rotation.T @ shift.ravel()
    cosine = 0.5 * (float(np.trace(rotation @ given.rotation.T)) - 1.0)
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))), float(np.linalg.norm(position - given.center))
