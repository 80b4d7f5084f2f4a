"""Matching two images by classical flow, and by a search where it is asked for: needs no weights, no network and no GPU."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from trackersplat.errors import ShapeError
from trackersplat.tracking.registry import MATCHERS
from trackersplat.tracking.tracker import PointMotion
from trackersplat.tracking.trackers.dis.matching import Image, Search, assess, flow, match
from trackersplat.tracking.trackers.dis.settings import MatchSettings
from trackersplat.tracking.tracks import Provenance


class DISMatcher:
    """Flow there and back, each confirmed by the other; with a reach, helped by an exhaustive search where flow is unreliable."""

    facts = MATCHERS.facts("dis")

    def __init__(self, device: torch.device, settings: MatchSettings) -> None:
        self.device = device
        self.settings = settings
        self.provenance = Provenance(self.facts.name, version=f"OpenCV {cv2.__version__}", licence=self.facts.licence)

    def match(self, source: Tensor, target: Tensor, *, search: tuple[Tensor, Tensor] | None = None, reach: float = 0.0) -> PointMotion:
        """See `tracker.Matcher`. Without a reach, ``search`` has no effect.

        Raises ShapeError if the images are not uint8 (H, W, 3) of one size, or the masks not bool of that size, all on the CPU.
        """
        a, b = (Image(_array(image, (*source.shape[:2], 3), torch.uint8)) for image in (source, target))
        if reach > 0:
            size = tuple(source.shape[:2])
            masks = None if search is None else (_array(search[0], size, torch.bool), _array(search[1], size, torch.bool))
            found, _ = match(a, b, Search(reach, masks), self.settings)
        else:
            found = assess(a, b, flow(a, b, self.settings.flow), flow(b, a, self.settings.flow), self.settings)
        return PointMotion(
            positions=torch.from_numpy(a.grid + 0.5 + found.flow)[None, None],
            visibility=torch.from_numpy(found.visibility)[None, None],
            confidence=torch.from_numpy(found.confidence)[None, None],
        )


def _array(values: Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> np.ndarray:
    if values.device.type != "cpu" or values.dtype != dtype or tuple(values.shape) != shape:
        got = f"{values.dtype} {tuple(values.shape)} on {values.device}"
        raise ShapeError(f"DIS matches images and masks of one size on the CPU: expected {dtype} {shape}, got {got}.")
    return np.ascontiguousarray(values.numpy())
