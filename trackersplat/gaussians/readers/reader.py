"""The one way in which a file of Gaussians is opened, whatever its format."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.plausible import implausible
from trackersplat.gaussians.ply import DC, POSITION, ROTATION, SCALE
from trackersplat.gaussians.readers.registry import OTHERS, READERS, FormatFacts

MAX_BYTES = 16 * 2**30
MAX_LOGIT = math.log(1019)  # of the opacity 1 - 1/1020, a quarter of an 8-bit step below 1 (see `eight_bits.opacity_logits`)
FLAT = math.log(1e-3)  # an axis of length 0 becomes this part of the Gaussian's longest axis


class Reader(Protocol):
    """Reads a file of one format; numbers may be infinite or NaN. Raises InputError if it is damaged or larger than ``max_bytes``."""

    def __call__(self, path: Path, max_bytes: int) -> Gaussians: ...


@dataclass(frozen=True, eq=False)
class GaussianFile:
    """What a file holds."""

    gaussians: Gaussians  # on the CPU, all finite
    format: FormatFacts
    remarks: tuple[str, ...]  # sentences: what was changed on reading, and what is implausible


def read_gaussians(path: Path) -> GaussianFile:
    """Reads any format of ``READERS``; the first bytes, or else the suffix, say which.

    Infinite opacities, axes of length 0 and quaternions of length 0 are replaced by values that render alike; the remarks count
    them, and say what is implausible.

    Raises InputError if the file is missing, of another format, damaged, or holds another number that is not finite.
    """
    path = Path(path)
    facts = _format(path)
    read: Reader = READERS.load(facts.name)
    with np.errstate(all="ignore"):  # what is not finite is found below
        gaussians = read(path, MAX_BYTES)
    mended, remarks = checked(path, gaussians)
    return GaussianFile(mended, facts, remarks)


def checked(path: Path, gaussians: Gaussians) -> tuple[Gaussians, tuple[str, ...]]:
    """Gaussians whose numbers are all finite, and what was changed for that or is implausible, in sentences that name ``path``.

    Raises InputError if a number is not finite that nothing can stand for.
    """
    means, sh = gaussians.means, gaussians.sh
    _check_finite(path, means, POSITION)
    _check_finite(path, sh[:, 0], DC)
    _check_finite(path, sh[:, 1:].transpose(1, 2).flatten(1), tuple(f"f_rest_{i}" for i in range(3 * (sh.shape[1] - 1))))
    remarks: list[str] = []
    mended = Gaussians(
        means,
        _quats(path, gaussians.quats, remarks),
        _scales(path, gaussians.log_scales, remarks),
        _opacities(path, gaussians, remarks),
        sh,
    )
    remarks += [f"{path}: {sentence}" for sentence in implausible(mended)]
    return mended, tuple(remarks)


def _format(path: Path) -> FormatFacts:
    try:
        if path.is_dir() or (path.exists() and not path.is_file()):
            raise InputError(f"{path} is not a plain file: give a file of Gaussians, such as a PLY.")
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the file and its permissions.") from error
    suffix = path.suffix.lower()
    for facts in READERS:
        if start.startswith(facts.starts) if facts.starts else suffix == facts.suffix:
            return facts
    if suffix in OTHERS:
        raise InputError(f"{path} is {OTHERS[suffix]}, which is not read: convert it with `splat-transform {path.name} {path.stem}.ply`.")
    if suffix == ".ply":
        raise InputError(f"{path} is not a PLY file: it has no PLY header.")
    raise InputError(f"{path} is no file of Gaussians: expected a PLY, SPZ, SOG or .splat file.")


def _check_finite(path: Path, table: Tensor, names: tuple[str, ...]) -> None:
    wrong = ~torch.isfinite(table)
    if wrong.any():
        row, column = torch.nonzero(wrong)[0].tolist()
        raise InputError(f"{path}: {names[column]!r} of Gaussian {row + 1} is not a finite number: train or export it again.")


def _opacities(path: Path, gaussians: Gaussians, remarks: list[str]) -> Tensor:
    logits = gaussians.opacity_logits
    infinite = torch.isinf(logits)
    if not infinite.any():
        _check_finite(path, logits[:, None], ("opacity",))
        return logits
    remarks.append(
        f"{path}: {int(infinite.sum()):,} of {len(logits):,} Gaussians have an infinite opacity value (as splat-transform writes "
        f"an opacity of exactly 1 or 0): clamped to {MAX_LOGIT:.2f} or {-MAX_LOGIT:.2f}."
    )
    mended = torch.where(infinite, logits.clamp(-MAX_LOGIT, MAX_LOGIT), logits)
    _check_finite(path, mended[:, None], ("opacity",))
    return mended


def _scales(path: Path, log_scales: Tensor, remarks: list[str]) -> Tensor:
    flat = log_scales == -math.inf
    if not flat.any():
        _check_finite(path, log_scales, SCALE)
        return log_scales
    finite = log_scales[torch.isfinite(log_scales)]
    if not len(finite):
        raise InputError(f"{path}: no Gaussian has an extent (each scale is 0): train or export it again.")
    longest = log_scales.amax(dim=1, keepdim=True)
    longest = torch.where(longest == -math.inf, finite.min() - FLAT, longest)  # a point gets the length of the shortest axis in the file
    mended = torch.where(flat, longest + FLAT, log_scales)
    _check_finite(path, mended, SCALE)
    remarks.append(
        f"{path}: {int(flat.any(dim=1).sum()):,} of {len(flat):,} Gaussians have an axis of length 0: it became 1/1000 of the longest."
    )
    return mended


def _quats(path: Path, quats: Tensor, remarks: list[str]) -> Tensor:
    _check_finite(path, quats, ROTATION)
    length = quats.double().norm(dim=1, keepdim=True)
    extreme = (length < 1e-12) | (length > 1e12)  # the square of such a length is 0 or infinite in float32
    if not extreme.any():
        return quats
    none = length == 0
    if none.any():
        remarks.append(f"{path}: {int(none.sum()):,} of {len(none):,} Gaussians have a quaternion of length 0: read as no rotation.")
    unit = torch.where(none, torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64), quats.double() / length)
    return torch.where(extreme, unit.float(), quats)
