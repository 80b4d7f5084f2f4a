"""Moving Gaussians as whole numbers: attributes quantised over the range of all frames, and what changes from frame to frame.

A value keeps its code as long as it stays near it (see `SequenceSettings`), so what does not move costs next to nothing and
does not flicker. All frames hold equally many Gaussians, in the same order.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians

# The format, which readers rely on.
KEY_FRAME_EVERY = 15  # frames: a jump reads at most that many
# Quantisation levels over the range of each component, chosen so that the demo loses less than a tenth of a dB.
LEVELS = {"means": 16383, "quats": 255, "log_scales": 127, "opacity_logits": 63, "sh_dc": 255, "sh_rest": 63}

Codes = dict[str, np.ndarray]  # attribute -> (N, D) unsigned; differences wrap around


@dataclass(frozen=True)
class SequenceSettings:
    """How a sequence is written."""

    keep_within: float = 0.65  # steps from its code up to which a value keeps it; 1 makes the demo a tenth smaller, for twice the loss
    deflate: int = 9  # level: 6 makes files 3 % larger in a tenth of the time


@dataclass(frozen=True)
class Range:
    """Linear quantisation of one attribute, per component."""

    low: np.ndarray  # (D,)
    high: np.ndarray  # (D,)
    levels: int

    @property
    def step(self) -> np.ndarray:
        return np.maximum(self.high - self.low, 1e-12) / self.levels

    @property
    def dtype(self) -> str:
        return "<u1" if self.levels < 256 else "<u2"

    def encode(self, values: np.ndarray, previous: np.ndarray | None, keep_within: float) -> np.ndarray:
        codes = np.rint((values - self.low) / self.step).clip(0, self.levels).astype(self.dtype)
        if previous is None:
            return codes
        return np.where(np.abs(values - self.decode(previous)) <= keep_within * self.step, previous, codes)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        return (self.low + codes * self.step).astype(np.float32)


def streams(
    frames: Sequence[int], read: Callable[[int], Gaussians], ranges: Mapping[str, Range], settings: SequenceSettings
) -> Iterator[dict[str, np.ndarray]]:
    """Per frame and attribute of ``ranges`` a zlib stream as uint8: of the codes in a key frame, else of their change since the last."""
    previous: Codes = {}
    for position, frame in enumerate(frames):
        columns = columns_of(read(frame))
        codes = {name: kind.encode(columns[name], previous.get(name), settings.keep_within) for name, kind in ranges.items()}
        is_key = position % KEY_FRAME_EVERY == 0
        changes = codes if is_key else {name: codes[name] - previous[name] for name in codes}
        yield {name: np.frombuffer(pack(change, settings.deflate), np.uint8) for name, change in changes.items()}
        previous = codes


def pack(change: np.ndarray, level: int) -> bytes:
    """A zlib stream of codes or differences: component after component, all low bytes before all high ones."""
    components = np.ascontiguousarray(change.T).reshape(-1, 1)
    return zlib.compress(components.view(np.uint8).T.tobytes(), level)


def unpack(stream: bytes, count: int, quantiser: Range) -> np.ndarray:
    """(N, D) unsigned: the inverse of pack. Raises ValueError if the stream has another length."""
    width, size = quantiser.low.size, np.dtype(quantiser.dtype).itemsize
    expected = count * width * size
    content = zlib.decompressobj().decompress(stream, expected + 1)
    if len(content) != expected:
        raise ValueError(f"a stream of other than {expected:,} bytes")
    components = np.frombuffer(content, np.uint8).reshape(size, -1).T.copy().view(quantiser.dtype)
    return components.reshape(width, count).T


def ranges_of(frames: Sequence[int], read: Callable[[int], Gaussians], levels: Mapping[str, int] = LEVELS) -> dict[str, Range]:
    """The range over all frames of every attribute in ``levels``. Raises InputError if the frames hold not equally many Gaussians."""
    low: dict[str, np.ndarray] = {}
    high: dict[str, np.ndarray] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for frame in frames:
        columns = columns_of(read(frame))
        for name in levels:
            values = columns[name]
            if values.shape != shapes.setdefault(name, values.shape):
                raise InputError(
                    f"Frame {frame + 1} has {len(values):,} Gaussians with {values.shape[1]} numbers of {name}, frame {frames[0] + 1} has "
                    f"{shapes[name][0]:,} with {shapes[name][1]}: only frames that were moved from one another share a sequence."
                )
            if values.size:
                low[name] = np.minimum(low.get(name, np.inf), values.min(0))
                high[name] = np.maximum(high.get(name, -np.inf), values.max(0))
    nothing = np.zeros(0)
    return {
        name: Range(low.get(name, nothing).astype(np.float64), high.get(name, nothing).astype(np.float64), steps)
        for name, steps in levels.items()
    }


def widths(coefficients: int) -> dict[str, int]:
    """Components of every attribute."""
    return {"means": 3, "quats": 4, "log_scales": 3, "opacity_logits": 1, "sh_dc": 3, "sh_rest": 3 * (coefficients - 1)}


def columns_of(gaussians: Gaussians) -> dict[str, np.ndarray]:
    """Attributes as (N, D) float32; quaternions normalised with w >= 0, logits clamped to +-7 (renders do not differ beyond)."""

    def flat(tensor: Tensor) -> np.ndarray:
        return tensor.detach().cpu().reshape(len(gaussians), -1).numpy()

    quats = torch.nn.functional.normalize(gaussians.quats, dim=1)
    return {
        "means": flat(gaussians.means),
        "quats": flat(torch.where(quats[:, :1] < 0, -quats, quats)),
        "log_scales": flat(gaussians.log_scales),
        "opacity_logits": flat(gaussians.opacity_logits.clamp(-7.0, 7.0)),
        "sh_dc": flat(gaussians.sh[:, :1]),
        "sh_rest": flat(gaussians.sh[:, 1:]),
    }
