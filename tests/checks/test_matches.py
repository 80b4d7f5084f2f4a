"""Features, matches and tracks."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from tiny_capture import look_at

from trackersplat.captures.camera import Camera
from trackersplat.checks.matches import (
    Features,
    PairMatches,
    choose_pairs,
    find_features,
    link,
    match_descriptors,
    match_pair,
)
from trackersplat.checks.settings import MatchSettings


def blob(width: int, height: int, u: float, v: float, sigma: float) -> np.ndarray:
    """A bright spot centred on pixel coordinates (u, v), in which the top left pixel is centred on (0.5, 0.5)."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    spot = 40 + 180 * np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * sigma**2))
    return np.repeat(np.round(spot).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize(("width", "height", "u", "v", "sigma"), [(160, 120, 70.3, 41.8, 4.0), (2600, 400, 1433.0, 171.0, 16.0)])
def test_a_feature_lies_where_the_camera_says_at_any_size(width: int, height: int, u: float, v: float, sigma: float) -> None:
    features = find_features(blob(width, height, u, v, sigma))
    nearest = np.linalg.norm(features.uv - (u, v), axis=1).min()
    assert nearest < 0.15 * features.scale
    assert features.scale == max(width / 1280, 1)


def unit(rng: np.random.Generator, count: int) -> np.ndarray:
    vectors = rng.random((count, 128)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def features_at(uv: np.ndarray, descriptors: np.ndarray) -> Features:
    return Features(uv, np.full(len(uv), 4.0), descriptors, 1.0)


def test_matches_are_those_of_a_brute_force_search() -> None:
    rng = np.random.default_rng(1)
    a = unit(rng, 80)
    a[79] = a[5]  # a point of b that two of a resemble alike
    a[79, 0] += 0.01
    a[79] /= np.linalg.norm(a[79])
    b = np.concatenate([a[:30] + 0.01 * rng.random((30, 128), dtype=np.float32), unit(rng, 40), a[:1], a[:1]])
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    d = np.linalg.norm(a[:, None] - b[None], axis=2)
    expected = []
    for i in range(len(a)):
        j = int(d[i].argmin())
        clear = d[i, j] < MatchSettings().ratio * np.delete(d[i], j).min() and d[i, j] < MatchSettings().ratio * np.delete(d[:, j], i).min()
        if d[:, j].argmin() == i and clear:
            expected.append((i, j))
    found = match_descriptors(a, b)
    assert list(zip(*(index.tolist() for index in found), strict=True)) == expected
    assert 0 not in found[0]  # it is there twice
    assert 5 not in found[0]
    assert len(expected) == 28


def test_of_two_features_that_are_alike_none_is_matched() -> None:
    unit = np.eye(4, dtype=np.float32)
    for a, b in ((unit[[0, 0, 1]], unit[[0, 2, 1]]), (unit[[0, 2, 1]], unit[[0, 0, 1]])):
        own, other = match_descriptors(a, b)
        assert (own.tolist(), other.tolist()) == ([2], [2])


def test_only_matches_that_share_one_epipolar_geometry_are_kept() -> None:
    rng = np.random.default_rng(2)
    K = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
    cameras = [Camera("a", 640, 480, K, look_at((-1.0, 0.2, -4.0))), Camera("b", 640, 480, K, look_at((1.2, -0.3, -3.6)))]
    points = rng.uniform(-1, 1, (80, 3))
    descriptors = unit(rng, 80)
    uv = [camera.project(points)[0] for camera in cameras]
    uv[1][60:] = rng.uniform((0, 0), (640, 480), (20, 2))
    pair = match_pair(0, 1, [features_at(uv[0], descriptors), features_at(uv[1], descriptors)])
    assert pair is not None
    assert set(range(60)) <= set(pair.index_a.tolist())
    assert np.array_equal(pair.index_a, pair.index_b)
    assert len(pair.index_a) < 66
    assert pair.share == pytest.approx(len(pair.index_a) / 80)
    # Chance alone is no match, and neither are too few.
    random = features_at(rng.uniform((0, 0), (640, 480), (80, 2)), descriptors)
    assert match_pair(0, 1, [features_at(uv[0], descriptors), random]) is None
    few = [features_at(u[: MatchSettings().min_matches - 1], descriptors[: MatchSettings().min_matches - 1]) for u in uv]
    assert match_pair(0, 1, few) is None


def test_each_camera_is_paired_with_those_that_show_the_same() -> None:
    rng = np.random.default_rng(3)
    left, right = unit(rng, 50), unit(rng, 50)
    place = np.zeros((50, 2))
    # 8 cameras of one half of a room and 8 of the other: 5 partners each are found in the own half.
    features = [features_at(place, left if index % 2 else right) for index in range(16)]
    pairs = choose_pairs(features, [])
    assert all(a % 2 == b % 2 and a < b for a, b in pairs)
    assert {camera for pair in pairs for camera in pair} == set(range(16))


def ring_of_cameras(count: int) -> tuple[list[Features], list[Camera]]:
    """Cameras on a ring that look outward: each shares points of a wall with the next ones on either side."""
    rng = np.random.default_rng(0)
    wall = unit(rng, 20 * count)
    features, cameras = [], []
    for index in range(count):
        seen = (20 * index + np.arange(100)) % len(wall)
        noisy = wall[seen] + 0.02 * rng.random((100, 128), dtype=np.float32)
        descriptors = noisy / np.linalg.norm(noisy, axis=1, keepdims=True)
        features.append(features_at(rng.random((100, 2)), descriptors[rng.permutation(100)]))
        angle = 2 * np.pi * index / count
        x, z = float(np.cos(angle)), float(np.sin(angle))
        K = np.array([[100.0, 0, 50], [0, 100.0, 50], [0, 0, 1]])
        cameras.append(Camera(f"cam{index:02d}", 100, 100, K, look_at((x, 0.0, z), (2 * x, 0.0, 2 * z))))
    return features, cameras


def test_in_a_large_rig_each_camera_is_compared_with_few_and_finds_the_same_partners(monkeypatch: pytest.MonkeyPatch) -> None:
    features, cameras = ring_of_cameras(60)
    compared: list[int] = []
    match = match_descriptors

    def counted(a: np.ndarray, b: np.ndarray, ratio: float) -> tuple[np.ndarray, np.ndarray]:
        compared.append(len(a))
        return match(a, b, ratio)

    monkeypatch.setattr("trackersplat.checks.matches.match_descriptors", counted)
    settings = MatchSettings(partners=4)
    expected = {tuple(sorted((a, (a + step) % 60))) for a in range(60) for step in (1, 2)}
    assert set(choose_pairs(features, cameras, replace(settings, compare_all=60))) == expected
    assert len(compared) == 60 * 59 // 2
    compared.clear()
    assert set(choose_pairs(features, cameras, settings)) == expected
    assert len(compared) <= 60 * (settings.near_views + settings.similar_views)
    compared.clear()
    choose_pairs(features, cameras, replace(settings, similar_views=0))
    assert len(compared) == 60 * settings.near_views // 2


def test_in_a_large_rig_a_camera_of_a_wrong_pose_finds_its_partners_by_its_image() -> None:
    features, cameras = ring_of_cameras(60)
    cameras[7], cameras[37] = (
        replace(cameras[there], world_to_camera=cameras[here].world_to_camera) for there, here in ((7, 37), (37, 7))
    )  # each has the pose of the one on the other side
    pairs = choose_pairs(features, cameras, MatchSettings(partners=4))
    for camera in (7, 37):
        assert {(camera - 1, camera), (camera, camera + 1)} <= set(pairs)


def test_images_without_features_have_no_partners_that_matter() -> None:
    _, cameras = ring_of_cameras(30)
    pairs = choose_pairs([Features.none()] * 30, cameras)
    assert all(match_pair(a, b, [Features.none()] * 30) is None for a, b in pairs)


def test_tracks_join_matches_and_those_with_two_points_in_an_image_are_dropped() -> None:
    features = [features_at(np.arange(6.0).reshape(3, 2) + 100 * camera, np.zeros((3, 128), np.float32)) for camera in range(3)]

    def pair(a: int, b: int, *matches: tuple[int, int]) -> PairMatches:
        return PairMatches(a, b, np.array([i for i, _ in matches]), np.array([j for _, j in matches]), 1.0)

    tracks = link([pair(0, 1, (0, 1), (1, 2)), pair(1, 2, (1, 0), (2, 1)), pair(0, 2, (2, 1))], features)
    assert tracks.keypoints.tolist() == [[0, 1, 0]]  # the other joins points 1 and 2 of camera 0
    assert tracks.uv[0].tolist() == [[0, 1], [102, 103], [200, 201]]
    looked_up = tracks.look_up([np.array([[7.0], [8], [9]])] * 3)
    assert looked_up[0, :, 0].tolist() == [7, 8, 7]


def test_a_point_that_a_camera_does_not_see_is_nan() -> None:
    features = [features_at(np.ones((2, 2)), np.zeros((2, 128), np.float32)) for _ in range(3)]
    tracks = link([PairMatches(0, 2, np.array([1]), np.array([0]), 1.0)], features)
    assert tracks.seen.tolist() == [[True, False, True]]


def test_an_image_without_texture_has_no_features() -> None:
    assert len(find_features(np.full((40, 50, 3), 90, np.uint8)).uv) == 0


@pytest.mark.parametrize("shape", ["one point", "one line"])
def test_matches_that_fix_no_geometry_are_no_match(shape: str) -> None:
    rng = np.random.default_rng(0)
    descriptors = unit(rng, 40)
    along = np.zeros(40) if shape == "one point" else np.arange(40.0)
    line = Features(np.stack([along, 2 * along], axis=1), np.ones(40), descriptors, 1.0)
    match_pair(0, 1, [line, line])  # whatever OpenCV finds in it, it is no crash


def test_a_failure_of_opencvs_solver_is_no_match(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise cv2.error("the matrix is singular")

    rng = np.random.default_rng(0)
    features = Features(rng.random((40, 2)) * 100, np.ones(40), unit(rng, 40), 1.0)
    monkeypatch.setattr(cv2, "findFundamentalMat", fails)
    assert match_pair(0, 1, [features, features]) is None
