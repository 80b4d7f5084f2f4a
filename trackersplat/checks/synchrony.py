"""Cameras that film earlier or later than the others, found from motion.

The planes through the line between two cameras (the epipolar planes) show as lines in both images. What moves in a plane is seen moving
on its line in both images at the same time. These "motion barcodes" (Kasten, Ben-Artzi and Peleg 2016) need no matches of points, so they
work between views that have little in common. The shift in time with the highest correlation is the offset.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.checks.findings import Finding, name_some
from trackersplat.checks.settings import DEFAULTS, SynchronySettings
from trackersplat.words import counted


@dataclass(frozen=True)
class Offset:
    """How far a camera is behind the others (negative: ahead), and how certain that is.

    A camera that is 3 frames behind shows in its frame 13 what the others show in frame 10.
    """

    frames: float
    whole: int
    correlation: float  # mean, with its partners at ``whole``
    correlation_at_zero: float  # the same without an offset
    partners: int


def measure_offsets(
    cameras: Sequence[Camera],
    frames: Sequence[int],
    motion: Sequence[np.ndarray],
    usable: np.ndarray,
    settings: SynchronySettings = DEFAULTS.synchrony,
) -> list[Offset | None]:
    """How far each camera is behind the majority; None where nothing moves or no other camera sees the same place.

    ``motion[camera]`` (T, h, w) uint8 and ``usable`` (C, T) bool are at ``frames`` (T,), ascending indices from 0.
    """
    count = len(cameras)
    longest = max((b - a for a, b in _stretches(frames)), default=0)
    reach = min(settings.reach, int(settings.reach_share * (longest + 1)))
    if reach < 1 or len(frames) < settings.min_frames:
        return [None] * count
    series = [_Series(camera, _motion(images, use, settings), use) for camera, images, use in zip(cameras, motion, usable, strict=True)]
    curves: dict[tuple[int, int], np.ndarray] = {}
    for a, b in _pairs(cameras, [bool(one.motion.any()) for one in series], settings.partners):
        curve = _correlations(series[a], series[b], frames, reach, settings)
        if curve is not None:
            curves[a, b], curves[b, a] = curve, curve[::-1]
    return _solve(count, curves, reach, settings)


def _solve(
    count: int, curves: dict[tuple[int, int], np.ndarray], reach: int, settings: SynchronySettings = DEFAULTS.synchrony
) -> list[Offset | None]:
    """Removes the camera that agrees least until the others agree without offsets; then measures all cameras against those."""
    off: set[int] = set()
    while True:
        offsets = [
            _offset(camera, [c for c in range(count) if c not in off and c != camera], curves, reach, settings) for camera in range(count)
        ]
        wrong = {c: o for c, o in enumerate(offsets) if o is not None and c not in off and is_off(o, settings)}
        if not wrong or len(off) >= count // 2:
            if len(off) == count - 1:  # the others are compared with the one camera that is left
                offsets[next(c for c in range(count) if c not in off)] = Offset(0.0, 0, 1.0, 1.0, 0)
            return offsets
        off.add(max(wrong, key=lambda c: wrong[c].correlation - wrong[c].correlation_at_zero))


def is_off(offset: Offset, settings: SynchronySettings = DEFAULTS.synchrony) -> bool:
    """Whether the camera is not in step; with few partners this takes an offset of more than one frame."""
    many = offset.partners >= settings.many_partners
    gained = offset.correlation - offset.correlation_at_zero >= (settings.likely_gain if many else settings.certain_gain)
    shifted = abs(offset.frames) >= (settings.min_offset_many if many else settings.min_offset)
    return shifted and offset.correlation >= settings.min_correlation and gained


def check_synchrony(
    names: Sequence[str],
    offsets: Sequence[Offset | None],
    fps: float,
    explained: Collection[str | None] = (),
    settings: SynchronySettings = DEFAULTS.synchrony,
) -> list[Finding]:
    """Findings about cameras that are out of step, or that could not be checked.

    The latter are left out for the cameras in ``explained`` (None: all of them), which have another problem already.
    """
    findings: list[Finding] = []
    for name, offset in zip(names, offsets, strict=True):
        if offset is None or not is_off(offset, settings):
            continue
        count = max(1, round(abs(offset.frames)))
        side = "behind" if offset.frames > 0 else "ahead of"
        example = (10, 10 + count) if offset.frames > 0 else (10 + count, 10)
        certain = offset.correlation - offset.correlation_at_zero >= settings.certain_gain
        by = counted(count, "frame")
        milliseconds = 1000 * abs(offset.frames) / fps
        cut = "its video" if offset.frames > 0 else "every other video"
        findings.append(
            Finding(
                "synchrony", "problem" if certain else "warning", name,
                f"{name} is {'' if certain else 'probably '}{by} ({milliseconds:.0f} ms) {side} the other cameras: "
                f"what they show in frame {example[0]} it shows in frame {example[1]}.",
                f"Cut the first {by} of {cut} and make all equally long, or leave the camera out.",
                (),
                {
                    "frames": offset.frames,
                    "correlation": offset.correlation,
                    "correlation_at_zero": offset.correlation_at_zero,
                    "partners": float(offset.partners),
                },
            )
        )  # fmt: skip
    unknown = [name for name, offset in zip(names, offsets, strict=True) if offset is None and name not in explained]
    if unknown and len(names) > 1 and None not in explained:
        who = "The cameras" if len(unknown) == len(names) else name_some(unknown)
        findings.append(
            Finding(
                "synchrony", "note", unknown[0] if len(unknown) == 1 else None,
                f"{who} could not be checked for synchronisation: too little moves, or too few frames in a row were checked.",
                "Check more frames with --frames, or frames in which all cameras see something move.",
                (), {"cameras": float(len(unknown))},
            )
        )  # fmt: skip
    return findings


@dataclass(frozen=True)
class _Series:
    """The motion that one camera sees."""

    camera: Camera
    motion: np.ndarray  # (T, h, w) float16
    usable: np.ndarray  # (T,) bool


def _motion(images: np.ndarray, usable: np.ndarray, settings: SynchronySettings) -> np.ndarray:
    """(T, h, w) float16: change above the noise, up to a limit."""
    seen = images[usable]
    noise = (float(np.median(seen)) if len(seen) else 0.0) + settings.noise
    moving = np.zeros(images.shape, np.float16)  # small: that of all cameras is in memory at once
    for position in np.flatnonzero(usable):
        moving[position] = np.clip(images[position] - noise, 0.0, settings.max_change)
    return moving


def _pairs(cameras: Sequence[Camera], moves: Sequence[bool], partners: int) -> list[tuple[int, int]]:
    """Each camera with those that look in the most similar direction, among those that see motion."""
    pairs = set()
    able = [c for c in range(len(cameras)) if moves[c]]
    for a in able:
        others = [b for b in able if b != a]
        others.sort(key=lambda b: -float(cameras[a].rotation[2] @ cameras[b].rotation[2]))
        pairs |= {(min(a, b), max(a, b)) for b in others[:partners]}
    return sorted(pairs)


def _correlations(first: _Series, second: _Series, frames: Sequence[int], reach: int, settings: SynchronySettings) -> np.ndarray | None:
    """(2 reach + 1,) of the barcodes if the second is -reach .. reach frames behind the first; None if they have nothing in common."""
    a, b = first.camera, second.camera
    baseline = b.center - a.center
    length = float(np.linalg.norm(baseline))
    if length == 0:
        return None
    along = baseline / length
    ahead = a.rotation[2] + b.rotation[2]
    ahead = ahead - along * (ahead @ along)
    if np.linalg.norm(ahead) < 1e-3:
        return None  # they look at each other along one line: no plane is ahead
    ahead /= np.linalg.norm(ahead)
    aside = np.cross(along, ahead)
    plane_a, plane_b = (_planes(one.camera, one.motion, ahead, aside) for one in (first, second))
    low = max(np.percentile(plane_a, 1), np.percentile(plane_b, 1))
    high = min(np.percentile(plane_a, 99), np.percentile(plane_b, 99))
    if high - low < settings.min_common_angle:
        return None
    code_a, code_b = (_barcode(one.motion, p, low, high, settings.planes) for one, p in ((first, plane_a), (second, plane_b)))
    at = {frame: position for position, frame in enumerate(frames)}
    result = np.zeros(2 * reach + 1)
    for index, shift in enumerate(range(-reach, reach + 1)):
        # What a shows in a frame, b shows ``shift`` frames later if it is behind.
        both = [(i, at[f + shift]) for i, f in enumerate(frames) if f + shift in at and first.usable[i] and second.usable[at[f + shift]]]
        if len(both) < settings.min_frames // 2:
            return None
        x, y = code_a[[i for i, _ in both]], code_b[[j for _, j in both]]
        x, y = x - x.mean(axis=0), y - y.mean(axis=0)  # what moves all the time tells nothing about time
        energy = float((x * x).sum() * (y * y).sum())
        if energy <= 0:
            return None
        result[index] = float((x * y).sum()) / energy**0.5
    return result


def _planes(camera: Camera, motion: np.ndarray, ahead: np.ndarray, aside: np.ndarray) -> np.ndarray:
    """(h, w) radians: the angle about the baseline of the plane that each pixel of the thumbnail lies in."""
    height, width = motion.shape[1:]
    y, x = np.mgrid[0:height, 0:width] + 0.5
    pixels = np.stack([x * camera.width / width, y * camera.height / height, np.ones_like(x)], axis=-1)
    rays = pixels @ np.linalg.inv(camera.K).T @ camera.rotation
    return np.arctan2(rays @ aside, rays @ ahead)


def _barcode(motion: np.ndarray, planes: np.ndarray, low: float, high: float, count: int) -> np.ndarray:
    """(T, count) square root of the motion in each plane."""
    line = np.floor((planes - low) / (high - low) * count).astype(np.int64)
    inside = (line >= 0) & (line < count)
    kept = line[inside]
    return np.sqrt(np.stack([np.bincount(kept, weights=image[inside], minlength=count) for image in motion]))


def _offset(
    camera: int, partners: Sequence[int], curves: dict[tuple[int, int], np.ndarray], reach: int, settings: SynchronySettings
) -> Offset | None:
    known = [curves[partner, camera] for partner in partners if (partner, camera) in curves]
    if not known:
        return None
    mean = np.mean(known, axis=0)
    best = int(mean.argmax())
    whole = best - reach
    exact = float(whole)
    if 0 < best < len(mean) - 1:
        left, middle, right = mean[best - 1 : best + 2]
        bend = left - 2 * middle + right
        exact += 0.5 * float(left - right) / float(bend) if bend < 0 else 0.0
    if mean[best] < settings.min_correlation:
        return None
    return Offset(exact, whole, float(mean[best]), float(mean[reach]), len(known))


def _stretches(frames: Sequence[int]) -> list[tuple[int, int]]:
    """(first, last) of each run of frames without a gap."""
    runs: list[tuple[int, int]] = []
    for frame in frames:
        if runs and frame == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], frame)
        else:
            runs.append((frame, frame))
    return runs
