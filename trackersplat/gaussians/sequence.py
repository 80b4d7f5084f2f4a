"""The compact form of a moving scene: quantised key frames and, between them, what changed since the frame before.

    sequence/manifest.json          frames, ranges of every attribute, size and SHA-256 of every file
    sequence/frame<N>.safetensors   one frame (counted from 1): per attribute a zlib stream of codes, or of code differences

A value keeps its code as long as it stays near it (see `SequenceSettings`), so what does not move costs next to nothing and
does not flicker. All frames hold equally many Gaussians, in the same order.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load, save
from torch import Tensor

from trackersplat.errors import InputError
from trackersplat.files import atomic_folder, read_json, write_json
from trackersplat.gaussians.gaussians import Gaussians

FILE_LIMIT = 4 << 30  # bytes; memory budget for files of others
GAUSSIANS_LIMIT = 50_000_000  # likewise
FLOAT32_MAX = float(np.finfo(np.float32).max)

# The format, which readers rely on.
FORMAT = 1
UNFINISHED = "unfinished"  # an empty file beside the manifest while what the sequence replaces is being removed
KEY_FRAME_EVERY = 15  # frames: a jump reads at most that many files
# Quantisation levels over the range of each component, chosen so that the demo loses less than a tenth of a dB.
LEVELS = {"means": 16383, "quats": 255, "log_scales": 127, "opacity_logits": 63, "sh_dc": 255, "sh_rest": 63}

Codes = dict[str, np.ndarray]  # attribute -> (N, D) unsigned; differences wrap around


@dataclass(frozen=True)
class SequenceSettings:
    """How a sequence is written."""

    keep_within: float = 0.65  # steps from its code up to which a value keeps it; 1 makes the demo a tenth smaller, for twice the loss


@dataclass(frozen=True)
class _Range:
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


@dataclass(frozen=True)
class GaussianSequence:
    """An opened compact sequence; frames are read and checked when asked for."""

    path: Path
    frames: tuple[int, ...]  # indices from 0
    count: int  # Gaussians in every frame
    sh_coefficients: int  # K
    _ranges: dict[str, _Range]
    _files: dict[str, dict[str, Any]]  # name -> {"bytes", "sha256"}

    @staticmethod
    def open(path: Path) -> GaussianSequence:
        """Raises InputError if the manifest is missing or broken."""
        manifest = path / "manifest.json"
        data = read_json(manifest)
        try:
            if data["format"] != FORMAT:
                raise InputError(f"{manifest} has format {data['format']!r}, this version reads {FORMAT}; update trackersplat.")
            count, coefficients = int(data["gaussians"]), int(data["sh_coefficients"])
            frames = tuple(int(number) - 1 for number in data["frames"])
            if frames != tuple(sorted(set(frames))) or min(frames, default=0) < 0:
                raise ValueError("its frames do not ascend from 1")
            ranges = {}
            for name, width in _widths(coefficients).items():
                low, high = (np.array(data["ranges"][name][end], np.float64) for end in ("low", "high"))
                if low.shape != (width,) or high.shape != (width,) or not (np.abs([low, high]) < FLOAT32_MAX).all():
                    raise ValueError(f"the range of {name}")
                ranges[name] = _Range(low, high, LEVELS[name])
            if not 0 <= count <= GAUSSIANS_LIMIT or coefficients not in (1, 4, 9, 16):
                raise ValueError(f"{count:,} Gaussians of {coefficients} SH coefficients")
            files = {name: dict(facts) for name, facts in data["files"].items()}
            return GaussianSequence(path, frames, count, coefficients, ranges, files)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InputError(f"{manifest} is not a sequence manifest of ours ({error}); make the sequence anew.") from error

    def read(self, frame: int) -> Gaussians:
        """All Gaussians of a frame, on the CPU, in the order of the original. Raises InputError if a file is damaged."""
        if frame not in self.frames:
            raise InputError(f"{self.path} has no frame {frame + 1}.")
        position = self.frames.index(frame)
        codes: Codes = {}
        for earlier in self.frames[position - position % KEY_FRAME_EVERY : position + 1]:
            codes = self._add(codes, earlier)
        values = {name: quantiser.decode(codes[name]) for name, quantiser in self._ranges.items()}
        sh = np.concatenate((values["sh_dc"], values["sh_rest"]), axis=1).reshape(self.count, self.sh_coefficients, 3)
        tensors = {name: torch.from_numpy(values[name]) for name in ("means", "quats", "log_scales")}
        return Gaussians(**tensors, opacity_logits=torch.from_numpy(values["opacity_logits"][:, 0].copy()), sh=torch.from_numpy(sh))

    def _add(self, codes: Codes, frame: int) -> Codes:
        """The codes of ``frame``, given those of the frame before it (none at a key frame)."""
        path = self.path / f"frame{frame + 1}.safetensors"
        streams = self._load(path)
        result = {}
        try:
            for name, quantiser in self._ranges.items():
                change = _unpack(streams[name].tobytes(), self.count, quantiser)
                result[name] = change if not codes else codes[name] + change
            return result
        except (KeyError, ValueError, zlib.error) as error:
            raise InputError(f"{path} does not fit its manifest ({error}); make the sequence anew.") from error

    def _load(self, path: Path) -> dict[str, np.ndarray]:
        expected = self._files.get(path.name, {})
        try:
            if not path.is_file():
                raise InputError(f"{path} is missing, or no file; make the sequence anew.")
            size = path.stat().st_size
            if size > FILE_LIMIT or size != expected.get("bytes"):
                raise InputError(f"{path} has {size:,} bytes, the manifest says {expected.get('bytes')}; make the sequence anew.")
            content = path.read_bytes()
        except OSError as error:
            raise InputError(f"Cannot read {path}: {error.strerror}.") from error
        if hashlib.sha256(content).hexdigest() != expected.get("sha256"):
            raise InputError(f"{path} is damaged (its SHA-256 is not that of the manifest); make the sequence anew.")
        try:
            return load(content)
        except SafetensorError as error:
            raise InputError(f"{path} is not a safetensors file ({error}); make the sequence anew.") from error


def write_sequence(
    path: Path,
    frames: Sequence[int],
    read: Callable[[int], Gaussians],
    settings: SequenceSettings | None = None,
    *,
    unfinished: bool = False,
) -> int:
    """Writes the frames given by ``read`` to the folder ``path`` (replaced as a whole) and returns its bytes.

    Reads every frame twice. ``unfinished``: marked with `UNFINISHED`, for a caller that removes next what the sequence replaces.
    Raises InputError if the frames do not hold the same Gaussians.
    """
    for _ in written_frames(path, frames, read, settings, unfinished=unfinished):
        pass
    return sum(file.stat().st_size for file in path.iterdir())


def written_frames(
    path: Path,
    frames: Sequence[int],
    read: Callable[[int], Gaussians],
    settings: SequenceSettings | None = None,
    *,
    unfinished: bool = False,
) -> Iterator[int]:
    """`write_sequence`, giving each frame when it is encoded. The folder appears after the last one; closing the iterator cancels."""
    first = read(frames[0])
    ranges = _ranges(frames, read)
    files: dict[str, dict[str, Any]] = {}
    with atomic_folder(path, durable=True) as folder:
        for frame, streams in zip(frames, _streams(frames, read, ranges, settings or SequenceSettings()), strict=True):
            content = save(streams)
            name = f"frame{frame + 1}.safetensors"
            (folder / name).write_bytes(content)
            files[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            yield frame
        manifest = {
            "format": FORMAT,
            "frames": [frame + 1 for frame in frames],
            "gaussians": len(first),
            "sh_coefficients": first.sh.shape[1],
            "ranges": {name: {"low": r.low.tolist(), "high": r.high.tolist()} for name, r in ranges.items()},
            "files": files,
        }
        write_json(folder / "manifest.json", manifest)
        if unfinished:
            (folder / UNFINISHED).touch()
        written = GaussianSequence.open(folder)
        for frame in sorted({*frames[KEY_FRAME_EVERY - 1 :: KEY_FRAME_EVERY], frames[-1]}):  # each reads all back to its key frame
            written.read(frame)


def _streams(
    frames: Sequence[int], read: Callable[[int], Gaussians], ranges: dict[str, _Range], settings: SequenceSettings
) -> Iterator[dict[str, np.ndarray]]:
    previous: Codes = {}
    for position, frame in enumerate(frames):
        columns = _columns(read(frame))
        codes = {name: ranges[name].encode(values, previous.get(name), settings.keep_within) for name, values in columns.items()}
        is_key = position % KEY_FRAME_EVERY == 0
        changes = codes if is_key else {name: codes[name] - previous[name] for name in codes}
        yield {name: np.frombuffer(_pack(change), np.uint8) for name, change in changes.items()}
        previous = codes


def _pack(change: np.ndarray) -> bytes:
    """A zlib stream of codes or differences: component after component, all low bytes before all high ones."""
    components = np.ascontiguousarray(change.T).reshape(-1, 1)
    return zlib.compress(components.view(np.uint8).T.tobytes(), 9)


def _unpack(stream: bytes, count: int, quantiser: _Range) -> np.ndarray:
    """(N, D) unsigned: the inverse of _pack. Raises ValueError if the stream has another length."""
    width, size = quantiser.low.size, np.dtype(quantiser.dtype).itemsize
    expected = count * width * size
    content = zlib.decompressobj().decompress(stream, expected + 1)
    if len(content) != expected:
        raise ValueError(f"a stream of other than {expected:,} bytes")
    components = np.frombuffer(content, np.uint8).reshape(size, -1).T.copy().view(quantiser.dtype)
    return components.reshape(width, count).T


def _ranges(frames: Sequence[int], read: Callable[[int], Gaussians]) -> dict[str, _Range]:
    """The range of every attribute over all frames."""
    low: dict[str, np.ndarray] = {}
    high: dict[str, np.ndarray] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for frame in frames:
        for name, values in _columns(read(frame)).items():
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
        name: _Range(low.get(name, nothing).astype(np.float64), high.get(name, nothing).astype(np.float64), levels)
        for name, levels in LEVELS.items()
    }


def _widths(coefficients: int) -> dict[str, int]:
    """Components of every attribute."""
    return {"means": 3, "quats": 4, "log_scales": 3, "opacity_logits": 1, "sh_dc": 3, "sh_rest": 3 * (coefficients - 1)}


def _columns(gaussians: Gaussians) -> dict[str, np.ndarray]:
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
