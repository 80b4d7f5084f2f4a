"""Cameras that film earlier or later than the others, told from where and when things move.

Both cameras of a pair cut the scene into the same planes, those through the line between them (the epipolar planes). Whatever moves in
a plane is seen to move on the plane's line in both images, at the same time: these "motion barcodes" (Kasten, Ben-Artzi and Peleg 2016)
need no matching of points, so they work between views that have little in common. The shift in time at which they
agree best is the offset.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.checks.findings import Finding, name_some

REACH = 25  # largest offset that is looked for, frames, and
REACH_SHARE = 0.4  # the same, of the frames in a row: at least so many less must be left to compare
LINES = 96  # planes per pair of cameras
PARTNERS = 8  # cameras that each is compared with
NOISE = 1.5  # grey levels above the usual change of a pixel that count as motion
BRIGHTEST = 20.0  # grey levels: more change is not more motion
NARROW = 0.05  # radians of common planes below which a pair says nothing
LIKE = 0.25  # correlation that must be reached for an offset to be believed
GAIN = 0.04  # of the correlation over that without an offset: certain
HINT = 0.02  # the same, if MANY partners agree: likely
MANY = 5
FEWEST = 8  # frames


@dataclass(frozen=True)
class Offset:
    """How far a camera is behind the others (negative: ahead), and how sure that is.

    A camera that is 3 frames behind shows in its frame 13 what the others show in frame 10.
    """

    frames: float
    whole: int
    likeness: float  # mean correlation with its partners at ``whole``
    without: float  # the same at 0
    partners: int


def measure_offsets(
    cameras: Sequence[Camera], frames: Sequence[int], motion: Sequence[np.ndarray], usable: np.ndarray
) -> list[Offset | None]:
    """How far each camera is behind the majority; None where nothing moves or nobody looks at the same place.

    ``motion[camera]`` (T, h, w) uint8 and ``usable`` (C, T) bool are at ``frames`` (T,), ascending indices from 0.
    """
    count = len(cameras)
    longest = max((b - a for a, b in _stretches(frames)), default=0)
    reach = min(REACH, int(REACH_SHARE * (longest + 1)))
    if reach < 1 or len(frames) < FEWEST:
        return [None] * count
    moving = [_motion(images, use) for images, use in zip(motion, usable, strict=True)]
    curves: dict[tuple[int, int], np.ndarray] = {}
    for a, b in _pairs(cameras, [bool(m.any()) for m in moving]):
        curve = _likeness(cameras[a], cameras[b], moving[a], moving[b], usable[a], usable[b], frames, reach)
        if curve is not None:
            curves[a, b], curves[b, a] = curve, curve[::-1]
    return _solve(count, curves, reach)


def _solve(count: int, curves: dict[tuple[int, int], np.ndarray], reach: int) -> list[Offset | None]:
    """Takes the camera that agrees least out of the way, until the rest agree as they are; then all are measured against those."""
    off: set[int] = set()
    while True:
        offsets = [_offset(camera, [c for c in range(count) if c not in off and c != camera], curves, reach) for camera in range(count)]
        wrong = {c: o for c, o in enumerate(offsets) if o is not None and c not in off and is_off(o)}
        if not wrong or len(off) >= count // 2:
            if len(off) == count - 1:  # the one camera that is left is what the others are compared with
                offsets[next(c for c in range(count) if c not in off)] = Offset(0.0, 0, 1.0, 1.0, 0)
            return offsets
        off.add(max(wrong, key=lambda c: wrong[c].likeness - wrong[c].without))


def is_off(offset: Offset) -> bool:
    """Whether the camera is not in step, as far as can be told: with few partners only if it is by more than one frame."""
    many = offset.partners >= MANY
    gained = offset.likeness - offset.without >= (HINT if many else GAIN)
    return abs(offset.frames) >= (0.75 if many else 1.5) and offset.likeness >= LIKE and gained


def check_synchrony(
    names: Sequence[str], offsets: Sequence[Offset | None], fps: float, explained: Collection[str | None] = ()
) -> list[Finding]:
    """Findings about cameras that are out of step, or could not be checked unless a problem is ``explained`` already."""
    findings: list[Finding] = []
    for name, offset in zip(names, offsets, strict=True):
        if offset is None or not is_off(offset):
            continue
        count = max(1, round(abs(offset.frames)))
        side = "behind" if offset.frames > 0 else "ahead of"
        example = (10, 10 + count) if offset.frames > 0 else (10 + count, 10)
        sure = offset.likeness - offset.without >= GAIN
        by = f"{count} frame{'s' * (count > 1)}"
        milliseconds = 1000 * abs(offset.frames) / fps
        cut = "its video" if offset.frames > 0 else "every other video"
        findings.append(
            Finding(
                "synchrony", "problem" if sure else "warning", name,
                f"{name} is {'' if sure else 'probably '}{by} ({milliseconds:.0f} ms) {side} the other cameras: "
                f"what they show in frame {example[0]} it shows in frame {example[1]}.",
                f"Cut the first {by} of {cut} and make all equally long, or leave the camera out.",
                (),
                {"frames": offset.frames, "likeness": offset.likeness, "without": offset.without, "partners": float(offset.partners)},
            )
        )  # fmt: skip
    unknown = [name for name, offset in zip(names, offsets, strict=True) if offset is None and name not in explained]
    if unknown and len(names) > 1 and None not in explained:
        who = "The cameras" if len(unknown) == len(names) else name_some(unknown)
        findings.append(
            Finding(
                "synchrony", "note", unknown[0] if len(unknown) == 1 else None,
                f"{who} could not be checked for synchronisation: too little moves, or too few frames in a row were looked at.",
                "Check more frames with --frames, in which something moves in view of all cameras.",
                (), {"cameras": float(len(unknown))},
            )
        )  # fmt: skip
    return findings


def _motion(images: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """(T, h, w) float16: change above the noise, up to a limit."""
    seen = images[usable]
    noise = (float(np.median(seen)) if len(seen) else 0.0) + NOISE
    moving = np.zeros(images.shape, np.float16)  # of all cameras at once, so no larger than need be
    for position in np.flatnonzero(usable):
        moving[position] = np.clip(images[position] - noise, 0.0, BRIGHTEST)
    return moving


def _pairs(cameras: Sequence[Camera], moves: Sequence[bool]) -> list[tuple[int, int]]:
    """Each camera with those that look in the most similar direction, among those that see motion."""
    pairs = set()
    able = [c for c in range(len(cameras)) if moves[c]]
    for a in able:
        others = [b for b in able if b != a]
        others.sort(key=lambda b: -float(cameras[a].rotation[2] @ cameras[b].rotation[2]))
        pairs |= {(min(a, b), max(a, b)) for b in others[:PARTNERS]}
    return sorted(pairs)


def _likeness(
    a: Camera,
    b: Camera,
    motion_a: np.ndarray,
    motion_b: np.ndarray,
    use_a: np.ndarray,
    use_b: np.ndarray,
    frames: Sequence[int],
    reach: int,
) -> np.ndarray | None:
    """(2 reach + 1,) correlation of the barcodes if b is -reach .. reach frames behind a; None if they have nothing in common."""
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
    plane_a, plane_b = _planes(a, motion_a, ahead, aside), _planes(b, motion_b, ahead, aside)
    low = max(np.percentile(plane_a, 1), np.percentile(plane_b, 1))
    high = min(np.percentile(plane_a, 99), np.percentile(plane_b, 99))
    if high - low < NARROW:
        return None
    code_a, code_b = (_barcode(m, p, low, high) for m, p in ((motion_a, plane_a), (motion_b, plane_b)))
    at = {frame: position for position, frame in enumerate(frames)}
    result = np.zeros(2 * reach + 1)
    for index, shift in enumerate(range(-reach, reach + 1)):
        # What a shows in a frame, b shows ``shift`` frames later if it is behind.
        both = [(i, at[f + shift]) for i, f in enumerate(frames) if f + shift in at and use_a[i] and use_b[at[f + shift]]]
        if len(both) < FEWEST // 2:
            return None
        x, y = code_a[[i for i, _ in both]], code_b[[j for _, j in both]]
        x, y = x - x.mean(axis=0), y - y.mean(axis=0)  # what always moves says nothing about time
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


def _barcode(motion: np.ndarray, planes: np.ndarray, low: float, high: float) -> np.ndarray:
    """(T, LINES) square root of the motion in each plane."""
    line = np.floor((planes - low) / (high - low) * LINES).astype(np.int64)
    inside = (line >= 0) & (line < LINES)
    kept = line[inside]
    return np.sqrt(np.stack([np.bincount(kept, weights=image[inside], minlength=LINES) for image in motion]))


def _offset(camera: int, partners: Sequence[int], curves: dict[tuple[int, int], np.ndarray], reach: int) -> Offset | None:
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
    if mean[best] < LIKE:
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
