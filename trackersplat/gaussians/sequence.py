"""The compact form of a moving scene: what never changes is stored once, the rest per frame, all of it quantised.

    sequence/manifest.json          frames, ranges of every attribute, size and SHA-256 of every file
    sequence/static.safetensors     Gaussians that are the same in all frames, and which ones they are
    sequence/frame<N>.safetensors   the others, as they are in frame N (counted from 1)

Means take 16 bits per axis over their bounding box, everything else 8 bits over its range: at 25k Gaussians of degree 0
about 17 bytes each, against 68 in a PLY. All frames must hold the same Gaussians in the same order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
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

FORMAT = 1
FILE_LIMIT = 4 << 30  # bytes
_LEVELS = {"means": 65535}  # every other attribute: 255


@dataclass(frozen=True)
class _Range:
    """Linear quantisation of one attribute, per component."""

    low: np.ndarray  # (D,)
    high: np.ndarray  # (D,)
    levels: int

    @property
    def _step(self) -> np.ndarray:
        return np.maximum(self.high - self.low, 1e-12) / self.levels

    def encode(self, values: np.ndarray) -> np.ndarray:
        codes = np.rint((values - self.low) / self._step)
        return codes.clip(0, self.levels).astype(np.uint16 if self.levels > 255 else np.uint8)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        return (self.low + codes.astype(np.float64) * self._step).astype(np.float32)

    def to_json(self) -> dict[str, Any]:
        return {"low": self.low.tolist(), "high": self.high.tolist(), "levels": self.levels}


@dataclass(frozen=True)
class GaussianSequence:
    """An opened compact sequence; frames are read and checked when asked for."""

    path: Path
    frames: tuple[int, ...]  # indices from 0
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
            ranges = {
                name: _Range(np.array(r["low"], np.float64), np.array(r["high"], np.float64), int(r["levels"]))
                for name, r in data["ranges"].items()
            }
            frames = tuple(int(number) - 1 for number in data["frames"])
            return GaussianSequence(path, frames, int(data["sh_coefficients"]), ranges, dict(data["files"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{manifest} is not a sequence manifest of ours ({error}); make the sequence anew.") from error

    def read(self, frame: int) -> Gaussians:
        """All Gaussians of a frame, on the CPU, in the order of the original. Raises InputError if a file is damaged."""
        if frame not in self.frames:
            raise InputError(f"{self.path} has no frame {frame + 1}.")
        static, moving = self._load("static"), self._load(f"frame{frame + 1}")
        try:
            count = int(static["count"][0])
            if not 0 <= count <= 8 * static["is_static"].size:
                raise ValueError(f"a count of {count:,}")
            is_static = np.unpackbits(static["is_static"], count=count).astype(bool)
            tensors = {}
            for name, quantiser in self._ranges.items():
                values = np.empty((len(is_static), quantiser.low.size), np.float32)
                values[is_static] = quantiser.decode(static[name])
                values[~is_static] = quantiser.decode(moving[name])
                tensors[name] = torch.from_numpy(values)
            tensors["opacity_logits"] = tensors["opacity_logits"].squeeze(1)
            tensors["sh"] = tensors["sh"].reshape(len(is_static), self.sh_coefficients, 3)
            return Gaussians(**tensors)
        except (KeyError, ValueError, TypeError, IndexError, RuntimeError) as error:
            raise InputError(f"{self.path} does not fit together at frame {frame + 1} ({error}); make the sequence anew.") from error

    def _load(self, stem: str) -> dict[str, np.ndarray]:
        path = self.path / f"{stem}.safetensors"
        expected = self._files.get(path.name, {})
        try:
            if path.stat().st_size > FILE_LIMIT or path.stat().st_size != expected.get("bytes"):
                raise InputError(
                    f"{path} has {path.stat().st_size:,} bytes, the manifest says {expected.get('bytes')}; make the sequence anew."
                )
            content = path.read_bytes()
        except OSError as error:
            raise InputError(f"Cannot read {path}: {error.strerror}.") from error
        if hashlib.sha256(content).hexdigest() != expected.get("sha256"):
            raise InputError(f"{path} is damaged (its SHA-256 is not that of the manifest); make the sequence anew.")
        try:
            return load(content)
        except SafetensorError as error:
            raise InputError(f"{path} is not a safetensors file ({error}); make the sequence anew.") from error


def write_sequence(path: Path, frames: Sequence[int], read: Callable[[int], Gaussians]) -> int:
    """Writes the frames given by ``read`` to the folder ``path`` (replaced as a whole) and returns its bytes.

    Reads every frame twice, holds two at a time. Raises InputError if the frames do not hold the same Gaussians.
    """
    is_static, ranges, coefficients = _survey(frames, read)
    files: dict[str, dict[str, Any]] = {}

    with atomic_folder(path) as folder:

        def put(stem: str, tensors: dict[str, np.ndarray]) -> None:
            content = save(tensors)
            (folder / f"{stem}.safetensors").write_bytes(content)
            files[f"{stem}.safetensors"] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

        for frame in frames:
            columns = _columns(read(frame))
            if frame == frames[0]:
                static = {name: ranges[name].encode(values[is_static]) for name, values in columns.items()}
                put("static", {**static, "is_static": np.packbits(is_static), "count": np.array([len(is_static)], np.int64)})
            put(f"frame{frame + 1}", {name: ranges[name].encode(values[~is_static]) for name, values in columns.items()})
        manifest = {
            "format": FORMAT,
            "frames": [frame + 1 for frame in frames],
            "sh_coefficients": coefficients,
            "gaussians": len(is_static),
            "moving": int((~is_static).sum()),
            "ranges": {name: quantiser.to_json() for name, quantiser in ranges.items()},
            "files": files,
        }
        write_json(folder / "manifest.json", manifest)
    written = GaussianSequence.open(path)
    for frame in frames:
        written.read(frame)
    return sum(file.stat().st_size for file in path.iterdir())


def _survey(frames: Sequence[int], read: Callable[[int], Gaussians]) -> tuple[np.ndarray, dict[str, _Range], int]:
    """Which Gaussians never change (N,), the range of every attribute, and the number of SH coefficients."""
    first = read(frames[0])
    reference = _columns(first)
    unchanged = np.ones(len(first), bool)
    low = {name: values.min(0) for name, values in reference.items()}
    high = {name: values.max(0) for name, values in reference.items()}
    for frame in frames[1:]:
        columns = _columns(read(frame))
        for name, values in columns.items():
            if values.shape != reference[name].shape:
                raise InputError(
                    f"Frame {frame + 1} has {len(values):,} Gaussians ({name} of {values.shape[1]} numbers), frame {frames[0] + 1} has "
                    f"{len(first):,} (of {reference[name].shape[1]}): only frames that were moved from one another share a sequence."
                )
            unchanged &= (values == reference[name]).all(1)
            low[name] = np.minimum(low[name], values.min(0))
            high[name] = np.maximum(high[name], values.max(0))
    ranges = {name: _Range(low[name].astype(np.float64), high[name].astype(np.float64), _LEVELS.get(name, 255)) for name in reference}
    return unchanged, ranges, first.sh.shape[1]


def _columns(gaussians: Gaussians) -> dict[str, np.ndarray]:
    """Attributes as (N, D) float32; quaternions normalised with w >= 0, opacities kept within what rendering can tell."""

    def flat(tensor: Tensor) -> np.ndarray:
        return tensor.detach().cpu().reshape(len(gaussians), -1).numpy()

    quats = torch.nn.functional.normalize(gaussians.quats, dim=1)
    return {
        "means": flat(gaussians.means),
        "quats": flat(torch.where(quats[:, :1] < 0, -quats, quats)),
        "log_scales": flat(gaussians.log_scales),
        "opacity_logits": flat(gaussians.opacity_logits.clamp(-7.0, 7.0)),
        "sh": flat(gaussians.sh),
    }
