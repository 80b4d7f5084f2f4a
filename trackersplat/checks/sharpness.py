"""Cameras out of focus. Blurring a sharp image takes more from it than blurring a blurred one, whatever the image shows."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from trackersplat.checks.findings import Finding
from trackersplat.checks.settings import DEFAULTS, SharpnessSettings


def blur(image: np.ndarray, settings: SharpnessSettings = DEFAULTS.sharpness) -> float:
    """0 (sharp) to 1 (blurred) of an (H, W, 3) RGB image (Crete et al. 2007, "The blur effect")."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    scores = []
    for axis, window in ((1, (settings.window, 1)), (0, (1, settings.window))):
        change = np.abs(np.diff(grey, axis=axis))
        left = np.abs(np.diff(cv2.blur(grey, window), axis=axis))
        total = float(change.sum())
        scores.append(1.0 - float(np.maximum(change - left, 0).sum()) / total if total > 0 else 1.0)
    return max(scores)


def check_sharpness(names: Sequence[str], blurs: Sequence[float | None], settings: SharpnessSettings = DEFAULTS.sharpness) -> list[Finding]:
    """Findings about cameras that are much more blurred than the others; three or more are needed to tell."""
    findings: list[Finding] = []
    for camera, (name, value) in enumerate(zip(names, blurs, strict=True)):
        others = [other for index, other in enumerate(blurs) if index != camera and other is not None]
        if value is None or len(others) < 2:
            continue
        usual = float(np.median(others))
        if value - usual > settings.max_excess:
            findings.append(
                Finding(
                    "sharpness", "warning", name,
                    f"{name} is blurred: {value:.2f} on a scale from 0 (sharp) to 1, where the others have {usual:.2f}.",
                    "Leave the camera out if its focus was wrong; it would blur what it sees.",
                    (), {"blur": value, "others": usual},
                )
            )  # fmt: skip
    return findings
