"""Cameras whose pose does not fit what they see, by the epipolar lines of matched points and by points that other cameras place."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.checks.findings import Finding, name_some
from trackersplat.checks.geometry import epipolar_distances, prediction, triangulate
from trackersplat.checks.matches import Features, PairMatches

LARGE = 2.0  # pixels; a smaller residual does no harm
LARGE_SHARE = 0.002  # the same, of the longer side of a large image
UNUSUAL = 4.0  # times the median of the other cameras
FAR = 3.0  # times that: the poses as a whole are wrong rather than coarse
MOST_TRIED = 6  # cameras that may be the wrong one, in each round
FEWEST = 8  # points that other cameras place
SURE_MATCHES = 20  # of a pair, and
SURE_SHARE = 0.5  # so many of them agree: what they say against a pose counts
SHARP = 2.0  # pixels: a point is placed well enough if it may be so far off for errors of one pixel in each view


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
    points: int = 0  # placed by other cameras
    reprojection: float | None = None  # pixels, median over those points, of the best frame
    wrong: bool = False  # other cameras agree with each other and not with this one
    doubtful: bool = False  # its matches with several cameras contradict its pose, but no third camera confirms them
    turned: float | None = None  # degrees from the given pose to one that fits the points
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


def tolerance(camera: Camera) -> float:
    """Pixels."""
    return max(LARGE, LARGE_SHARE * max(camera.width, camera.height))


def measure_poses(cameras: Sequence[Camera], pairs: Sequence[PairDistances], uv: np.ndarray, frames: np.ndarray) -> list[PoseFit]:
    """One fit per camera. Cameras that are found wrong, the worst first, take no part in placing points for the others.

    ``uv`` (T, C, 2): where cameras see the same points, NaN where they do not; ``frames`` (T,): when.
    """
    wrong: set[int] = set()
    judged = _judge(cameras, uv, frames, wrong)
    while suspects := _suspects(cameras, judged, wrong):
        worst = _culprit(suspects, judged, cameras, uv, frames, wrong)
        wrong.add(worst)
        judged = _judge(cameras, uv, frames, wrong)
    usual = [j.median for c, j in enumerate(judged) if j.median is not None and c not in wrong]
    if usual:  # a camera that is hardly worse than the rest shares the fault of the calibration as a whole
        wrong = {c for c in wrong if (judged[c].median or 0.0) > UNUSUAL * float(np.median(usual))}
    doubtful = _doubtful(cameras, pairs)
    fits = []
    for camera in range(len(cameras)):
        own = [p.distances for p in pairs if camera in (p.a, p.b)]
        matched = np.concatenate(own) if own else np.empty(0)
        turned, moved = _find_again(camera, cameras, uv, wrong) if camera in wrong else (None, None)
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


def contradicted(cameras: Sequence[Camera], pairs: Sequence[PairDistances]) -> float | None:
    """The share of the matches that can be relied on whose pair contradicts the poses; None if there are too few."""
    sure = [p for p in pairs if _is_sure(p)]
    total = sum(len(p.distances) for p in sure)
    return sum(len(p.distances) for p in sure if _is_bad(p, cameras)) / total if total >= 2 * SURE_MATCHES else None


def check_poses(
    cameras: Sequence[Camera], fits: Sequence[PoseFit], pairs: Sequence[PairDistances], explained: Collection[str | None] = ()
) -> list[Finding]:
    """Findings about poses that do not fit, or could not be checked unless another problem of the camera is ``explained`` already."""
    share = contradicted(cameras, pairs)
    count = sum(fit.wrong for fit in fits)
    if count > len(fits) / 2 or (share is not None and share > 0.5 and count == 0):
        residuals = np.concatenate([p.distances for p in pairs]) if count == 0 else [f.reprojection for f in fits if f.wrong]
        median = float(np.median(np.asarray(residuals, dtype=np.float64)))
        return [
            Finding(
                "poses", "problem" if median > FAR * LARGE else "warning", None,
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
                    f"The pose of {camera.name} is doubtful: what it shares with other cameras lies {fit.epipolar:.1f} pixels (median) "
                    "from where the poses put it.",
                    "Look whether repeated patterns explain it; else calibrate the camera again or leave it out.",
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
                "Nothing need be wrong; cameras that stand far apart, or images without texture, share few points.",
                (), {"cameras": float(len(unknown))},
            )
        )  # fmt: skip
    return findings


@dataclass(frozen=True)
class _Judgement:
    """What the other cameras say of one."""

    points: int = 0  # that two or more others agree on
    share: float = 0.0  # of those that two or more others see: so many do they agree on
    median: float | None = None  # pixels from where the camera sees the points; None if they are too few


def _judge(cameras: Sequence[Camera], uv: np.ndarray, frames: np.ndarray, wrong: set[int]) -> list[_Judgement]:
    """Each camera by those that are not wrong, by the frame that speaks best for it.

    A pose that is wrong is wrong in every frame; where much moves fast, hardly synchronised cameras disagree in some.
    """
    judged = []
    needed = min(2, len(np.unique(frames)))
    for index, camera in enumerate(cameras):
        placed = _placed_by_others(index, cameras, uv, wrong)
        errors = np.linalg.norm(camera.project(placed.points)[0] - placed.at, axis=1) if len(placed.at) else np.empty(0)
        when = frames[placed.tracks]
        medians = [float(np.median(errors[when == f])) for f in np.unique(when) if (when == f).sum() >= FEWEST]
        judged.append(_Judgement(len(errors), placed.share, min(medians) if len(medians) >= max(needed, 1) else None))
    return judged


def _suspects(cameras: Sequence[Camera], judged: Sequence[_Judgement], wrong: set[int]) -> dict[int, float]:
    """By how many pixels the residuals of cameras are larger than harmless."""
    over = {c: j.median - tolerance(cameras[c]) for c, j in enumerate(judged) if j.median is not None and c not in wrong}
    return {c: excess for c, excess in over.items() if excess > 0}


def _culprit(
    suspects: dict[int, float], judged: Sequence[_Judgement], cameras: Sequence[Camera], uv: np.ndarray, frames: np.ndarray, wrong: set[int]
) -> int:
    """The one without which the others are best off: a wrong camera spoils the points by which its neighbours are judged.

    Where that does not decide, as among three cameras, it is the one about whose points the others agree most.
    """
    tried = sorted(suspects, key=lambda c: -suspects[c])[:MOST_TRIED]
    left = {c: sum(min(e, 20.0) for e in _suspects(cameras, _judge(cameras, uv, frames, wrong | {c}), wrong | {c}).values()) for c in tried}
    least = min(left.values())
    return max((c for c in tried if left[c] <= least + LARGE), key=lambda c: (judged[c].share, suspects[c]))


@dataclass(frozen=True)
class _Placed:
    """Points that two or more other cameras agree on."""

    points: np.ndarray  # (M, 3) world
    at: np.ndarray  # (M, 2) pixels where the camera sees them
    tracks: np.ndarray  # (M,) which they are
    share: float  # of the points that two or more others see: so many do they agree on


def _placed_by_others(camera: int, cameras: Sequence[Camera], uv: np.ndarray, wrong: set[int]) -> _Placed:
    others = np.isfinite(uv[..., 0])
    seen = others[:, camera].copy()
    others[:, [camera, *wrong]] = False
    chosen = np.flatnonzero(seen & (others.sum(axis=1) >= 2))
    if not len(chosen):
        return _Placed(np.empty((0, 3)), np.empty((0, 2)), chosen, 0.0)
    placed = triangulate(cameras, uv[chosen], others[chosen])
    _, spread = prediction(cameras[camera], placed)
    if camera in wrong:  # then where it should see them says nothing about how well they are placed
        spread = np.zeros_like(spread)
    agreed = placed.error < LARGE
    good = agreed & (spread < SHARP)
    return _Placed(placed.points[good], uv[chosen[good], camera], chosen[good], float(agreed.mean()))


def _is_sure(pair: PairDistances) -> bool:
    return len(pair.distances) >= SURE_MATCHES and pair.share >= SURE_SHARE


def _is_bad(pair: PairDistances, cameras: Sequence[Camera]) -> bool:
    return float(np.median(pair.distances)) > FAR * max(tolerance(cameras[pair.a]), tolerance(cameras[pair.b]))


def _doubtful(cameras: Sequence[Camera], pairs: Sequence[PairDistances]) -> set[int]:
    """Cameras most of whose matches contradict the poses, in pairs with two others or more; the worst first, then without it."""
    sure = [p for p in pairs if _is_sure(p)]
    found: set[int] = set()
    while True:
        shares = {}
        for camera in range(len(cameras)):
            own = [p for p in sure if camera in (p.a, p.b) and not {p.a, p.b} & found]
            bad = [p for p in own if _is_bad(p, cameras)]
            if len({p.a + p.b - camera for p in bad}) >= 2:
                shares[camera] = sum(len(p.distances) for p in bad) / sum(len(p.distances) for p in own)
        worst = max(shares, key=lambda c: shares[c], default=None)
        if worst is None or shares[worst] <= 0.5:
            return found
        found.add(worst)


def _find_again(camera: int, cameras: Sequence[Camera], uv: np.ndarray, wrong: set[int]) -> tuple[float | None, float | None]:
    """Degrees and scene units from the given pose to the one that the placed points ask for; None if they ask for none."""
    placed = _placed_by_others(camera, cameras, uv, wrong)
    points, at = placed.points, placed.at
    if len(points) < FEWEST:
        return None, None
    given = cameras[camera]
    center = points.mean(axis=0)  # near the origin, for the numbers' sake
    cv2.setRNGSeed(1)
    ok, turn, shift, inside = cv2.solvePnPRansac(points - center, at, given.K, None, reprojectionError=4.0, iterationsCount=500)
    if not ok or inside is None or len(inside) < max(FEWEST, 0.5 * len(points)):
        return None, None
    rotation = cv2.Rodrigues(turn)[0]
    position = center - rotation.T @ shift.ravel()
    cosine = 0.5 * (float(np.trace(rotation @ given.rotation.T)) - 1.0)
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))), float(np.linalg.norm(position - given.center))
