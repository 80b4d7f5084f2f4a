"""Points that several cameras see in one frame: SIFT features, matched without use of the poses, which are to be checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.checks.settings import DEFAULTS, MatchSettings


@dataclass(frozen=True)
class Features:
    """Keypoints of one image."""

    uv: np.ndarray  # (N, 2) float64, pixels of the camera
    size: np.ndarray  # (N,) float64, diameter in pixels of the camera
    descriptors: np.ndarray  # (N, 128) float32 of length 1 (RootSIFT)
    scale: float  # pixels of the camera per pixel of the image in which they were found

    @classmethod
    def none(cls) -> Features:
        """Of a missing image."""
        return cls(np.empty((0, 2)), np.empty(0), np.empty((0, 128), np.float32), 1.0)


@dataclass(frozen=True)
class PairMatches:
    """Keypoints of two cameras that show the same point."""

    a: int
    b: int
    index_a: np.ndarray  # (M,) into the features of a
    index_b: np.ndarray  # (M,)
    share: float  # of the matches found, that agree on one epipolar geometry


@dataclass(frozen=True)
class Tracks:
    """Points seen by two or more cameras in one frame."""

    uv: np.ndarray  # (T, C, 2) float64 pixels, NaN where not seen
    keypoints: np.ndarray  # (T, C) int64 into the features of each camera, -1 where not seen

    @property
    def seen(self) -> np.ndarray:
        """(T, C) bool."""
        return np.isfinite(self.uv[..., 0])

    def look_up(self, values: list[np.ndarray]) -> np.ndarray:
        """(T, C, K) values of the points from those of each camera's keypoints, ``values[camera]`` (N, K); NaN where not seen."""
        found = np.full((*self.keypoints.shape, values[0].shape[1]), np.nan)
        for camera, known in enumerate(values):
            seen = self.keypoints[:, camera] >= 0
            found[seen, camera] = known[self.keypoints[seen, camera]]
        return found


def find_features(image: np.ndarray, settings: MatchSettings = DEFAULTS.matches) -> Features:
    """SIFT (Lowe 2004) of an (H, W, 3) RGB image, with descriptors as RootSIFT (Arandjelovic and Zisserman 2012)."""
    scale = max(max(image.shape[:2]) / settings.longest_side, 1.0)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if scale > 1:
        grey = cv2.resize(grey, None, fx=1 / scale, fy=1 / scale, interpolation=cv2.INTER_AREA)
    sift = cv2.SIFT.create(nfeatures=settings.features, contrastThreshold=0.02, enable_precise_upscale=True)
    keypoints, descriptors = sift.detectAndCompute(grey, None)
    if descriptors is None or not len(keypoints):
        return Features.none()
    order = np.argsort([-point.response for point in keypoints], kind="stable")
    uv = np.array([point.pt for point in keypoints], dtype=np.float64)[order]
    size = np.array([point.size for point in keypoints], dtype=np.float64)[order]
    root = np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6))[order]
    return Features((uv + 0.5) * scale, size * scale, root, scale)


def match_descriptors(a: np.ndarray, b: np.ndarray, ratio: float = DEFAULTS.matches.ratio) -> tuple[np.ndarray, np.ndarray]:
    """Indices (M,) and (M,) of descriptors (N, 128) of length 1 that are mutually nearest and pass the ratio test both ways."""
    if min(len(a), len(b)) < 2:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    similarity = a @ b.T
    own, forward = np.arange(len(a)), similarity.argmax(axis=1)
    first = similarity[own, forward]
    mutual = first == similarity.max(axis=0)[forward]
    mutual &= np.bincount(forward[mutual], minlength=len(b))[forward] == 1  # of equal ones none passes the ratio test
    similarity[own, forward] = -np.inf
    second = similarity.max(axis=1)
    similarity[own[~mutual], forward[~mutual]] = first[~mutual]
    second_back = similarity.max(axis=0)[forward]
    # Squared distances of vectors of length 1 are 2 - 2 times their similarity.
    kept = mutual & (1 - first < ratio**2 * (1 - np.maximum(second, second_back)))
    return own[kept], forward[kept]


def choose_pairs(
    features: Sequence[Features], cameras: Sequence[Camera], settings: MatchSettings = DEFAULTS.matches
) -> list[tuple[int, int]]:
    """Each camera with those whose images resemble its own most. Poses do not decide: a wrong one would choose the wrong partners."""
    count = len(features)
    resemblance = np.zeros((count, count), dtype=np.int64)
    for a, b in _to_compare(features, cameras, settings):
        found, _ = match_descriptors(_strongest(features[a], settings), _strongest(features[b], settings), settings.ratio)
        resemblance[a, b] = resemblance[b, a] = len(found)
    pairs = set()
    for a in range(count):
        partners = np.argsort(-resemblance[a], kind="stable")[: settings.partners]
        pairs |= {(min(a, int(b)), max(a, int(b))) for b in partners if int(b) != a}
    return sorted(pairs)


def _to_compare(features: Sequence[Features], cameras: Sequence[Camera], settings: MatchSettings) -> list[tuple[int, int]]:
    """All pairs of few cameras. Of many, each camera with the nearest by pose and, as that may be wrong, with those of similar images."""
    count = len(features)
    if count <= settings.compare_all:
        return [(a, b) for a in range(count) for b in range(a + 1, count)]
    pairs = set()
    for nearness, partners in ((_nearness(cameras), settings.near_views), (_similarity(features, settings), settings.similar_views)):
        np.fill_diagonal(nearness, -np.inf)
        for a, row in enumerate(nearness):
            pairs |= {(min(a, int(b)), max(a, int(b))) for b in np.argsort(-row, kind="stable")[:partners]}
    return sorted(pairs)


def _nearness(cameras: Sequence[Camera]) -> np.ndarray:
    """(C, C): cosine between the axes of two cameras, less their distance in radii of the rig."""
    axes, places = (np.array(rows) for rows in zip(*((camera.rotation[2], camera.center) for camera in cameras), strict=True))
    radius = np.linalg.norm(places - places.mean(axis=0), axis=1).max()
    apart = np.linalg.norm(places[:, None] - places, axis=2)
    return np.asarray(axes @ axes.T - apart / max(float(radius), 1e-12))


def _similarity(features: Sequence[Features], settings: MatchSettings) -> np.ndarray:
    """(C, C): cosine between weighted counts of visual words (Sivic and Zisserman 2003), which are descriptors of the images themselves."""
    strongest = [_strongest(each, settings) for each in features]
    every = np.concatenate(strongest)
    if not len(every):
        return np.zeros((len(features), len(features)))
    words = every[np.linspace(0, len(every) - 1, min(settings.words, len(every))).astype(np.int64)]
    counts = np.stack([np.bincount((own @ words.T).argmax(axis=1), minlength=len(words)) for own in strongest]).astype(np.float64)
    images = np.maximum((counts > 0).sum(axis=0), 1)
    weighted = np.sqrt(counts) * np.log(len(features) / images)
    weighted /= np.maximum(np.linalg.norm(weighted, axis=1, keepdims=True), 1e-12)
    return np.asarray(weighted @ weighted.T)


def _strongest(features: Features, settings: MatchSettings) -> np.ndarray:
    return features.descriptors[: settings.coarse_features]


def match_pair(a: int, b: int, features: list[Features], settings: MatchSettings = DEFAULTS.matches) -> PairMatches | None:
    """The matches that agree on one epipolar geometry, whatever the poses say; None if too few do."""
    index_a, index_b = match_descriptors(features[a].descriptors, features[b].descriptors, settings.ratio)
    if len(index_a) < settings.min_matches:
        return None
    scale_a, scale_b = features[a].scale, features[b].scale
    cv2.setRNGSeed(settings.seed)
    try:
        _, inside = cv2.findFundamentalMat(
            features[a].uv[index_a] / scale_a, features[b].uv[index_b] / scale_b, cv2.USAC_MAGSAC, settings.epipolar_px, 0.999, 5000
        )
    except cv2.error:  # its solver fails on points that fix no geometry, such as those of one line
        return None
    if inside is None:
        return None
    kept = inside.ravel() > 0
    if kept.sum() < max(settings.min_matches, settings.min_share * len(kept)):
        return None
    return PairMatches(a, b, index_a[kept], index_b[kept], float(kept.mean()))


def link(pairs: list[PairMatches], features: list[Features]) -> Tracks:
    """Joins matches into tracks; a track with two points in one image is dropped, as one of them is wrong."""
    starts = np.cumsum([0, *(len(f.uv) for f in features)])
    parent = np.arange(starts[-1])

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for pair in pairs:
        for i, j in zip(pair.index_a + starts[pair.a], pair.index_b + starts[pair.b], strict=True):
            parent[root(int(i))] = root(int(j))
    groups: dict[int, list[tuple[int, int]]] = {}
    for camera, feature in enumerate(features):
        for index in range(len(feature.uv)):
            groups.setdefault(root(int(starts[camera]) + index), []).append((camera, index))
    kept = [group for group in groups.values() if len(group) > 1 and len({camera for camera, _ in group}) == len(group)]
    keypoints = np.full((len(kept), len(features)), -1)
    for track, group in enumerate(kept):
        for camera, index in group:
            keypoints[track, camera] = index
    nowhere = Tracks(np.empty((len(kept), len(features), 2)), keypoints)
    return Tracks(nowhere.look_up([feature.uv for feature in features]), keypoints)
