"""Cameras whose pose does not fit their image: by the epipolar lines of matches, and by points triangulated from other cameras."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.checks.contradictions import Contradiction, PairDistances, contradicted, contradictions, doubtful, tolerance
from trackersplat.checks.findings import Finding, name_some
from trackersplat.checks.geometry import prediction, triangulate
from trackersplat.checks.settings import DEFAULTS, PoseSettings


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
    doubted = doubtful(cameras, pairs, settings)
    wrong: set[int] = set()
    judged = _judge(views, wrong)
    while suspects := _suspects(views, judged, wrong):
        worst = _culprit(suspects, judged, views, wrong, doubted)
        wrong.add(worst)
        judged = _judge(views, wrong)
    usual = [j.median for c, j in enumerate(judged) if j.median is not None and c not in wrong]
    if usual:  # a camera that is hardly worse than the others has no fault of its own: the whole calibration is coarse
        wrong = {c for c in wrong if (judged[c].median or 0.0) > settings.unusual * float(np.median(usual))}
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
                wrong=camera in wrong and judged[camera].median is not None,
                doubtful=camera in doubted and judged[camera].median is None,
                turned=turned,
                moved=moved,
            )
        )
    return fits


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
    against = contradictions(cameras, pairs, {c for c, fit in enumerate(fits) if fit.wrong or fit.doubtful}, settings)
    findings += [_contradiction(cameras[one.suspect].name, cameras[one.other].name, one) for one in against]
    told = {camera for one in against for camera in (one.suspect, one.other)}
    unknown = [
        camera.name
        for index, (camera, fit) in enumerate(zip(cameras, fits, strict=True))
        if fit.reprojection is None and not fit.doubtful and index not in told and camera.name not in explained
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


def _contradiction(suspect: str, other: str, one: Contradiction) -> Finding:
    first = f"The other matches of {other} fit, so check {suspect} first" if one.cleared else "Check both"
    return Finding(
        "poses", "warning", suspect,
        f"The poses of {suspect} and {other} contradict each other: {one.matches} matches lie {one.epipolar:.1f} pixels (median) from "
        "their epipolar lines.",
        f"{first}: calibrate again, check that names belong to poses, or leave the camera out. A repeated pattern may explain it, too.",
        (), {"epipolar": one.epipolar, "matches": float(one.matches)},
    )  # fmt: skip


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


def _culprit(suspects: dict[int, float], judged: Sequence[_Judgement], views: _Views, wrong: set[int], doubted: set[int]) -> int:
    """The camera without which the others fit best: a wrong camera spoils the points by which its neighbours are judged.

    Where that does not decide, as among three cameras, it is one that is ``doubted``, or else the one on whose points the others agree
    most. A camera that is doubted may be the wrong one without being a suspect: too few points may judge it itself.
    """
    settings = views.settings
    tried = sorted(suspects, key=lambda c: -suspects[c])[: settings.candidates]
    tried += sorted(doubted - suspects.keys() - wrong)
    left = {}
    for camera in tried:
        without = wrong | {camera}
        left[camera] = sum(min(e, settings.max_excess_px) for e in _suspects(views, _judge(views, without), without).values())
    least = min(left.values())
    return max(
        (c for c in tried if left[c] <= least + settings.tolerance_px),
        key=lambda c: (c in doubted, judged[c].share, suspects.get(c, 0.0)),
    )


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
