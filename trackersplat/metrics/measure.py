"""All metrics of a set of images, each over all pixels, over those of a mask and over dynamic ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trackersplat.errors import InputError, ShapeError
from trackersplat.metrics.metric import ImageBatch, Metric
from trackersplat.metrics.names import ScoreName
from trackersplat.metrics.registry import METRICS

_PROBE_PX = 64  # side of an image that every network takes

Masks = Sequence[Tensor | np.ndarray | None]


def unavailable(weights: Path | None = None) -> dict[str, str]:
    """The metrics that cannot be computed here: name -> why, and what to do, in one sentence. Imports none of them.

    ``weights`` is the folder of the networks' weights; by default that in which torch keeps what it has downloaded.
    """
    found = {name: _why_unavailable(name, weights) for name in METRICS.names()}
    return {name: why for name, why in found.items() if why is not None}


def why_unusable(metric: str, weights: Path | None = None) -> str | None:
    """Why a metric whose files are there cannot be computed all the same (they may be damaged), or None. Tries it on a small image."""
    if not METRICS.facts(metric).weights_url:
        return None
    image = torch.zeros(1, _PROBE_PX, _PROBE_PX, 3)
    try:
        score_images(image, image, (metric,), weights=weights)
    except InputError as error:
        return str(error)
    return None


def score_images(
    images: Sequence[Tensor] | Tensor,  # C times (H, W, 3), uint8 or floating; sizes may differ
    references: Sequence[Tensor] | Tensor,  # the same shapes, on the same device
    metrics: Sequence[str],
    masks: Masks | None = None,  # C times (H, W) bool, or None for an image without
    dynamic: Masks | None = None,  # likewise
    *,
    weights: Path | None = None,
) -> dict[str, list[float | None]]:
    """Score name (see `metrics.names`) -> value of each image, computed on the images' device.

    Floating images are clamped to [0, 1]. With ``masks`` or ``dynamic`` every metric has a second or third score, over those pixels
    only; None where there is no mask or no pixel in it. ``weights`` as in `unavailable`.

    Raises ShapeError if shapes or devices do not fit, InputError if a metric is unknown or not available.
    """
    _check(images, references, {"masks": masks, "dynamic": dynamic})
    functions = {name: _load(name, weights) for name in metrics}
    kinds: list[tuple[str, Masks | None]] = [("", None)]
    kinds += [(region, given) for region, given in (("masked", masks), ("dynamic", dynamic)) if given is not None]
    scores: dict[str, list[float | None]] = {
        str(ScoreName(name, region)): [None] * len(images) for name in functions for region, _ in kinds
    }
    sizes: dict[tuple[int, ...], list[int]] = {}
    for index, image in enumerate(images):
        sizes.setdefault(tuple(image.shape), []).append(index)
    for indices in sizes.values():
        stacked = _batch(images, indices)
        batch = ImageBatch(
            images=stacked,
            references=_batch(references, indices),
            regions=tuple(None if given is None else _stacked(given, indices, stacked) for _, given in kinds),
            weights=_weights_folder(weights),
        )
        if not functions:
            continue
        with torch.no_grad():
            found = torch.stack([metric(batch) for metric in functions.values()]).tolist()  # a GPU is waited for once
        for name, rows in zip(functions, found, strict=True):
            for (region, _), row in zip(kinds, rows, strict=True):
                for index, value in zip(indices, row, strict=True):
                    scores[str(ScoreName(name, region))][index] = None if math.isnan(value) else value
    return scores


def _why_unavailable(name: str, weights: Path | None) -> str | None:
    missing = METRICS.why_unavailable(name)
    facts = METRICS.facts(name)
    if missing is not None or not facts.weights_url:
        return missing
    folder = _weights_folder(weights)
    if (folder / facts.weights_file).is_file():
        return None
    return f"{facts.weights_file} is not in {folder}: download {facts.weights_url} and put it there"


def _weights_folder(weights: Path | None) -> Path:
    """The given folder, or the one in which torch keeps downloaded weights."""
    return Path(torch.hub.get_dir()) / "checkpoints" if weights is None else weights


def _load(name: str, weights: Path | None) -> Metric:
    why = _why_unavailable(name, weights)
    if why is not None:
        raise InputError(f"The metric {name} cannot be computed: {why}.")
    metric: Metric = METRICS.load(name)
    return metric


def _check(images: Sequence[Tensor] | Tensor, references: Sequence[Tensor] | Tensor, masks: dict[str, Masks | None]) -> None:
    if len(images) != len(references):
        raise ShapeError(f"There are {len(images)} images and {len(references)} references to compare; they must be equally many.")
    for image, reference in zip(images, references, strict=True):
        if image.shape != reference.shape or image.ndim != 3 or image.shape[2] != 3 or image.device != reference.device:
            raise ShapeError(
                f"The metrics compare (H, W, 3) images of one shape and device, got {tuple(image.shape)} on {image.device} and "
                f"{tuple(reference.shape)} on {reference.device}."
            )
    for name, given in masks.items():
        if given is None:
            continue
        if len(given) != len(images):
            raise ShapeError(f"There are {len(given)} {name} for {len(images)} images; give one for each, or None.")
        for mask, image in zip(given, images, strict=True):
            if mask is not None and (mask.dtype not in (torch.bool, np.bool_) or tuple(mask.shape) != tuple(image.shape[:2])):
                raise ShapeError(f"{name} must be bool of the image's (height, width), got {mask.dtype} {tuple(mask.shape)}.")


def _stacked(given: Masks, indices: Sequence[int], images: Tensor) -> Tensor:
    """(C, H, W) bool on the images' device; an image without a mask has no pixels in it."""
    _, height, width, _ = images.shape
    masks = []
    for index in indices:
        mask = given[index]
        if mask is None:
            mask = torch.zeros(height, width, dtype=torch.bool)
        masks.append(torch.tensor(mask) if isinstance(mask, np.ndarray) else mask)  # a copy: an array of a capture may be read-only
    return torch.stack([mask.to(images.device) for mask in masks])


def _batch(images: Sequence[Tensor] | Tensor, indices: Sequence[int]) -> Tensor:
    """(C, H, W, 3) float32 in [0, 1] of some images of one size."""
    if isinstance(images, Tensor):  # all of one size
        return _unit(images)
    return torch.stack([_unit(images[index]) for index in indices])


def _unit(image: Tensor) -> Tensor:
    """float32 in [0, 1]."""
    image = image.detach()
    return image.float() / 255 if image.dtype == torch.uint8 else image.clamp(0, 1).float()
