"""Images of a camera beside each other: what is shown, and the score of exactly the pixels of the render that are shown."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from viewer.state import Compare

ERROR_SCALE = 64  # 8-bit levels of mean absolute difference that get the hottest colour
BACKDROP = (17, 18, 20)  # RGB around a picture that does not fill the page
_SEAM = (255, 255, 255)


@dataclass(frozen=True)
class Compared:
    """A composed image and the part of the render in it that can be scored."""

    image: np.ndarray  # (H, W, 3) uint8
    columns: slice | None  # of the render that are on the screen; None if the render is not shown


def compose(kind: Compare, render: np.ndarray, photo: np.ndarray, wipe: float) -> Compared:
    """``render`` and ``photo``: (H, W, 3) uint8 of one camera. ``wipe``: share of the width that shows the photograph."""
    if kind == "photo":
        return Compared(photo, None)
    if kind == "error":
        return Compared(error_map(render, photo), slice(0, render.shape[1]))
    if kind == "wipe":
        edge = round(min(max(wipe, 0.0), 1.0) * render.shape[1])
        image = render.copy()
        image[:, :edge] = photo[:, :edge]
        return Compared(image, slice(edge, render.shape[1]) if edge < render.shape[1] else None)
    return Compared(render, slice(0, render.shape[1]))


def error_map(render: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: mean absolute difference of the channels, black-blue for 0 to red for ERROR_SCALE levels and more."""
    difference = cv2.absdiff(render, photo).mean(axis=2)
    return heat(difference / ERROR_SCALE)


def heat(values: np.ndarray) -> np.ndarray:
    """(..., 3) uint8 colours of values in [0, 1] (clipped; nan, which is no value, as 0)."""
    levels = np.ascontiguousarray((np.clip(np.nan_to_num(values), 0, 1) * 255).astype(np.uint8))
    flat = cv2.applyColorMap(levels.reshape(-1, 1), cv2.COLORMAP_TURBO)
    return flat[:, 0, ::-1].reshape(*levels.shape, 3)


@dataclass(frozen=True)
class Placement:
    """Where an image of one size lies on a canvas of another: scaled evenly, as large as fits above a lower margin."""

    scale: float  # canvas pixels per image pixel
    left: int
    top: int
    width: int  # on the canvas
    height: int

    @staticmethod
    def fit(image: tuple[int, int], canvas: tuple[int, int], lower_margin: int = 0) -> Placement:
        """``image`` and ``canvas``: (width, height) in pixels."""
        room = max(canvas[1] - lower_margin, 1)
        scale = min(canvas[0] / image[0], room / image[1])
        width, height = max(round(image[0] * scale), 1), max(round(image[1] * scale), 1)
        return Placement(scale, (canvas[0] - width) // 2, (room - height) // 2, width, height)

    def part(self, page: np.ndarray) -> np.ndarray:
        """The part of a canvas that the image covers, as a view: overlays of the image are drawn onto this."""
        return page[self.top : self.top + self.height, self.left : self.left + self.width]

    def to_part(self, points: np.ndarray) -> np.ndarray:
        """(N, 2) image points (pixel centres at +0.5) to points of ``part``."""
        return points * self.scale


def letterbox(image: np.ndarray, canvas: tuple[int, int], placement: Placement) -> np.ndarray:
    """The image resampled into its place on a canvas (width, height) of the backdrop colour."""
    shrinks = placement.width < image.shape[1]
    resized = cv2.resize(image, (placement.width, placement.height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    page = np.empty((canvas[1], canvas[0], 3), np.uint8)
    page[:] = BACKDROP
    placement.part(page)[:] = resized
    return page


def draw_seam(page: np.ndarray, placement: Placement, wipe: float) -> None:
    """A thin line where the photograph ends and the render begins."""
    picture = placement.part(page)
    picture[:, min(round(min(max(wipe, 0.0), 1.0) * placement.width), placement.width - 1)] = _SEAM
