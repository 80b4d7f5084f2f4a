"""Whether the cost of a batch depends on how many frames came before it: ``python -m trackersplat.benchmarks.chain_cost``.

Makes runs of a small scene with many frames already on disk, goes on from there, and times from one batch to the next.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.events import Stage
from trackersplat.files import write_json
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.lineage import Lineage
from trackersplat.jobs.reconstruct import frame_done, reconstruct
from trackersplat.motion.motion import CarriedMotion
from trackersplat.pipelines.pipeline import ChainState, FrameResult, Origin
from trackersplat.pipelines.settings import ReconstructSettings
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.rendering.registry import choose_rasterizer
from trackersplat.store.run import Run

WIDTH, HEIGHT = 64, 48
COUNT = 600  # Gaussians
BATCHES = 8  # timed ones


@dataclass(frozen=True)
class ChainCost:
    """Of going on after ``before`` frames."""

    before: int
    resume: float  # seconds from the start of the job to its first batch
    batch: float  # seconds from one batch to the next, median
    slowest: float


class _MovingTexture:
    """Images of a texture that moves a pixel per frame."""

    def __init__(self) -> None:
        self._texture = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)

    def read(self, camera: int, frame: int) -> np.ndarray:
        return np.roll(self._texture, frame + 3 * camera, axis=1)

    def prefetch(self, wanted: Iterable[tuple[int, int]]) -> None: ...

    def close(self) -> None: ...


def chain_cost(before: int, folder: Path, rasterizer: Rasterizer, now: Callable[[], float] = time.perf_counter) -> ChainCost:
    """Makes a run with ``before`` frames in ``folder`` and times the batches that follow."""
    capture = _capture(before + BATCHES + 2)
    plain = ReconstructSettings.for_device(rasterizer.device.type)
    settings = dataclasses.replace(plain, refine=dataclasses.replace(plain.refine, steps=2), metrics=("psnr", "ssim"))
    run = Run.create(folder, capture, {"settings": settings.to_json()})
    run.write_metrics()
    state = _first_state(rasterizer.device)
    none = torch.zeros(0, dtype=torch.long)
    for frame in range(before):
        state = dataclasses.replace(state, frame=frame)
        result = FrameResult(state, frame - 1 if frame else None, None, none, 2, {"psnr": {"cam0": 20.0}}, {}, {"refine": 0.1})
        run.write_frame(result, frame_done(result, capture), capture)
    started, starts = now(), []
    run = Run.open(folder)
    for event in reconstruct(capture, run, range(before, before + BATCHES + 2), settings, rasterizer):
        if isinstance(event, Stage) and event.name == "track":
            starts.append(now())
    seconds = [later - earlier for earlier, later in itertools.pairwise(starts[1:])]  # the first one warms up
    return ChainCost(before, starts[0] - started, statistics.median(seconds), max(seconds))


def _capture(frames: int) -> Capture:
    intrinsics = np.array([[60.0, 0, WIDTH / 2], [0, 60.0, HEIGHT / 2], [0, 0, 1]])
    cameras = []
    for index in range(4):
        pose = np.eye(4)
        pose[:3, 3] = (0.2 * index - 0.3, 0.0, 2.0)
        cameras.append(Camera(f"cam{index}", WIDTH, HEIGHT, intrinsics, pose))
    return Capture("chain", Path("chain"), "made", tuple(cameras), frames, 30.0, _MovingTexture(), held_out=("cam0",))


def _first_state(device: torch.device) -> ChainState:
    random = torch.Generator().manual_seed(0)
    quats = torch.zeros(COUNT, 4)
    quats[:, 0] = 1
    gaussians = Gaussians(
        means=torch.rand(COUNT, 3, generator=random) * 2 - 1,
        quats=quats,
        log_scales=torch.full((COUNT, 3), -3.0),
        opacity_logits=torch.ones(COUNT),
        sh=torch.randn(COUNT, 1, 3, generator=random),
    ).to(device)
    pending, velocity, turning = (torch.zeros(COUNT, 3, device=device) for _ in range(3))  # a file takes no tensors that share memory
    carried = CarriedMotion(pending, velocity, turning, torch.zeros(COUNT, device=device))
    return ChainState(0, gaussians, Lineage.of_first_frame(0, COUNT).to(device), Origin(0, gaussians), carried)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m trackersplat.benchmarks.chain_cost", description=__doc__)
    parser.add_argument("--before", type=int, nargs="+", default=[10, 300], help="frames on disk before the timed ones")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    options = parser.parse_args(arguments)
    rasterizer = choose_rasterizer()
    costs = []
    print(f"{rasterizer.describe()}, {COUNT} Gaussians, batches of one frame")
    for before in options.before:
        with tempfile.TemporaryDirectory(prefix="trackersplat-chain-") as folder:
            cost = chain_cost(before, Path(folder) / "run", rasterizer)
        costs.append(cost)
        print(
            f"after {before:4d} frames: {1e3 * cost.batch:7.1f} ms per batch (slowest {1e3 * cost.slowest:.1f}), resume {cost.resume:.2f} s"
        )
    ratio = costs[-1].batch / costs[0].batch
    print(f"ratio {ratio:.2f}")
    if options.json is not None:
        write_json(options.json, {"costs": [dataclasses.asdict(cost) for cost in costs], "ratio": ratio})
        print(json.dumps({"written": str(options.json)}))


if __name__ == "__main__":
    main()
