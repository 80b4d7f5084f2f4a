"""Small files of single frames by the package gsply, which the registry looks for: compressed PLY (PlayCanvas) and SPZ (Niantic)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trackersplat.files import atomic_file
from trackersplat.gaussians.exporters.numbered import numbered
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.readers.spz import AXES, FLIPPED_SH

SPZ_BITS = 24  # of a coordinate, its sign included
FINEST_SPZ = 20  # bits behind the point; more gain nothing at the precision of float32


def _write_compressed_ply(path: Path, gaussians: Gaussians) -> None:
    import gsply

    data = _data(gaussians)
    packed = gsply.compress_to_bytes(data.means, data.scales, data.quats, data.opacities, data.sh0, data.shN)
    with atomic_file(path) as temporary:
        temporary.write_bytes(packed)


def _write_spz(path: Path, gaussians: Gaussians) -> None:
    import gsply

    with atomic_file(path) as temporary:
        gsply.write_spz(temporary, _data(_in_axes_of_spz(gaussians)), fractional_bits=_fractional_bits(gaussians))


def _fractional_bits(gaussians: Gaussians) -> int:
    """As many as the farthest Gaussian leaves of 24: fixed ones would suit one unit of length only."""
    farthest = float(gaussians.means.abs().max())
    whole = max(0, int(np.floor(np.log2(max(farthest, 1e-12)))) + 1)
    return min(max(SPZ_BITS - 1 - whole, 1), FINEST_SPZ)


def _data(gaussians: Gaussians) -> Any:
    import gsply

    parts = {name: tensor.detach().cpu().numpy() for name, tensor in gaussians.tensors().items()}
    quats = parts["quats"] / np.linalg.norm(parts["quats"], axis=1, keepdims=True)
    return gsply.GSData(
        means=parts["means"],
        scales=parts["log_scales"],
        quats=np.ascontiguousarray(quats),
        opacities=parts["opacity_logits"],
        sh0=np.ascontiguousarray(parts["sh"][:, 0]),
        shN=np.ascontiguousarray(parts["sh"][:, 1:]),
    )


def _in_axes_of_spz(gaussians: Gaussians) -> Gaussians:
    """gsply writes numbers as they are; the format's y and z point the other way."""
    axes, signs = (torch.from_numpy(values).to(gaussians.device) for values in (AXES, FLIPPED_SH))
    sh = gaussians.sh.clone()
    sh[:, 1:] *= signs[: sh.shape[1] - 1, None]
    return replace(gaussians, means=gaussians.means * axes, quats=gaussians.quats * torch.cat((axes.new_ones(1), axes)), sh=sh)


COMPRESSED_PLY = numbered(".compressed.ply", _write_compressed_ply)
SPZ = numbered(".spz", _write_spz)
