"""A camera far away from all others leaves no surface on which views agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from quad_scene import quad_capture

from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.training.points import find
from trackersplat.training.points.settings import PointSettings


def _moved(capture: Capture, names: tuple[str, ...]) -> Capture:
    cameras = []
    for camera in capture.cameras:
        pose = np.array(camera.world_to_camera)
        pose[:3, 3] += 3000.0 * (camera.name in names)
        cameras.append(replace(camera, world_to_camera=pose))
    return replace(capture, cameras=tuple(cameras))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_it_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(find, "suited", lambda task: [])  # as where no strategy finds a surface
    capture = quad_capture()
    names = tuple(camera.name for camera in capture.cameras[:count])
    with pytest.raises(InputError) as error:
        find.first_points(_moved(capture, names), range(len(capture.cameras)), 0, PointSettings())
    listed = ", ".join(f'"{name}"' for name in names)
    stand, them = ("stands", "it") if count == 1 else ("stand", "them")
    begin = (
        f'{", ".join(names)} {stand} far away from the other cameras: leave {them} out by {{"exclude": [{listed}]}} in capture.json, or '
    )
    advice = f"{begin if count else ''}check the calibration, or give the capture points."
    assert str(error.value) == f"{capture.name}, frame 1: no two views agree on any surface; {advice}"
