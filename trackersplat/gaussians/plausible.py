"""What is implausible about a set of Gaussians: nothing to see, sizes or places out of all proportion. Nothing here changes them."""

from __future__ import annotations

import torch
from torch import Tensor

from trackersplat.gaussians.gaussians import Gaussians

VISIBLE = 1 / 255  # opacity below which no back end draws a Gaussian
LARGE = 1.0  # median length of the Gaussians over the extent of their centres, above which they hide each other
SMALL = 1e-6  # the same for nearly all of them, below which they are dust
FAR = 1e4  # extents between a Gaussian and the middle, or lengths of one, beyond which it does not belong to the scene
FAR_FROM_ZERO = 1e5  # extents between the origin and the middle, beyond which float32 is too coarse: its step is 1/100 of the extent
MOST = 0.9  # share of the Gaussians by whose centres the extent is measured
MIN_COUNT = 10  # Gaussians, below which there is no usual size to compare with
SAMPLES = 50_000  # Gaussians that are enough to find what is usual


def implausible(gaussians: Gaussians) -> list[str]:
    """Sentences; all numbers must be finite."""
    count = len(gaussians)
    if not count:
        return ["There are 0 Gaussians, so nothing is seen: train or export it again."]
    found = []
    largest = float(torch.sigmoid(gaussians.opacity_logits.max()))
    if largest < VISIBLE:
        found.append(
            f"No Gaussian is opaque enough to be seen (the largest opacity is {largest:.2g}): are these opacities or their logits?"
        )
    return found + (_not_stored_as_expected(gaussians) + _proportions(gaussians) if count >= MIN_COUNT else [])


def _not_stored_as_expected(gaussians: Gaussians) -> list[str]:
    """Numbers between 0 and 1 are hardly logits (of opacities from 0.50 to 0.73) or logarithms (of lengths from 1.0 to 2.7)."""
    found = []
    if _within_one(gaussians.opacity_logits):
        found.append(
            "Nearly all opacity values are between 0 and 1, and none is below: check whether the file has opacities or their logits."
        )
    if _within_one(gaussians.log_scales):
        found.append(f"Nearly all scale values are between 0 and 1, and none is below: {_SCALES}")
    return found


def _within_one(values: Tensor) -> bool:
    """Whether none is below 0, nearly all are at most 1, and not all are the same."""
    flat = values.flatten()
    some = flat[:: max(1, len(flat) // SAMPLES)].double()
    least, most = float(flat.min()), float(some.quantile(0.5 + MOST / 2))
    return 0 <= least < float(flat.max()) and most <= 1


def _proportions(gaussians: Gaussians) -> list[str]:
    means, lengths = gaussians.means.double(), gaussians.log_scales.double().amax(dim=1).clamp(max=700).exp()
    some = slice(None, None, max(1, len(means) // SAMPLES))
    ends = torch.quantile(means[some], torch.tensor([0.5 - MOST / 2, 0.5, 0.5 + MOST / 2], dtype=torch.float64), dim=0)
    extent, middle = float((ends[2] - ends[0]).norm()), ends[1]
    if extent == 0:
        return ["Nearly all Gaussians are at one place: check the positions."]
    usual, nearly_all = float(lengths[some].median()), float(lengths[some].quantile(0.5 + MOST / 2))
    found = []
    if usual > LARGE * extent:
        found.append(f"Most Gaussians are longer ({usual:.3g}) than all of their centres extend ({extent:.3g}): {_SCALES}")
    elif nearly_all < SMALL * extent:
        found.append(f"Nearly all Gaussians are shorter than {nearly_all:.3g}, where their centres extend over {extent:.3g}: {_SCALES}")
    else:
        found += _count(lengths > FAR * extent, f"longer than {FAR:g} times the extent of the scene ({extent:.3g})", "scales")
    found += _count(
        (means - middle).norm(dim=1) > FAR * extent, f"further than {FAR:g} extents ({extent:.3g}) from the middle", "positions"
    )
    away = float(middle.norm()) / extent
    if away > FAR_FROM_ZERO:
        found.append(f"The Gaussians are {away:.3g} times their extent away from zero, too far for single precision: move them there.")
    return found


_SCALES = "check whether the file has lengths or their logarithms."


def _count(wrong: Tensor, how: str, what: str) -> list[str]:
    count = int(wrong.sum())
    return [f"{count:,} of {len(wrong):,} Gaussians are {how}: check their {what}."] if count else []
