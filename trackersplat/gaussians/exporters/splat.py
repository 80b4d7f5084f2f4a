"""The ``.splat`` of antimatter15 (see `readers.splat`): small and read by many pages, without higher spherical harmonics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from trackersplat.files import atomic_file
from trackersplat.gaussians.exporters.numbered import numbered
from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.gaussians.readers.splat import ROW


def write_splat(path: Path, gaussians: Gaussians) -> None:
    """One frame. The largest and most opaque Gaussians come first, as viewers that show a file while it loads expect."""
    weight = gaussians.opacities.detach() * gaussians.scales.detach().prod(dim=1)
    ordered = gaussians.detach()[weight.argsort(descending=True, stable=True)].to("cpu")
    colour = torch.cat((0.5 + SH_C0 * ordered.sh[:, 0], ordered.opacities[:, None]), dim=1)
    quats = torch.nn.functional.normalize(ordered.quats, dim=1)
    rows = np.empty(len(ordered), ROW)
    rows["means"], rows["scales"] = ordered.means.numpy(), ordered.scales.numpy()
    rows["colour"] = (255 * colour).round().clamp(0, 255).numpy()
    rows["rotation"] = (127.5 * (quats + 1)).round().clamp(0, 255).numpy()
    with atomic_file(path) as temporary:
        rows.tofile(temporary)


SPLAT = numbered(".splat", write_splat)
