"""Frames of a .4dgs file (package fourdgs) whose chunks follow each other in time, as ``trackersplat export`` writes it.

The package checks what the file claims against its bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trackersplat.errors import InputError
from trackersplat.files import read_file
from trackersplat.gaussians.gaussians import SH_C0, Gaussians

PACKAGE = "fourdgs"
SUFFIX = ".4dgs"
MODEL = "keyframe-delta"  # the one of the two kinds of file that holds frames
LARGEST = 4 * 2**30  # bytes of a file
MOST_FRAMES = 100_000
MOST_VALUES = 2 * 10**9  # Gaussians in all frames together, for memory
LEAST_OPACITY = 1 / 1020  # a quarter of a step of 8 bits


@dataclass(frozen=True, eq=False)
class FourdgsClip:
    """What a file holds; frames are made when they are asked for."""

    times: tuple[float, ...]  # seconds, the middle of each frame
    frames_per_second: float
    same: bool  # whether all frames hold the same Gaussians, row by row
    decoded: Any

    def read(self, place: int) -> Gaussians:
        return gaussians_at(self.decoded, self.times[place])


def open_fourdgs(path: Path) -> FourdgsClip:
    """Raises InputError if the file is damaged, too large, or of a kind without frames; ImportError without the package."""
    from fourdgs.exceptions import FourdgsError
    from fourdgs.keyframe_delta_file import decode_streamed

    data = read_file(path, LARGEST)
    try:
        decoded = decode_streamed(data)
    except (FourdgsError, ValueError, KeyError, IndexError, OverflowError, MemoryError) as error:
        if getattr(error, "code", "") == "wrong-temporal-model":
            raise InputError(f"{path} has Gaussians that come and go in time instead of frames: only frames ({MODEL}) are read.") from error
        raise InputError(f"{path} is no .4dgs file that can be read ({str(error)[:120]}): write it again.") from error
    chunks = decoded.chunks
    lengths = np.array([chunk.t1 - chunk.t0 for chunk in chunks], float)
    if not 0 < len(chunks) <= MOST_FRAMES or not np.isfinite(lengths).all() or not (lengths > 0).all():
        raise InputError(f"{path} has {len(chunks):,} frames: expected 1 to {MOST_FRAMES:,}, each of which lasts some time.")
    count = sum(chunk.state.count for chunk in chunks)
    if not min(chunk.state.count for chunk in chunks) > 0 or count > MOST_VALUES:
        raise InputError(f"{path} has {count:,} Gaussians in its frames: expected some in each, and at most {MOST_VALUES:,} in all.")
    ids = [np.sort(np.asarray(chunk.state.ids)) for chunk in chunks]
    same = all(np.array_equal(ids[0], other) for other in ids[1:])
    times = tuple(0.5 * (chunk.t0 + chunk.t1) for chunk in chunks)
    return FourdgsClip(times, float(1 / np.median(lengths)), same, decoded)


def gaussians_at(decoded: Any, time: float) -> Gaussians:
    """The Gaussians that are there at a time, in the order of their ids; ``decoded`` as of the package. Colours without direction."""
    from fourdgs.keyframe_delta_file import render_at

    state = render_at(decoded, time)
    opacity = np.clip(state["opacity"], LEAST_OPACITY, 1 - LEAST_OPACITY)

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, np.float32))

    with np.errstate(divide="ignore", invalid="ignore"):  # what is not finite is found by who reads it
        return Gaussians(
            means=tensor(state["centers"]),
            quats=tensor(np.roll(state["rotations"], 1, axis=1)),
            log_scales=tensor(np.log(state["scales"])),
            opacity_logits=tensor(np.log(opacity / (1 - opacity))),
            sh=tensor((state["rgb"] - 0.5) / SH_C0)[:, None],
        )
