"""Captures in any units and at any distance from the origin: near planes and the origin are chosen by the rig."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from trackersplat.captures.camera import DEFAULT_NEAR, Camera
from trackersplat.captures.capture import Capture
from trackersplat.captures.pose_readings import far_off
from trackersplat.geometry.projection import centers, common_focus

NEAR = 0.0035  # near plane over the cameras' distance from what they look at: 1 cm for people filmed from 3 m
FAR_FROM_ZERO = 1000.0  # sizes of the rig between origin and cameras, beyond which float32 is too coarse: its step is 1e-4 of the rig
_LEAST = 1e-30  # scene units: a rig without any size


def with_units_of_the_rig(capture: Capture) -> Capture:
    """Near planes that no layout has set become relative to the rig. A rig far from the origin is moved there, with a warning.

    ``Capture.origin`` is then the new origin, in the coordinates of the files. Points become float32 afterwards.
    """
    cameras, size = capture.cameras, rig_size(capture.cameras)
    warnings, origin, points = list(capture.warnings), capture.origin, capture.points
    middle = centers(_near(cameras)).mean(axis=0)
    if float(np.linalg.norm(middle)) > FAR_FROM_ZERO * size:
        origin = np.round(middle)
        cameras = tuple(_moved(camera, origin) for camera in cameras)
        if points is not None:
            points = replace(points, xyz=points.xyz - origin)
        place, times = ", ".join(f"{value:.12g}" for value in origin), float(np.linalg.norm(middle)) / size
        warnings.append(
            f"The cameras stand {times:,.0f} times the rig's size away from zero, too far for single precision: coordinates in the result "
            f"are relative to ({place})."
        )
    if points is not None:
        points = replace(points, xyz=points.xyz.astype(np.float32))
    cameras = tuple(replace(camera, near=NEAR * size) if camera.near == DEFAULT_NEAR else camera for camera in cameras)
    return replace(capture, cameras=cameras, points=points, origin=origin, warnings=tuple(warnings))


def rig_size(cameras: tuple[Camera, ...]) -> float:
    """Median distance of the cameras from the place at which all look; if none lies in front of them, the diagonal of their bounding box.

    Cameras that stand far away from all others do not count. 1 for a single camera, or where all stand at one point.
    """
    cameras = _near(cameras)
    places = centers(cameras)
    spread = float(np.linalg.norm(places.max(axis=0) - places.min(axis=0)))
    focus = common_focus(cameras) if len(cameras) > 1 else None
    if focus is not None:
        ahead = np.array([(focus - camera.center) @ camera.rotation[2] for camera in cameras])
        if np.median(ahead) > 0 and np.isfinite(ahead).all():
            return max(float(np.median(ahead)), _LEAST)
    return spread if spread > _LEAST else 1.0


def _near(cameras: tuple[Camera, ...]) -> tuple[Camera, ...]:
    far, _ = far_off(cameras)
    return tuple(camera for camera in cameras if camera.name not in far)


def _moved(camera: Camera, origin: np.ndarray) -> Camera:
    pose = np.array(camera.world_to_camera)
    pose[:3, 3] += pose[:3, :3] @ origin
    return replace(camera, world_to_camera=pose)
