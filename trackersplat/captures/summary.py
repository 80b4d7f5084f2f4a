"""What a capture holds, as plain values for the command line and the page."""

from __future__ import annotations

from dataclasses import dataclass

from trackersplat.captures.capture import Capture


@dataclass(frozen=True)
class CameraSummary:
    name: str
    width: int  # pixels
    height: int
    fx: float  # pixels
    fy: float
    position: tuple[float, float, float]  # world, scene units
    held_out: bool


@dataclass(frozen=True)
class CaptureSummary:
    """Facts of a capture without its images."""

    name: str
    path: str
    layout: str
    cameras: tuple[CameraSummary, ...]
    frame_count: int
    fps: float
    seconds: float
    sizes: tuple[tuple[int, int], ...]  # distinct (width, height), most frequent first
    held_out: tuple[str, ...]
    point_count: int | None  # None: the capture brings no points
    warnings: tuple[str, ...]


def describe(capture: Capture) -> CaptureSummary:
    """Decodes nothing."""
    cameras = tuple(
        CameraSummary(
            name=camera.name,
            width=camera.width,
            height=camera.height,
            fx=camera.fx,
            fy=camera.fy,
            position=(float(camera.center[0]), float(camera.center[1]), float(camera.center[2])),
            held_out=camera.name in capture.held_out,
        )
        for camera in capture.cameras
    )
    sizes = [(camera.width, camera.height) for camera in cameras]
    return CaptureSummary(
        name=capture.name,
        path=str(capture.root),
        layout=capture.layout,
        cameras=cameras,
        frame_count=capture.frame_count,
        fps=capture.fps,
        seconds=capture.frame_count / capture.fps,
        sizes=tuple(sorted(set(sizes), key=lambda size: (-sizes.count(size), size))),
        held_out=capture.held_out,
        point_count=None if capture.points is None else len(capture.points.xyz),
        warnings=capture.warnings,
    )
