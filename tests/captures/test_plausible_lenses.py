"""Camera matrices of images of another size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trackersplat.captures.camera import Camera
from trackersplat.captures.plausible_lenses import PREFIX, lens_remarks
from trackersplat.captures.registry import open_capture


def cameras(*matrices: tuple[float, float, float], size: tuple[int, int] = (160, 120)) -> list[Camera]:
    """With focal length and principal point."""
    return [Camera(f"cam{i:02d}", *size, np.array([[f, 0, x], [0, f, y], [0, 0, 1]]), np.eye(4)) for i, (f, x, y) in enumerate(matrices)]


@pytest.mark.parametrize("factor", [8.0, 2.0, 1.5, 0.5])
def test_matrices_of_images_of_another_size_are_said_with_that_size(factor: float) -> None:
    given = cameras(*((factor * f, factor * (80 + s), factor * (60 - s)) for f, s in ((150.0, 0), (160.0, 2), (155.0, -2))))
    (remark,) = lens_remarks(given)
    assert remark.startswith(PREFIX)
    words = remark.split("about ")[1].split(" pixels")[0].split("x")
    assert np.allclose([float(word) for word in words], (factor * 160, factor * 120), rtol=0.05)


def test_matrices_in_parts_of_the_image_are_said() -> None:
    (remark,) = lens_remarks(cameras((0.9, 0.5, 0.5), (0.95, 0.5, 0.5)))
    assert "the focal length of cam00, cam01 is 0.9 pixels in images of 160x120" in remark


def test_of_two_focal_lengths_the_odd_one_is_said() -> None:
    (camera,) = cameras((150, 80, 60))
    (remark,) = lens_remarks([replace(camera, K=np.diag((1.0, 0.005, 1.0)) @ camera.K)])
    assert "the focal length of cam00 is 0.75 pixels" in remark


def test_a_principal_point_outside_the_image_is_said_of_the_camera_that_has_it() -> None:
    (remark,) = lens_remarks(cameras((150, 80, 60), (150, -40, 60), (150, 82, 61)))
    assert "the principal point of cam01 is outside the image, at (-40, 60)" in remark


@pytest.mark.parametrize(
    "given",
    [
        cameras((150, 80, 60)),
        cameras((150, 80, 60), (150, 62, 75), (150, 95, 50)),  # shifted by a tenth
        cameras((150, 120, 60), (150, 118, 62)),  # cut on one side
        cameras((150, 120, 90)),  # one alone may be cut
        cameras((24, 80, 60), (6000, 80, 60)),  # a wide lens and a telescope
        [],
    ],
)
def test_plausible_lenses_are_left_alone(given: list[Camera]) -> None:
    assert lens_remarks(given) == []


@pytest.mark.parametrize("name", ["stage", "stage_fast", "board", "balancing", "rigs/dome_12", "rigs/ring_8"])
def test_nothing_is_said_of_captures_that_are_right(shared_data: Path, name: str) -> None:
    capture = open_capture(shared_data / name)
    capture.close()
    assert [warning for warning in capture.warnings if warning.startswith(PREFIX)] == []
