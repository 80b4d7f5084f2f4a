"""The compact form of a moving scene: quantised key frames and, between them, what changed since the frame before.

    sequence/manifest.json          frames, ranges of every attribute, size and SHA-256 of every file
    sequence/frame<N>.safetensors   one frame (counted from 1): per attribute a zlib stream of codes, or of code differences

See `gaussians.quantised`. All frames hold equally many Gaussians, in the same order.
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

from trackersplat.errors import InputError
from trackersplat.files import atomic_folder, read_json, size_of, write_json
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.quantised import KEY_FRAME_EVERY, LEVELS, Codes, Range, SequenceSettings, ranges_of, streams, unpack, widths

FILE_LIMIT = 4 << 30  # bytes; memory budget for files of others
GAUSSIANS_LIMIT = 50_000_000  # likewise
FLOAT32_MAX = float(np.finfo(np.float32).max)

FORMAT = 1


@dataclass(frozen=True)
class GaussianSequence:
    """An opened compact sequence; frames are read and checked when asked for."""

    path: Path
    frames: tuple[int, ...]  # indices from 0
    count: int  # Gaussians in every frame
    sh_coefficients: int  # K
    _ranges: dict[str, Range]
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
            for name, width in widths(coefficients).items():
                low, high = (np.array(data["ranges"][name][end], np.float64) for end in ("low", "high"))
                if low.shape != (width,) or high.shape != (width,) or not (np.abs([low, high]) < FLOAT32_MAX).all():
                    raise ValueError(f"the range of {name}")
                ranges[name] = Range(low, high, LEVELS[name])
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
        packed = self._load(path)
        result = {}
        try:
            for name, quantiser in self._ranges.items():
                change = unpack(packed[name].tobytes(), self.count, quantiser)
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
) -> int:
    """Writes the frames given by ``read`` to the folder ``path`` (replaced as a whole) and returns its bytes.

    Reads every frame twice. Raises InputError if the frames do not hold the same Gaussians.
    """
    for _ in written_frames(path, frames, read, settings):
        pass
    return size_of(path)


def written_frames(
    path: Path,
    frames: Sequence[int],
    read: Callable[[int], Gaussians],
    settings: SequenceSettings | None = None,
) -> Iterator[int]:
    """`write_sequence`, giving each frame when it is encoded. The folder appears after the last one; closing the iterator cancels."""
    first = read(frames[0])
    ranges = ranges_of(frames, read)
    files: dict[str, dict[str, Any]] = {}
    with atomic_folder(path, durable=True) as folder:
        for frame, packed in zip(frames, streams(frames, read, ranges, settings or SequenceSettings()), strict=True):
            content = save(packed)
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
        written = GaussianSequence.open(folder)
        for frame in sorted({*frames[KEY_FRAME_EVERY - 1 :: KEY_FRAME_EVERY], frames[-1]}):  # each reads all back to its key frame
            written.read(frame)
