"""Lens distortion in OpenCV's models, and the pinhole camera that shows the most of an image without blank pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import cv2
import numpy as np

from trackersplat.errors import InputError

OPENCV_COUNTS = (0, 4, 5, 8, 12, 14)  # of distortion coefficients: k1 k2 p1 p2 [k3 [k4 k5 k6 [s1..s4 [tau_x tau_y]]]]
FISHEYE_COUNT = 4  # k1 k2 k3 k4
EDGE_SAMPLES = 65  # per side
MAX_RAY = 2.0  # x/z or y/z: a pinhole image of a wider lens would be stretched too much
MAX_ZOOM = 3.0  # over the first guess, from which a lens is refused
MIN_SHOWN = 0.25  # of the width of the distorted image
_HALF = np.array([[0.0, 0.0, 0.5], [0.0, 0.0, 0.5], [0.0, 0.0, 0.0]])  # OpenCV's pixel centres are whole numbers


class LensModel(Protocol):
    """How a camera's images are distorted. Pixels have their centres at +0.5; rays are (x/z, y/z) with OpenCV axes."""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """(N, 2) rays of (N, 2) pixels; not finite where the model has none."""
        ...

    def pixels(self, rays: np.ndarray) -> np.ndarray:
        """(N, 2) pixels of (N, 2) rays; not finite where the model has none."""
        ...

    def resized(self, width: int, height: int) -> LensModel:
        """The lens of the same images with another number of pixels."""
        ...


@dataclass(frozen=True)
class OpenCVLens:
    """OpenCV's polynomial or fisheye model (``calib3d``), without distortion where ``distortion`` is empty or zero."""

    width: int  # pixels
    height: int
    fx: float  # pixels; the centre of the top left pixel is (0.5, 0.5)
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()  # OPENCV_COUNTS numbers, or 4 of the fisheye model
    fisheye: bool = False

    @property
    def K(self) -> np.ndarray:
        """(3, 3) float64."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    @property
    def distorts(self) -> bool:
        # Without coefficients a fisheye lens still bends rays: its radius is the angle, not the tangent.
        return self.fisheye or any(self.distortion)

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        points = (pixels - 0.5).reshape(-1, 1, 2)
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-12)
        if self.fisheye:
            rays = cv2.fisheye.undistortPoints(points, self.K - _HALF, np.asarray(self.distortion), criteria=criteria)
        else:
            rays = cv2.undistortPoints(points, self.K - _HALF, np.asarray(self.distortion), criteria=criteria)
        return np.asarray(rays, dtype=np.float64).reshape(-1, 2)

    def pixels(self, rays: np.ndarray) -> np.ndarray:
        origin = np.zeros(3)
        if self.fisheye:
            found = cv2.fisheye.projectPoints(_homogeneous(rays)[:, None], origin, origin, self.K - _HALF, np.asarray(self.distortion))
        else:
            found = cv2.projectPoints(_homogeneous(rays), origin, origin, self.K - _HALF, np.asarray(self.distortion))
        return np.asarray(found[0], dtype=np.float64).reshape(-1, 2) + 0.5

    def resized(self, width: int, height: int) -> OpenCVLens:
        sx, sy = width / self.width, height / self.height
        return replace(self, width=width, height=height, fx=self.fx * sx, fy=self.fy * sy, cx=self.cx * sx, cy=self.cy * sy)


@dataclass(frozen=True, eq=False)
class Remap:
    """From an image as stored to the image of its Camera: scaled down first, then freed of lens distortion.

    The tables are made at the first image and take 6 bytes per pixel.
    """

    size: tuple[int, int]  # (width, height) of the camera's image, and of the distorted image once scaled
    lens: LensModel | None = None  # of the scaled image; None: only scaled
    K: np.ndarray | None = None  # (3, 3) of the pinhole camera, with a lens

    def apply(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 from the stored (H', W', 3) uint8 image."""
        if image.shape[1::-1] != self.size:
            image = cv2.resize(image, self.size, interpolation=cv2.INTER_AREA)
        if self.lens is None:
            return image
        return cv2.remap(image, *self._tables, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    @cached_property
    def _tables(self) -> tuple[np.ndarray, np.ndarray]:
        """In OpenCV's fixed-point form, which its bilinear remap uses inside in any case."""
        lens, K = self.lens, self.K
        if lens is None or K is None:
            raise ValueError("a Remap with a lens needs the matrix K of the pinhole camera")
        if isinstance(lens, OpenCVLens):
            make = cv2.fisheye.initUndistortRectifyMap if lens.fisheye else cv2.initUndistortRectifyMap
            x, y = make(lens.K - _HALF, np.asarray(lens.distortion), np.eye(3), K - _HALF, self.size, cv2.CV_16SC2)
            return x, y
        columns, rows = np.meshgrid(np.arange(self.size[0]) + 0.5, np.arange(self.size[1]) + 0.5)
        pixels = lens.pixels(_rays_of(K, np.stack([columns, rows], axis=-1).reshape(-1, 2)))
        table = np.nan_to_num(pixels - 0.5, nan=-1.0, posinf=-1.0, neginf=-1.0).astype(np.float32)
        x, y = table.reshape(self.size[1], self.size[0], 2).transpose(2, 0, 1)
        return cv2.convertMaps(np.ascontiguousarray(x), np.ascontiguousarray(y), cv2.CV_16SC2)


def pinhole(lens: LensModel, blank: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """(3, 3) matrix of the pinhole camera that replaces ``lens``; ``blank`` pixels at the sides, and above and below, show nothing.

    It has the lens's image size, square pixels, and the widest field of view whose every pixel lies in the distorted image, so
    no blank pixel is made and cameras of one size stay of one size; its principal point is wherever that puts it.

    Raises InputError if the distortion folds the image or leaves nothing of it.
    """
    width, height = lens.width, lens.height
    x_edges, y_edges = ((0.5 + margin, side - 0.5 - margin) for margin, side in zip(blank, (width, height), strict=True))
    across, down = np.linspace(*x_edges, EDGE_SAMPLES), np.linspace(*y_edges, EDGE_SAMPLES)
    left, right = (_edge(lens, np.stack([np.full_like(down, x), down], axis=1))[:, 0] for x in x_edges)
    top, bottom = (_edge(lens, np.stack([across, np.full_like(across, y)], axis=1))[:, 1] for y in y_edges)
    limit = _reach(lens)
    x0, y0 = (float(_within(side, -limit).max()) for side in (left, top))
    x1, y1 = (float(_within(side, limit).min()) for side in (right, bottom))
    if x0 < x1 and y0 < y1:
        focal = max(max(width - 1, 1) / (x1 - x0), max(height - 1, 1) / (y1 - y0))
        zoom = 1.0
        while zoom < MAX_ZOOM:
            f = focal * zoom
            K = np.array([[f, 0.0, width / 2 - f * (x0 + x1) / 2], [0.0, f, height / 2 - f * (y0 + y1) / 2], [0.0, 0.0, 1.0]])
            if _fills(lens, K, x_edges, y_edges):
                return K
            zoom *= 1.005
    raise InputError(
        f"a lens distortion that no pinhole image of {width}x{height} pixels can undo (it folds the image, or leaves nothing of it): "
        "calibrate the camera again."
    )


def _fills(lens: LensModel, K: np.ndarray, x_edges: tuple[float, float], y_edges: tuple[float, float]) -> bool:
    """Whether every pixel of the pinhole image lies within the edges, and their order is kept; checked on a grid."""
    columns, rows = (np.linspace(0.5, side - 0.5, EDGE_SAMPLES) for side in (lens.width, lens.height))
    grid = np.stack(np.meshgrid(columns, rows), axis=-1)
    x, y = lens.pixels(_rays_of(K, grid.reshape(-1, 2))).reshape(grid.shape).transpose(2, 0, 1)
    slack = 0.02  # pixels: where the inverse of the model ends
    inside = (
        x.max() - x.min() >= MIN_SHOWN * lens.width
        and min(x.min() - x_edges[0], x_edges[1] - x.max(), y.min() - y_edges[0], y_edges[1] - y.max()) >= -slack
    )  # False for NaN
    return bool(inside) and bool((np.diff(x, axis=1) > 0).all() and (np.diff(y, axis=0) > 0).all()) and not _turned_over(x, y)


def _turned_over(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether a grid (R, C) of pixels is folded anywhere. In corners a lens may fold along the diagonal while each axis keeps its order."""
    across, down = (np.diff(np.stack([x, y]), axis=axis) for axis in (2, 1))
    # Of each cell the two triangles, from its first corner and from its last.
    for part in (slice(None, -1), slice(1, None)):
        (a, b), (c, d) = across[:, part], down[:, :, part]
        if not (a * d > b * c).all():
            return True
    return False


def _edge(lens: LensModel, pixels: np.ndarray) -> np.ndarray:
    """(N, 2) rays of pixels, NaN where the model has none (more than a right angle off, or beyond where it folds)."""
    rays = lens.rays(pixels)
    found = np.abs(lens.pixels(np.nan_to_num(rays)) - pixels).max(axis=1) < 0.1
    return np.where(found[:, None], rays, np.nan)


def _reach(lens: LensModel) -> float:
    """The radius of rays up to which the model takes rays further out to pixels further out, at most ``MAX_RAY``."""
    radii = np.linspace(0, MAX_RAY, 401)
    directions = np.array([(np.cos(a), np.sin(a)) for a in np.arange(8) * np.pi / 4])
    found = lens.pixels((radii[:, None, None] * directions).reshape(-1, 2)).reshape(len(radii), len(directions), 2)
    outward = np.diff(np.linalg.norm(found - found[0], axis=-1), axis=0) > 0
    return float(radii[np.logical_and.accumulate(outward.all(axis=1)).sum()])


def _within(rays: np.ndarray, limit: float) -> np.ndarray:
    """``rays`` no further out than ``limit``, which stands in for those that the model does not have."""
    return np.where(np.abs(rays) < abs(limit), rays, limit)


def _rays_of(K: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    return (pixels - K[:2, 2]) / (K[0, 0], K[1, 1])


def _homogeneous(rays: np.ndarray) -> np.ndarray:
    return np.concatenate([rays, np.ones((len(rays), 1))], axis=1)
