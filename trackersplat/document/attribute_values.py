"""How attributes are found (`attributes.ATTRIBUTES`): functions of a scene and a frame that give (N,) values."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import torch

from trackersplat.diagnosis.gaussian_error import gaussian_error
from trackersplat.document.seen_scene import SeenScene
from trackersplat.document.selection import rows_of
from trackersplat.gaussians.gaussians import SH_C0
from trackersplat.gaussians.lineage import INDEX_BITS
from trackersplat.geometry.projection import centers

_REC_709 = (0.2126, 0.7152, 0.0722)
_FLICKER_FRAMES = 16  # at most so many pairs of neighbouring frames are compared, evenly spread over the run


def opacity(scene: SeenScene, frame: int) -> np.ndarray:
    return scene.gaussians(frame).opacities.numpy()


def size(scene: SeenScene, frame: int) -> np.ndarray:
    return scene.gaussians(frame).log_scales.amax(1).exp().numpy()


def anisotropy(scene: SeenScene, frame: int) -> np.ndarray:
    scales = scene.gaussians(frame).log_scales
    return (scales.amax(1) - scales.amin(1)).exp().numpy()


def _colour(scene: SeenScene, frame: int) -> np.ndarray:
    return (scene.gaussians(frame).sh[:, 0] * SH_C0 + 0.5).clamp(0, 1).numpy()


def red(scene: SeenScene, frame: int) -> np.ndarray:
    return _colour(scene, frame)[:, 0]


def green(scene: SeenScene, frame: int) -> np.ndarray:
    return _colour(scene, frame)[:, 1]


def blue(scene: SeenScene, frame: int) -> np.ndarray:
    return _colour(scene, frame)[:, 2]


def luminance(scene: SeenScene, frame: int) -> np.ndarray:
    return _colour(scene, frame) @ np.array(_REC_709, np.float32)


def hue(scene: SeenScene, frame: int) -> np.ndarray:
    """Degrees from 0 (red) over 120 (green) and 240 (blue) to below 360; nan for grey."""
    colour = _colour(scene, frame)
    r, g, b = colour.T
    highest, spread = colour.max(1), np.ptp(colour, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        sector = np.where(highest == r, (g - b) / spread % 6, np.where(highest == g, (b - r) / spread + 2, (r - g) / spread + 4))
    return np.where(spread > 0, 60 * sector, np.nan)


def saturation(scene: SeenScene, frame: int) -> np.ndarray:
    colour = _colour(scene, frame)
    return np.ptp(colour, axis=1) / np.maximum(colour.max(1), 1e-6)


def motion(scene: SeenScene, frame: int) -> np.ndarray:
    """From the run's frame before; in its first frame, to the one after. Nan where it is not there."""
    ids, frames = scene.ids(frame), scene.edited.run_frames.frames
    if len(frames) < 2:
        return np.full(len(ids), np.nan)
    place = frames.index(frame)
    other = frames[place - 1] if place else frames[1]
    rows = rows_of(ids, scene.ids(other))
    moved = (scene.gaussians(frame).means - scene.gaussians(other).means[torch.from_numpy(np.maximum(rows, 0))]).norm(dim=1).numpy()
    return np.where(rows >= 0, moved, np.nan)


def age(scene: SeenScene, frame: int) -> np.ndarray:
    return frame - (scene.ids(frame) >> INDEX_BITS)


def flicker(scene: SeenScene, frame: int) -> np.ndarray:
    """Of opacity times colour, the channel that changes most. 0 where it is in no two neighbouring frames."""
    frames = scene.edited.run_frames.frames
    pairs = list(itertools.pairwise(frames))
    chosen: Iterable[int] = np.unique(np.linspace(0, len(pairs) - 1, min(_FLICKER_FRAMES, len(pairs))).round().astype(int)) if pairs else []
    mine, found = scene.ids(frame), np.zeros(len(scene.ids(frame)))
    for index in chosen:
        values = [_adds(scene, other, mine) for other in pairs[index]]
        found = np.fmax(found, np.abs(values[1] - values[0]).max(1))
    return found


def _adds(scene: SeenScene, frame: int, ids: np.ndarray) -> np.ndarray:
    """(N, 3) opacity times colour in another frame; nan where it is not there."""
    rows = rows_of(ids, scene.ids(frame))
    values = (
        (opacity(scene, frame)[:, None] * _colour(scene, frame))[np.maximum(rows, 0)] if len(scene.ids(frame)) else np.zeros((len(ids), 3))
    )
    return np.where((rows >= 0)[:, None], values, np.nan)


def views(scene: SeenScene, frame: int) -> np.ndarray:
    """The squared sum of what cameras show of it over the sum of squares (as for floaters of a first frame); 0: none shows it."""
    weights = scene.weights_in_cameras(frame)
    distance = torch.cdist(scene.gaussians(frame).means, torch.as_tensor(centers(scene.cameras), dtype=torch.float32)).numpy()
    shown = weights * distance**2
    best = shown.max(1, keepdims=True)
    part = np.where(best > 0, shown / np.maximum(best, 1e-30), 0)
    return part.sum(1) ** 2 / np.maximum((part**2).sum(1), 1e-30)


def weight(scene: SeenScene, frame: int) -> np.ndarray:
    return scene.weights_in_cameras(frame).sum(1)


def error(scene: SeenScene, frame: int) -> np.ndarray:
    """Over all cameras (`diagnosis.gaussian_error`); nan where no camera shows it."""
    capture, rasterizer = scene.open_capture(), scene.choose_rasterizer()
    photos = [torch.tensor(capture.image(i, frame), device=rasterizer.device) / 255.0 for i in range(len(capture.cameras))]
    colours = scene.edited.run_frames.run.read_colours(frame)
    correct = None if colours is None else colours.apply
    found = gaussian_error(rasterizer, scene.gaussians(frame).to(rasterizer.device), capture.cameras, photos, correct)
    return found.cpu().numpy()
