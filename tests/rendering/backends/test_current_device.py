"""Kernels of Triton run on the thread's current device, which need not be that of the rasteriser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.backends import cuda
from trackersplat.rendering.backends.cuda import CameraTensors, CudaRasterizer, Lists, Projected
from trackersplat.rendering.rasterizer import PrepareProgress, Rendering


class _Noting(CudaRasterizer[Projected]):
    """Says on which device each stage would start its kernels."""

    name, tile, alpha_max = "noting", 8, 0.99

    def __init__(self, now: list[torch.device]) -> None:
        super().__init__("cpu")
        self._now, self.stages = now, list[tuple[str, torch.device]]()

    def _note(self, stage: str) -> None:
        self.stages.append((stage, self._now[-1]))

    def project(self, gaussians: Gaussians, cameras: CameraTensors, degree: int | None) -> Projected:
        self._note("project")
        return Projected(*(torch.zeros(0) for _ in range(5)))

    def lists(self, seen: Projected, cameras: CameraTensors, tile: int) -> Lists:
        self._note("lists")
        return Lists(torch.zeros(0), torch.zeros(0))

    def blend(
        self,
        gaussians: Gaussians,
        seen: Projected,
        cameras: CameraTensors,
        lists: Lists,
        channels: Tensor | None,
        background: Tensor | None,
    ) -> Rendering:
        self._note("blend")
        return Rendering(*(torch.zeros(0) for _ in range(3)))

    def blend_color(self, gaussians: Gaussians, seen: Projected, cameras: CameraTensors, lists: Lists, background: Tensor | None) -> Tensor:
        self._note("blend")
        return torch.zeros(0)

    def is_prepared(self) -> bool:
        return True

    def prepare(self, progress: PrepareProgress | None = None) -> None: ...


@pytest.mark.parametrize("way", ["render", "color"])
def test_every_stage_runs_with_the_device_of_the_rasteriser_as_the_current_one(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [torch.device("meta")]

    @contextmanager
    def current(device: torch.device) -> Iterator[None]:
        now.append(device)
        yield
        now.pop()

    monkeypatch.setattr(cuda, "current", current)
    rasterizer, camera = _Noting(now), Camera("cam", 8, 8, np.array([[8.0, 0, 4], [0, 8, 4], [0, 0, 1]]), np.eye(4))
    one = Gaussians(torch.zeros(1, 3), torch.ones(1, 4), torch.zeros(1, 3), torch.zeros(1), torch.zeros(1, 1, 3))
    if way == "render":
        rasterizer.render(one, [camera])
    else:
        fused = rasterizer.fused_color()
        assert fused is not None
        fused(one, camera)
    assert rasterizer.stages == [(stage, rasterizer.device) for stage in ("project", "lists", "blend")]
    assert now == [torch.device("meta")]
