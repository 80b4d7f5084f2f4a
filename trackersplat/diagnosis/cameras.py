"""Cameras that contradict the scene: turned, out of step, out of focus, or simply biased.

How far renderings are displaced from photographs tells them apart. A turned camera sees everything displaced as by a rotation, in all
frames. A camera that is out of step sees what moves displaced along its motion, by so many frames of it; where that cannot be measured, its
photographs agree with renderings of other frames (`in_step`). Focus shows in single images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.checks.sharpness import blur, check_sharpness
from trackersplat.diagnosis.diagnosis import CameraFinding
from trackersplat.diagnosis.in_step import StepWatch
from trackersplat.diagnosis.settings import CameraSettings
from trackersplat.diagnosis.tracked import TrackTable
from trackersplat.diagnosis.walk import Displaced, Visited


@dataclass(frozen=True)
class _Fit:
    """What explains the displacements of one camera."""

    points: int
    median: float  # px, of the displacements
    turn: float  # degrees
    turn_explains: float  # share of the squared displacement
    frames: float  # behind the others; negative: ahead
    frames_explain: float
    certain: float  # standard deviations that ``frames`` is from 0


class CameraWatch:
    """Collects the displacements of all frames."""

    def __init__(self, table: TrackTable, capture: Capture, settings: CameraSettings) -> None:
        self._names, self._settings, self._capture = table.cameras, settings, capture
        self._indices = [capture.camera_index(name) for name in table.cameras]
        self._seen: list[list[Displaced]] = [[] for _ in table.cameras]
        self._steps = StepWatch(len(table.cameras), settings.step)
        count = len(table.frames)
        self._blur_rows = {round(share * (count - 1)) for share in np.linspace(0, 1, settings.blur_frames)}
        self._blurs: list[list[float]] = [[] for _ in table.cameras]

    def add(self, row: int, visited: Visited) -> None:
        """One frame more, the one in this row of the table."""
        for view, displaced in visited.displaced.items():
            known = np.isfinite(displaced.offset[:, 0])
            self._seen[view].append(Displaced(*(part[known].astype(np.float32) for part in displaced)))
            self._steps.add(view, visited.moment.frame, visited.pictures[view])
            if row in self._blur_rows:
                image = self._capture.image(self._indices[view], visited.moment.frame)
                self._blurs[view].append(blur(image))

    def findings(self) -> tuple[CameraFinding, ...]:
        """In the order of the cameras."""
        fits = [self._fit(view) for view in range(len(self._names))]
        blurs = [float(np.median(values)) if values else None for values in self._blurs]
        unfocused = {finding.camera: finding for finding in check_sharpness(self._names, blurs)}
        findings = []
        for view, name in enumerate(self._names):
            displaced = self._displaced(name, view, fits)
            if displaced is not None:
                findings.append(displaced)
            if name in unfocused:
                found = unfocused[name]
                amount = found.numbers["blur"] - found.numbers["others"]
                findings.append(CameraFinding(name, "out of focus", amount, "", found.what, found.advice))
        return tuple(findings)

    def _fit(self, view: int) -> _Fit | None:
        seen = self._seen[view]
        camera = self._capture.cameras[self._indices[view]]
        if sum(len(part.pixels) for part in seen) < self._settings.least_points:
            return None
        pixels, offset, motion = (np.concatenate(parts) for parts in zip(*seen, strict=True))
        return fit_displacements(camera, Displaced(pixels, offset, motion), self._settings)

    def _shift(self, view: int) -> float | None:
        """Frames by which its photographs agree with renderings of other times, while those of most others agree with their own."""
        found = self._steps.shift(view)
        others = [shift.left for index in range(len(self._names)) if index != view and (shift := self._steps.shift(index)) is not None]
        if found is None or found.left > self._settings.step.left or len(others) < 2 or float(np.median(others)) < 1:
            return None
        return float(found.frames)

    def _displaced(self, name: str, view: int, fits: list[_Fit | None]) -> CameraFinding | None:
        fit, settings = fits[view], self._settings
        others = [other for index, other in enumerate(fits) if index != view and other is not None]
        if fit is None or len(others) < 2:
            return None
        camera = self._capture.cameras[self._indices[view]]
        longest = max(camera.width, camera.height)

        def usual(values: list[float]) -> float:
            return settings.unusual * float(np.median(values))

        if fit.turn >= max(settings.least_turn, usual([other.turn for other in others])) and fit.turn_explains >= settings.explained:
            return CameraFinding(
                name, "turned", fit.turn, "degrees",
                f"{name} is turned by {fit.turn:.1f} degrees against its pose: the whole picture is displaced by {fit.median:.1f} px.",
                "Calibrate it again, or leave it out; `trackersplat check` measures the pose from features.",
            )  # fmt: skip
        shift = self._shift(view)
        if shift is not None:
            return _out_of_step(name, shift)
        shifted = abs(fit.frames) >= max(settings.least_frames, usual([abs(other.frames) for other in others]))
        if shifted and fit.frames_explain >= settings.explained:
            return _out_of_step(name, fit.frames)
        if fit.median >= max(settings.biased * longest, usual([other.median for other in others])):
            return CameraFinding(
                name, "biased", fit.median, "px",
                f"{name} shows the scene {fit.median:.1f} px from where it is rendered, and no turn or shift in time explains it.",
                "Check its calibration, or leave it out.",
            )  # fmt: skip
        return None


def _out_of_step(name: str, frames: float) -> CameraFinding:
    side = "behind" if frames > 0 else "ahead of"
    return CameraFinding(
        name, "out of step", frames, "frames",
        f"{name} is {abs(frames):.1f} frames {side} the other cameras: what moves is displaced along its way.",
        "Cut its video so that all cameras start together, or leave it out.",
    )  # fmt: skip


def fit_displacements(camera: Camera, seen: Displaced, settings: CameraSettings) -> _Fit:
    """The turn of the camera (robust least squares over three angles), and the shift in time, that explain the displacements."""
    offset = seen.offset
    # A rotation by w moves the ray r = (x, y, 1) by w x r; its projection by these rows times w, in pixels.
    x, y = (seen.pixels[:, 0] - camera.cx) / camera.fx, (seen.pixels[:, 1] - camera.cy) / camera.fy
    rows = np.stack(
        (
            np.stack((-x * y, 1 + x * x, -y), axis=1) * camera.fx,
            np.stack((-(1 + y * y), x * y, x), axis=1) * camera.fy,
        ),
        axis=1,
    )  # (M, 2, 3)
    turn, left = _robust(rows, offset)
    motion = seen.motion
    moving = np.isfinite(motion[:, 0]) & (
        np.linalg.norm(np.nan_to_num(motion), axis=1) >= settings.motion * max(camera.width, camera.height)
    )
    frames, explains, certain = 0.0, 0.0, 0.0
    if moving.sum() >= settings.least_points / 2:
        # A camera that is k frames behind shows what moves k steps back on its way.
        slope, rest = _robust(-motion[moving, :, None], offset[moving])
        frames = float(slope[0])
        explains = _explained(offset[moving], rest)
        certain = float(abs(frames) * np.sqrt((motion[moving] ** 2).sum()) / max(float(np.sqrt((rest**2).mean())), 1e-9))
    return _Fit(
        points=len(offset),
        median=float(np.median(np.linalg.norm(offset, axis=1))),
        turn=float(np.degrees(np.linalg.norm(turn))),
        turn_explains=_explained(offset, left),
        frames=frames,
        frames_explain=explains,
        certain=certain,
    )


def _robust(rows: np.ndarray, values: np.ndarray, rounds: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """(K,) that minimises the absolute residuals ``values - rows @ x`` (M, 2), by reweighting, and these residuals."""
    weight: np.ndarray = np.ones(len(values))
    solution = np.zeros(rows.shape[2])
    for _ in range(rounds):
        a = (rows * weight[:, None, None]).reshape(-1, rows.shape[2])
        solution = np.linalg.lstsq(a, (values * weight[:, None]).reshape(-1), rcond=None)[0]
        size = np.linalg.norm(values - rows @ solution, axis=1)
        weight = 1.0 / np.sqrt(np.maximum(size, max(float(np.median(size)), 1e-3)))
    return solution, values - rows @ solution


def _explained(before: np.ndarray, after: np.ndarray) -> float:
    """Share of the displacement, as the median of its length, that is gone."""
    whole = float(np.median((before**2).sum(1)))
    return 1.0 - float(np.median((after**2).sum(1))) / whole if whole > 0 else 0.0
