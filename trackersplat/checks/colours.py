"""Cameras whose colours differ: the same points, seen brighter or of another tint than the other cameras see them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from trackersplat.checks.findings import Finding

DARKEST, BRIGHTEST = 8.0, 245.0  # levels between which a colour is neither noise nor clipped
FEWEST = 12  # points that a camera shares with others
DIFFERENT = 0.2  # brightness that is so much more or less than the others', as a share
TINTED = 0.15  # the same of one colour against the other two
ROUNDS = 40

CHANNELS = ("red", "green", "blue")


def patch_colours(image: np.ndarray, uv: np.ndarray, size: np.ndarray) -> np.ndarray:
    """(N, 3) mean RGB levels of the squares of side ``size`` (N,) pixels around ``uv`` (N, 2), inside the (H, W, 3) image."""
    height, width = image.shape[:2]
    sums = cv2.integral(image)  # int32 that may run over; differences of its entries do not
    half = np.maximum(size, 3.0)[:, None] / 2
    low = np.clip(np.round(uv - half), 0, (width - 1, height - 1)).astype(np.int64)
    high = np.clip(np.round(uv + half), low + 1, (width, height)).astype(np.int64)
    (x0, y0), (x1, y1) = low.T, high.T
    total = sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]
    return total / ((x1 - x0) * (y1 - y0))[:, None]


def measure_gains(colours: np.ndarray) -> list[tuple[float, float, float] | None]:
    """Per camera the gain of red, green and blue over the others; None with too few points. Their median is 1.

    ``colours`` (P, C, 3) levels 0 to 255, NaN where a camera does not see the point. Alternates the medians over the cameras of a
    point and over the points of a camera (Tukey's median polish, of logarithms), so neither wrong matches nor highlights count.
    """
    usable = np.all((colours > DARKEST) & (colours < BRIGHTEST), axis=2)
    before = -1
    while usable.sum() != before:  # a camera that is left out takes its share of points away from others
        before = usable.sum()
        usable &= usable.sum(axis=0) >= FEWEST
        usable &= usable.sum(axis=1, keepdims=True) >= 2
    known = usable.any(axis=0)
    if not known.any():
        return [None] * len(known)
    points_seen = usable.any(axis=1)
    levels = np.log(np.where(usable[..., None], colours, np.nan)[points_seen][:, known])
    gains = np.zeros((int(known.sum()), 3))
    for _ in range(ROUNDS):
        points = np.nanmedian(levels - gains, axis=1, keepdims=True)
        gains = np.nanmedian(levels - points, axis=0)
        gains -= np.median(gains, axis=0)
    result: list[tuple[float, float, float] | None] = [None] * len(known)
    for camera, gain in zip(np.flatnonzero(known), np.exp(gains), strict=True):
        result[camera] = (float(gain[0]), float(gain[1]), float(gain[2]))
    return result


def check_colours(names: Sequence[str], gains: Sequence[tuple[float, float, float] | None]) -> list[Finding]:
    """Findings about cameras that stand out; one about the capture if half of them do."""
    differ = {name: gain for name, gain in zip(names, gains, strict=True) if gain is not None and _differs(gain)}
    measured = sum(gain is not None for gain in gains)
    advice = "A reconstruction with colours matched per camera allows for it; parts that are white or black in one camera stay lost."
    if differ and 2 * len(differ) >= measured:
        brightness = {name: _brightness(gain) for name, gain in zip(names, gains, strict=True) if gain is not None}
        low, high = min(brightness, key=lambda n: brightness[n]), max(brightness, key=lambda n: brightness[n])
        ratio = brightness[high] / brightness[low]
        return [
            Finding(
                "colours", "warning", None,
                f"The cameras differ in colour and exposure: {high} shows the same points {ratio:.2f} times as bright as {low}.",
                advice, (), {"ratio": ratio},
            )
        ]  # fmt: skip
    return [
        Finding("colours", "warning", name, f"{name} {_describe(gain)}.", advice, (), dict(zip(CHANNELS, gain, strict=True)))
        for name, gain in differ.items()
    ]


def _differs(gain: tuple[float, float, float]) -> bool:
    return abs(np.log(_brightness(gain))) > np.log1p(DIFFERENT) or abs(np.log(_tint(gain)[1])) > np.log1p(TINTED)


def _brightness(gain: tuple[float, float, float]) -> float:
    return float(np.exp(np.mean(np.log(gain))))


def _tint(gain: tuple[float, float, float]) -> tuple[str, float]:
    """The colour that stands out most, and its gain over the mean of all three."""
    over = np.array(gain) / _brightness(gain)
    channel = int(np.abs(np.log(over)).argmax())
    return CHANNELS[channel], float(over[channel])


def _describe(gain: tuple[float, float, float]) -> str:
    brightness, (channel, tint) = _brightness(gain), _tint(gain)
    parts = []
    if abs(np.log(brightness)) > np.log1p(DIFFERENT):
        parts.append(f"shows the same points {brightness:.2f} times as bright as the other cameras")
    if abs(np.log(tint)) > np.log1p(TINTED):
        parts.append(f"has {abs(tint - 1):.0%} {'more' if tint > 1 else 'less'} {channel} than the other cameras")
    return " and ".join(parts)
