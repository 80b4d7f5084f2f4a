"""What the compact form of frames costs: ``python -m trackersplat.benchmarks.compact_cost``.

Without more, of made Gaussians of which a third moves: bytes per frame, seconds to make and to read one. With ``--run RUN --capture
CAPTURE``, of the frames of a run that keeps PLY files: bytes per Gaussian and decibels lost in held-out cameras, for several steps.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from trackersplat.captures.capture import Capture
from trackersplat.captures.registry import open_capture
from trackersplat.gaussians.codes import STEPS, CodeSettings
from trackersplat.gaussians.compact_file import KEY_FRAME_EVERY
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.rendering.registry import choose_rasterizer
from trackersplat.store.compact_frames import CompactFrames
from trackersplat.store.run import Run

FACTORS = (0.5, 1.0, 2.0, 4.0)  # times the steps of `CodeSettings`
MOVING = 1 / 3  # of the made Gaussians


@dataclass(frozen=True)
class Cost:
    """Of some frames in a folder."""

    bytes: list[int]
    make: list[float]  # processor seconds
    frames: CompactFrames


def made(count: int, frames: int) -> Iterator[Gaussians]:
    """Gaussians with the statistics of a refined frame of the demo: a third moves by its size and changes, the rest learns slowly."""
    random = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random)

    now = Gaussians(3 * noise(count, 3), noise(count, 4), noise(count, 3) - 5, 2 * noise(count), 0.1 * noise(count, 4, 3))
    moves = (torch.arange(count) < MOVING * count).float()[:, None] + 0.05
    for _ in range(frames):
        yield now
        now = Gaussians(
            now.means + moves * noise(count, 3) * now.scales,
            torch.nn.functional.normalize(now.quats, dim=1) + 0.06 * moves * noise(count, 4),
            now.log_scales + 0.2 * moves * noise(count, 3),
            now.opacity_logits + 0.4 * moves[:, 0] * noise(count),
            now.sh + moves[:, :, None] * noise(count, 4, 3) * torch.tensor([0.05, 0.005, 0.005, 0.005])[:, None],
        )


def write(folder: Path, frames: Iterable[Gaussians], settings: CodeSettings | None = None) -> Cost:
    """The compact form of frames, each but the first as what changed since the one before."""
    store = CompactFrames(settings)
    cost = Cost([], [], store)
    paths: dict[int, Path] = {}
    for frame, gaussians in enumerate(frames):
        started = time.process_time()
        content = store.make(frame, gaussians, moved=frame > 0)
        cost.make.append(time.process_time() - started)
        cost.bytes.append(len(content))
        paths[frame] = folder / f"{frame}.tsgf"
        paths[frame].write_bytes(content)
        store.update(paths)
    return cost


def _speed(folder: Path, count: int, frames: int) -> None:
    cost = write(folder, made(count, frames))
    forward, store = [], CompactFrames()
    store.update({frame: folder / f"{frame}.tsgf" for frame in range(frames)})
    for frame in range(frames):
        started = time.process_time()
        store.read(frame)
        forward.append(time.process_time() - started)
    far = CompactFrames()
    last = min(frames, KEY_FRAME_EVERY) - 1
    far.update({frame: folder / f"{frame}.tsgf" for frame in range(frames)})
    started = time.process_time()
    far.read(last)
    print(f"{count:,} Gaussians, {frames} frames, processor seconds")
    print(f"key frame {cost.bytes[0] / 1e6:.2f} MB, moved {statistics.fmean(cost.bytes[1:]) / 1e6:.2f} MB, median")
    print(f"make one {statistics.median(cost.make):.2f} s, read the next one {statistics.median(forward[1:]):.2f} s")
    print(f"jump to the last before a key frame {time.process_time() - started:.2f} s")


def _means(capture: Capture, frame: int, gaussians: Gaussians, rasterizer: Rasterizer) -> float:
    """PSNR, mean of the held-out cameras."""
    cameras = capture.held_out_cameras or (0,)
    images = rasterizer.render(gaussians.to(rasterizer.device), [capture.cameras[index] for index in cameras]).color.cpu()
    photographs = torch.stack([torch.from_numpy(capture.image(index, frame).copy()) for index in cameras]) / 255
    return float(_psnr(images.clamp(0, 1), photographs))


def _psnr(images: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """() mean over the images (B, H, W, 3) in 0..1."""
    return (-10 * torch.log10(((images - others) ** 2).mean(dim=(1, 2, 3)))).mean()


def _table(folder: Path, run: Run, capture: Capture, most: int) -> None:
    rasterizer = choose_rasterizer()
    frames = run.frames()[:most]
    exact = {frame: run.read_frame(frame) for frame in frames}
    judged = frames[:: max(len(frames) // 3, 1)]
    expected = {frame: _means(capture, frame, exact[frame], rasterizer) for frame in judged}
    print("steps  key  moved  bytes per Gaussian; PSNR lost, dB")
    for factor in FACTORS:
        plain = CodeSettings()
        settings = replace(plain, **{name: factor * getattr(plain, name) for name in STEPS})
        cost = write(folder, exact.values(), settings)
        lost = [expected[f] - _means(capture, f, cost.frames.read(frames.index(f)), rasterizer) for f in judged]
        sizes = [size / len(exact[frames[0]]) for size in cost.bytes]
        print(f"x{factor:<5g} {sizes[0]:.2f} {statistics.fmean(sizes[1:]):.2f}  " + " ".join(f"{value:.3f}" for value in lost), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gaussians", type=int, default=243_000)
    parser.add_argument("--frames", type=int, default=KEY_FRAME_EVERY)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--capture", default="demo")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="trackersplat-compact-") as name:
        if options.run is None:
            _speed(Path(name), options.gaussians, options.frames)
        else:
            _table(Path(name), Run.open(options.run), open_capture(options.capture), options.frames)


if __name__ == "__main__":
    main()
