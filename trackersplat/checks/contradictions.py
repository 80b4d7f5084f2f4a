"""Pairs of cameras whose matches contradict their poses."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.checks.geometry import epipolar_distances
from trackersplat.checks.matches import Features, PairMatches
from trackersplat.checks.settings import DEFAULTS, PoseSettings


@dataclass(frozen=True)
class PairDistances:
    """How far the matches of two cameras are from the epipolar lines that their poses give."""

    a: int
    b: int
    distances: np.ndarray  # (M,) pixels
    share: float  # see PairMatches
    rigid: float  # share of the matches found that some relative pose of the two cameras explains, see `rigid_share`; at most ``share``

    @property
    def median(self) -> float:
        return float(np.median(self.distances))


@dataclass(frozen=True)
class Contradiction:
    """Matches of two cameras that are right, but lie off the epipolar lines, so that one of the two poses is wrong."""

    suspect: int  # hardly any other matches of it fit its pose
    other: int
    cleared: bool  # whether the other's matches with third cameras fit
    matches: int
    epipolar: float  # pixels, median


def distances(
    cameras: Sequence[Camera], features: Sequence[Features], pairs: Sequence[PairMatches], settings: PoseSettings = DEFAULTS.poses
) -> list[PairDistances]:
    """Epipolar distances of the matches of one frame."""
    found = []
    for pair in pairs:
        a, b = cameras[pair.a], cameras[pair.b]
        uv_a, uv_b = features[pair.a].uv[pair.index_a], features[pair.b].uv[pair.index_b]
        scale = max(features[pair.a].scale, features[pair.b].scale)
        rigid = pair.share * rigid_share(a, b, uv_a, uv_b, scale * settings.rigid_px, settings)
        found.append(PairDistances(pair.a, pair.b, epipolar_distances(a, b, uv_a, uv_b), pair.share, rigid))
    return found


def rigid_share(a: Camera, b: Camera, uv_a: np.ndarray, uv_b: np.ndarray, pixels: float, settings: PoseSettings = DEFAULTS.poses) -> float:
    """Share of matches (M, 2) that one relative pose of the two cameras explains, with their points in front of both; whatever their
    given poses are.

    Any fundamental matrix has seven degrees of freedom and explains many of a few dozen wrong matches; an essential matrix (Nister 2004)
    has five, and puts most of the points of wrong matches behind a camera. ``pixels``: distance from an epipolar line that counts as on it.
    """
    rays_a, rays_b = (cv2.undistortPoints(uv[:, None], one.K, None)[:, 0] for uv, one in ((uv_a, a), (uv_b, b)))
    cv2.setRNGSeed(settings.seed)
    try:
        essential, inside = cv2.findEssentialMat(
            rays_a, rays_b, np.eye(3), method=cv2.RANSAC, prob=0.999, threshold=2.0 * pixels / (a.fx + b.fx)
        )
        if essential is None or essential.shape != (3, 3):  # several that fit alike
            return 0.0
        count, *_ = cv2.recoverPose(essential, rays_a, rays_b, np.eye(3), mask=inside)
    except cv2.error:  # its solver fails on points that fix no geometry, such as those of one line
        return 0.0
    return int(count) / len(uv_a)


def tolerance(camera: Camera, settings: PoseSettings = DEFAULTS.poses) -> float:
    """Pixels: the largest residual that does no harm."""
    return max(settings.tolerance_px, settings.tolerance_share * max(camera.width, camera.height))


def contradicted(cameras: Sequence[Camera], pairs: Sequence[PairDistances], settings: PoseSettings = DEFAULTS.poses) -> float | None:
    """The share of the matches of certain pairs that belong to pairs which contradict the poses; None if there are too few matches."""
    certain = [p for p in pairs if _is_certain(p, settings)]
    total = sum(len(p.distances) for p in certain)
    if total < 2 * settings.certain_matches:
        return None
    return sum(len(p.distances) for p in certain if _is_far_off(p, cameras, settings)) / total


def contradicting(cameras: Sequence[Camera], pairs: Sequence[PairDistances], settings: PoseSettings = DEFAULTS.poses) -> list[bool]:
    """Per pair whether its matches contradict the poses: they are certain, and off much further than those of other pairs. Where a
    relative pose explains only part of them, as a lens may be wrong too, they must be far off.
    """
    usual = float(np.median([p.median for p in pairs if _is_rigid(p, settings)] or [0.0]))
    found = []
    for pair in pairs:
        harmless = max(tolerance(cameras[camera], settings) for camera in (pair.a, pair.b))
        off = _is_rigid(pair, settings) and pair.median > max(harmless, settings.unusual * usual)
        rather = pair.rigid > settings.rigid_rather * pair.share
        found.append(off or (rather and _is_certain(pair, settings) and _is_far_off(pair, cameras, settings)))
    return found


def doubtful(cameras: Sequence[Camera], pairs: Sequence[PairDistances], settings: PoseSettings = DEFAULTS.poses) -> set[int]:
    """Cameras most of whose matches contradict the poses, in pairs with two others or more: the worst, then the worst without it, ..."""
    judged = _judged(cameras, pairs, settings)
    found: set[int] = set()
    while True:
        shares = {}
        for camera in range(len(cameras)):
            own = [(p, bad) for p, bad in judged if camera in (p.a, p.b) and not {p.a, p.b} & found]
            if len({p.a + p.b - camera for p, bad in own if bad}) >= 2:
                shares[camera] = _bad_share(own)
        worst = max(shares, key=lambda c: shares[c], default=None)
        if worst is None or shares[worst] <= 0.5:
            return found
        found.add(worst)


def contradictions(
    cameras: Sequence[Camera], pairs: Sequence[PairDistances], explained: Collection[int], settings: PoseSettings = DEFAULTS.poses
) -> list[Contradiction]:
    """Contradictions between two cameras that no camera in ``explained`` takes part in, the worst frame of each.

    Where other matches of both cameras fit, their common matches are taken for a repeated pattern.
    """
    judged = _judged(cameras, pairs, settings)
    found: dict[tuple[int, int], Contradiction] = {}
    for pair, bad in judged:
        if not bad or not _is_rigid(pair, settings) or {pair.a, pair.b} & set(explained):
            continue
        shares = {camera: _bad_share([(p, b) for p, b in judged if camera in (p.a, p.b)]) for camera in (pair.a, pair.b)}
        suspect = max(shares, key=lambda c: shares[c])
        other = pair.a + pair.b - suspect
        if shares[suspect] <= 0.5:
            continue
        one = Contradiction(suspect, other, shares[other] < shares[suspect], len(pair.distances), pair.median)
        known = found.get((pair.a, pair.b))
        if known is None or one.epipolar > known.epipolar:
            found[pair.a, pair.b] = one
    return list(found.values())


def _judged(cameras: Sequence[Camera], pairs: Sequence[PairDistances], settings: PoseSettings) -> list[tuple[PairDistances, bool]]:
    """The pairs that count, with whether they contradict the poses."""
    bad = contradicting(cameras, pairs, settings)
    return [(p, b) for p, b in zip(pairs, bad, strict=True) if _is_certain(p, settings) or _is_rigid(p, settings)]


def _bad_share(pairs: Sequence[tuple[PairDistances, bool]]) -> float:
    """Of the matches of these pairs."""
    return sum(len(p.distances) for p, bad in pairs if bad) / sum(len(p.distances) for p, _ in pairs)


def _is_certain(pair: PairDistances, settings: PoseSettings) -> bool:
    return len(pair.distances) >= settings.certain_matches and pair.share >= settings.certain_share


def _is_rigid(pair: PairDistances, settings: PoseSettings) -> bool:
    return len(pair.distances) >= settings.certain_matches and pair.rigid >= settings.certain_share


def _is_far_off(pair: PairDistances, cameras: Sequence[Camera], settings: PoseSettings) -> bool:
    limit = max(tolerance(cameras[camera], settings) for camera in (pair.a, pair.b))
    return pair.median > settings.contradiction * limit
