"""The .4dgs container (package fourdgs): one file that is read from any point of time, with only what changes between key frames.

It holds colours without direction: of the spherical harmonics, the constant part alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trackersplat.errors import InputError
from trackersplat.events import Event
from trackersplat.files import atomic_file, make_folder
from trackersplat.gaussians.exporters.exporter import (
    UNKNOWN,
    About,
    Exporter,
    FrameExported,
    check_some,
    check_target,
    exported,
    next_frame,
)
from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.gaussians.readers.fourdgs import open_fourdgs

KEY_FRAME_EVERY = 10
ALWAYS = 1e4  # standard deviation in time, over the duration: its writer takes no infinite one


def export_fourdgs(frames: Iterable[tuple[int, Gaussians]], path: Path, about: About = UNKNOWN) -> Iterator[Event]:
    """See `exporters.exporter.Export`. Frames follow each other at the rate of ``about``, whatever their numbers.

    All frames are held in memory. Raises InputError if the package refuses them, ImportError without it; the registry checks before.
    """
    from fourdgs.exceptions import FourdgsError
    from fourdgs.keyframe_delta_file import write_sequence
    from fourdgs.keyframe_delta_writer import KeyframeDeltaOptions

    check_target(path)
    taken: list[Gaussians] = []
    order: list[int] = []
    for frame, gaussians in frames:
        next_frame(frame, order)
        taken.append(gaussians.detach().to("cpu"))
        yield FrameExported(frame, len(taken))
    check_some(order)
    duration = len(taken) / about.frames_per_second
    samples = [_sample(gaussians, index / about.frames_per_second, duration) for index, gaussians in enumerate(taken)]
    try:
        data = write_sequence(samples, duration, kd=KeyframeDeltaOptions(keyframe_every=KEY_FRAME_EVERY), library="trackersplat")
    except (FourdgsError, ValueError) as error:
        raise InputError(f"The package fourdgs cannot hold these frames ({error}): choose another format with --format.") from error
    make_folder(path.parent)
    with atomic_file(path) as temporary:
        temporary.write_bytes(data)
    yield exported(path, order)


def read_fourdgs(path: Path, frame: int, place: int, about: About = UNKNOWN) -> Gaussians:
    """See `exporters.exporter.ReadBack`."""
    return open_fourdgs(path).read(place)


def _sample(gaussians: Gaussians, start: float, duration: float) -> Any:
    from fourdgs import GaussianSet
    from fourdgs.keyframe_delta_writer import Sample

    count = len(gaussians)
    rgb = (0.5 + SH_C0 * gaussians.sh[:, 0]).clamp(0, 1)
    quats = torch.nn.functional.normalize(gaussians.quats, dim=1)
    return Sample(
        start,
        np.arange(count),  # a Gaussian keeps its row through a run
        GaussianSet(
            positions=gaussians.means.numpy(),
            scales=gaussians.scales.numpy(),
            rotations=np.roll(quats.numpy(), -1, axis=1),
            colors=torch.cat((rgb, gaussians.opacities[:, None]), dim=1).numpy(),
            motions=np.zeros((count, 3), np.float32),
            mu_t=np.full(count, start, np.float32),
            sigma_t=np.full(count, ALWAYS * duration, np.float32),
            win_lo=np.zeros(count),
            win_hi=np.full(count, duration),
        ),
    )


FOURDGS = Exporter(export_fourdgs, read_fourdgs)
