"""Cameras that show the same points brighter, darker or in another tint than the other cameras do."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from trackersplat.checks.findings import Finding
from trackersplat.checks.settings import DEFAULTS, ColourSettings

CHANNELS = ("red", "green", "blue")


def patch_colours(image: np.ndarray, uv: np.ndarray, size: np.ndarray) -> np.ndarray:
    """(N, 3) mean RGB levels of the squares of side ``size`` (N,) pixels around ``uv`` (N, 2), inside the (H, W, 3) image."""
    height, width = image.shape[:2]
    sums = cv2.integral(image)  # int32: it may overflow, but differences of its entries stay right
    half = np.maximum(size, 3.0)[:, None] / 2
    low = np.clip(np.round(uv - half), 0, (width - 1, height - 1)).astype(np.int64)
    high = np.clip(np.round(uv + half), low + 1, (width, height)).astype(np.int64)
    (x0, y0), (x1, y1) = low.T, high.T
    total = sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]
    return total / ((x1 - x0) * (y1 - y0))[:, None]


def measure_gains(colours: np.ndarray, settings: ColourSettings = DEFAULTS.colours) -> list[tuple[float, float, float] | None]:
    """Per camera the gain of red, green and blue over the other cameras, with median 1; None with too few points.

    ``colours`` (P, C, 3) are levels from 0 to 255, NaN where a camera does not see the point. Tukey's median polish of their logarithms
    separates points from cameras: medians, so that wrong matches and highlights do not count.
    """
    usable = np.all((colours > settings.darkest) & (colours < settings.brightest), axis=2)
    before = -1
    while usable.sum() != before:  # without a camera that is left out, others may share too few points
        before = usable.sum()
        usable &= usable.sum(axis=0) >= settings.min_points
        usable &= usable.sum(axis=1, keepdims=True) >= 2
    known = usable.any(axis=0)
    if not known.any():
        return [None] * len(known)
    points_seen = usable.any(axis=1)
    levels = np.log(np.where(usable[..., None], colours, np.nan)[points_seen][:, known])
    gains = np.zeros((int(known.sum()), 3))
    for _ in range(settings.rounds):
        points = np.nanmedian(levels - gains, axis=1, keepdims=True)
        gains = np.nanmedian(levels - points, axis=0)
        gains -= np.median(gains, axis=0)
    result: list[tuple[float, float, float] | None] = [None] * len(known)
    for camera, gain in zip(np.flatnonzero(known), np.exp(gains), strict=True):
        result[camera] = (float(gain[0]), float(gain[1]), float(gain[2]))
    return result


def check_colours(
    names: Sequence[str], gains: Sequence[tuple[float, float, float] | None], settings: ColourSettings = DEFAULTS.colours
) -> list[Finding]:
    """Findings about cameras that differ; one about the whole capture if half of them do."""
    differ = {name: gain for name, gain in zip(names, gains, strict=True) if gain is not None and _differs(gain, settings)}
    measured = sum(gain is not None for gain in gains)
    advice = "A reconstruction that fits the colours of each camera allows for it; parts that are white or black in one camera stay lost."
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
        Finding("colours", "warning", name, f"{name} {_describe(gain, settings)}.", advice, (), dict(zip(CHANNELS, gain, strict=True)))
        for name, gain in differ.items()
    ]


def _differs(gain: tuple[float, float, float], settings: ColourSettings) -> bool:
    return _differs_in_brightness(gain, settings) or _differs_in_tint(gain, settings)


def _differs_in_brightness(gain: tuple[float, float, float], settings: ColourSettings) -> bool:
    return bool(abs(np.log(_brightness(gain))) > np.log1p(settings.max_brightness_difference))


def _differs_in_tint(gain: tuple[float, float, float], settings: ColourSettings) -> bool:
    return bool(abs(np.log(_tint(gain)[1])) > np.log1p(settings.max_tint_difference))


def _brightness(gain: tuple[float, float, float]) -> float:
    return float(np.exp(np.mean(np.log(gain))))


def _tint(gain: tuple[float, float, float]) -> tuple[str, float]:
    """The colour that differs most, and its gain over the mean of all three."""
    over = np.array(gain) / _brightness(gain)
    channel = int(np.abs(np.log(over)).argmax())
    return CHANNELS[channel], float(over[channel])


def _describe(gain: tuple[float, float, float], settings: ColourSettings) -> str:
    brightness, (channel, tint) = _brightness(gain), _tint(gain)
    parts = []
    if _differs_in_brightness(gain, settings):
        parts.append(f"shows the same points {brightness:.2f} times as bright as the other cameras")
    if _differs_in_tint(gain, settings):
        parts.append(f"has {abs(tint - 1):.0%} {'more' if tint > 1 else 'less'} {channel} than the other cameras")
    return " and ".join(parts)
