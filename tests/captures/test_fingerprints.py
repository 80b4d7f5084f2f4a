"""What tells one capture from another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_capture import cameras

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture, PointCloud
from trackersplat.captures.fingerprints import (
    MASK,
    describe,
    difference,
    different_images,
    hash_of_pixels,
    hashes_of_cameras,
    is_verifiable,
    short_hash,
)


class Frames:
    """Images that differ by camera and frame."""

    def read(self, camera: int, frame: int) -> np.ndarray:
        return np.full((48, 64, 3), 40 * camera + frame, np.uint8)

    def prefetch(self, wanted: Iterable[tuple[int, int]]) -> None: ...

    def close(self) -> None: ...


class Masks:
    def has(self, camera: int) -> bool:
        return camera == 1

    def read(self, camera: int, frame: int) -> np.ndarray | None:
        return np.ones((48, 64), bool) if camera == 1 else None

    def close(self) -> None: ...


@pytest.fixture
def capture() -> Capture:
    points = PointCloud(np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros((2, 3), np.uint8))
    return Capture("tiny", Path("here"), "n3dv", tuple(cameras()), 6, 30.0, Frames(), points=points, masks=Masks())


def moved(camera: Camera, **change: Any) -> Camera:
    pose = camera.world_to_camera.copy()
    pose[0, 3] += change.pop("by", 0.0)
    return replace(camera, world_to_camera=pose, **change)


def with_camera(capture: Capture, index: int, camera: Camera) -> Capture:
    return replace(capture, cameras=(*capture.cameras[:index], camera, *capture.cameras[index + 1 :]))


def test_the_same_cameras_and_points_are_no_difference_whatever_they_are_called_and_wherever_they_lie(capture: Capture) -> None:
    described = describe(capture, "data/tiny")
    assert is_verifiable(described)
    assert difference(described, replace(capture, name="other", root=Path("there"), layout="colmap", fps=25.0, held_out=("cam01",))) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: with_camera(c, 2, moved(c.cameras[2], by=1e-6)), "the calibration of cam02 differs"),
        (lambda c: with_camera(c, 1, replace(c.cameras[1], K=c.cameras[1].K + np.diag([1e-4, 0, 0]))), "the calibration of cam01 differs"),
        (
            lambda c: with_camera(c, 3, c.cameras[3].resized(32, 24)),
            r"the size of the images of cam03 differs \(64x48 there, 32x24 here\)",
        ),
        (
            lambda c: with_camera(c, 0, replace(c.cameras[0], name="left")),
            "its cameras are cam00, cam01, cam02, cam03 there and left, cam01, cam02, cam03 here",
        ),
        (lambda c: replace(c, cameras=c.cameras[:3]), "its cameras are cam00, cam01, cam02, cam03 there and cam00, cam01, cam02 here"),
        (lambda c: replace(c, frame_count=7), "it has 6 frames there and 7 here"),
        (lambda c: replace(c, points=None), "its own points or depth bounds differ"),
        (lambda c: replace(c, depth_bounds=np.ones((4, 2))), "its own points or depth bounds differ"),
    ],
)
def test_what_differs_is_said(capture: Capture, change: Any, words: str) -> None:
    import re

    found = difference(describe(capture, ""), change(capture))
    assert found is not None
    assert re.fullmatch(words, found)


@pytest.mark.parametrize("offset", [0.0, 1.0, 10.0, 1e6])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_cameras_that_another_machine_computes_with_other_last_bits_are_the_same(scale: float, offset: float) -> None:
    def rig(noise: float) -> list[Camera]:
        found = []
        for camera in cameras():
            pose = camera.world_to_camera.copy()
            pose[:3, 3] = -pose[:3, :3] @ (camera.center * scale + offset)
            pose[:3, 3] *= 1 + noise
            pose[:3, :3] += noise
            found.append(replace(camera, world_to_camera=pose, K=camera.K * (1 + noise)))
        return found

    assert hashes_of_cameras(rig(0.0)) == hashes_of_cameras(rig(4e-16))


def test_a_rig_at_the_origin_has_hashes_that_noise_does_not_change() -> None:
    there = Camera("a", 64, 48, np.array([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]]), np.eye(4))
    assert hashes_of_cameras([there]) == hashes_of_cameras([moved(there, by=1e-17)])
    assert hashes_of_cameras([there]) != hashes_of_cameras([moved(there, by=1e-6)])


def test_images_and_masks_that_differ_are_named(capture: Capture) -> None:
    images = {camera.name: hash_of_pixels(capture.image(index, 2)) for index, camera in enumerate(capture.cameras)}
    masks = {MASK + "cam01": hash_of_pixels(np.ones((48, 64), bool))}
    assert different_images({**images, **masks}, capture, 2) == []
    assert different_images(images, capture, 3) == list(images)
    assert different_images({MASK + "cam01": "0", MASK + "cam02": "0", "cam02": images["cam02"], "gone": "0"}, capture, 2) == [
        MASK + "cam01",
        MASK + "cam02",
        "gone",
    ]
    assert different_images(images, capture, 6) == list(images)  # beyond the capture


def test_the_hash_of_pixels_depends_on_their_shape() -> None:
    assert hash_of_pixels(np.zeros((2, 3, 3), np.uint8)) != hash_of_pixels(np.zeros((3, 2, 3), np.uint8))


def test_the_short_hash_depends_on_cameras_and_images_and_not_on_names_of_folders(capture: Capture) -> None:
    class Brighter(Frames):
        def read(self, camera: int, frame: int) -> np.ndarray:
            return super().read(camera, frame) + np.uint8(camera == 3)

    own = short_hash(capture)
    assert len(own) == 8
    assert short_hash(replace(capture, name="b", root=Path("b"))) == own
    assert short_hash(replace(capture, source=Brighter())) != own
    assert short_hash(with_camera(capture, 0, moved(capture.cameras[0], by=0.1))) != own


@pytest.mark.parametrize("described", [None, "x", [], {}, {"cameras": 3}, {"cameras": ["cam00", "cam01", "cam02", "cam03"], "sizes": [1]}])
def test_a_strange_description_raises_nothing(capture: Capture, described: Any) -> None:
    assert not is_verifiable(described)
    difference(described, capture)
