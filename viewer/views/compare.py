"""Two pictures of one camera beside or against each other, and the score of exactly the pixels that are shown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from viewer.state import Channel, Compare
from viewer.views.colours import ColourScale

Against = Literal["photo", "run"]
Rect = tuple[int, int, int, int]  # first column, first row, column and row after the last; camera pixels

ERROR_SCALE = 64.0  # 8-bit levels of mean absolute difference that get the lightest colour

_PER_GAUSSIAN = ("motion", "static", "age", "error")  # channels that only the run on the screen has
_TITLES: dict[str, str] = {
    "colour": "colour", "depth": "depth", "opacity": "opacity", "motion": "motion", "static": "static and moving", "age": "age",
    "error": "error per Gaussian",
}  # fmt: skip


def why_impossible(compare: Compare, channel: Channel, against: Against = "photo") -> str | None:
    """One sentence why these do not go together, or None. The controls that would ask for it can be disabled by the same answer."""
    if channel == "colour":
        return None
    title = _TITLES[channel]
    if compare == "photo":
        return f"A photograph shows colours only: choose Render to see {title}."
    if compare in ("wipe", "error") and against == "photo":
        name = "The wipe" if compare == "wipe" else "The error map"
        return f"{name} compares with the photograph, which has colours only: choose Colour, or Render to see {title}."
    if compare in ("wipe", "other") and channel in _PER_GAUSSIAN:
        return f"Only the run on the screen has {title}: choose Render, or Colour, Depth or Opacity."
    if compare == "error":
        return f"The difference of two runs is one of their colours: choose Colour, or Render to see {title}."
    return None


@dataclass(frozen=True)
class Score:
    """How well a picture agrees with its reference, over the pixels of ``rect`` at the camera's resolution and no others."""

    psnr: float  # dB, infinite if they are equal
    ssim: float
    rect: Rect
    whole: bool  # the rect is the whole image
    camera: str
    held_out: bool
    frame: int
    what: str = ""  # which part of what is seen was compared, "" for all of it

    @property
    def pixels(self) -> str:
        """Which pixels, for people."""
        x0, y0, x1, y1 = self.rect
        size = f"{x1 - x0}×{y1 - y0}"
        place = f"whole image, {size}" if self.whole else f"{size} pixels from ({x0}, {y0})"
        return f"{self.what}: {place}" if self.what else place

    @property
    def extent(self) -> str:
        """The same without numbers."""
        return self.what or ("whole image" if self.whole else "visible part")

    def to_json(self) -> dict[str, object]:
        finite = math.isfinite(self.psnr)
        return {
            "psnr": self.psnr if finite else None, "psnr_text": f"PSNR {self.psnr:.2f} dB" if finite else "equal pixels",
            "ssim": self.ssim, "ssim_text": f"SSIM {self.ssim:.4f}", "pixels": self.pixels, "extent": self.extent,
            "rect": list(self.rect), "camera": self.camera, "role": role(self.held_out), "frame": self.frame,
        }  # fmt: skip


def role(held_out: bool, filmed: bool = True) -> str:
    """What a camera is for; "made" where nobody filmed the scene."""
    if not filmed:
        return "made"
    return "held out" if held_out else "training"


def pixel_scores(image: np.ndarray, reference: np.ndarray, rect: Rect) -> tuple[float, float]:
    """PSNR and SSIM over ``rect`` of two whole images (H, W, 3) uint8; the windows of SSIM reach outside it, as they do over a mask."""
    from trackersplat.metrics.image import WINDOW, psnr, ssim  # imports torch, which must not hold up the page

    x0, y0, x1, y1 = rect
    margin = WINDOW // 2
    left, top = max(x0 - margin, 0), max(y0 - margin, 0)
    around = (slice(top, y1 + margin), slice(left, x1 + margin))
    mask = np.zeros(image[around].shape[:2], bool)
    mask[y0 - top : y1 - top, x0 - left : x1 - left] = True
    part = (slice(y0, y1), slice(x0, x1))
    return psnr(image[part], reference[part]), ssim(image[around], reference[around], mask)


def error_scale(against: Against) -> ColourScale:
    return ColourScale("Error" if against == "photo" else "Difference", "grey levels", 0.0, ERROR_SCALE, "inferno")


def difference(image: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """(H, W) float64: mean absolute difference of the channels, in 8-bit levels."""
    levels: np.ndarray = cv2.absdiff(image, reference).mean(axis=2)
    return levels


def wipe(left: np.ndarray, right: np.ndarray, edge: int) -> np.ndarray:
    """``left`` in the columns before ``edge``, ``right`` in the others."""
    image = right.copy()
    image[:, :edge] = left[:, :edge]
    return image
