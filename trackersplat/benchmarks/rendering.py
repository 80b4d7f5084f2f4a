"""How fast the back ends of this machine render: ``python -m trackersplat.benchmarks.rendering``."""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.geometry.projection import look_at
from trackersplat.rendering.lift import lift
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.rendering.registry import BACKENDS, choose_rasterizer


@dataclass(frozen=True)
class Timing:
    """Median wall milliseconds of one back end, projection included."""

    backend: str
    device: str
    gaussians: int
    width: int
    height: int
    sh_degree: int
    forward: float  # without gradient
    forward_backward: float  # all raw parameters, loss on the colour
    lift: float  # of 12 channels


def surface_scene(count: int, sh_degree: int = 0, seed: int = 0) -> Gaussians:
    """Flat Gaussians on a floor and four spheres, as reconstructions look: opaque surfaces, sizes that just overlap."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    spheres = torch.tensor([[-1.2, 0.6, 0.6, 0.6], [0.9, 0.9, 0.6, 0.6], [0.6, -1.1, 0.5, 0.5], [-1.0, -1.2, 0.7, 0.7]])
    floor = count // 2
    which = torch.randint(len(spheres), (count - floor,), generator=generator)
    normals = torch.nn.functional.normalize(normal(count - floor, 3), dim=1)
    points = torch.cat(
        [
            torch.cat([uniform(floor, 2) * 6 - 3, torch.zeros(floor, 1)], 1),
            spheres[which, :3] + normals * spheres[which, 3:],
        ]
    )
    normals = torch.cat([torch.tensor([[0.0, 0.0, 1.0]]).expand(floor, 3), normals])
    area = torch.cat([torch.full((floor,), 36.0 / floor), 4 * math.pi * spheres[which, 3] ** 2 * len(spheres) / (count - floor)])
    scales = torch.sqrt(area)[:, None] * torch.tensor([0.75, 0.75, 0.11]) * torch.exp(0.15 * normal(count, 3))
    # the rotation that takes z to the normal
    quats = torch.stack([1 + normals[:, 2], -normals[:, 1], normals[:, 0], torch.zeros(count)], 1)
    quats[normals[:, 2] < -0.999] = torch.tensor([0.0, 1.0, 0.0, 0.0])
    checks = ((torch.floor(points * 3).sum(1) % 2) * 0.6 + 0.2)[:, None] * uniform(1, 3) + 0.02 * normal(count, 3)
    coefficients = torch.zeros(count, (sh_degree + 1) ** 2, 3)
    coefficients[:, 0] = (checks - 0.5) / SH_C0
    coefficients[:, 1:] = 0.05 * normal(count, coefficients.shape[1] - 1, 3)
    opacities = (0.88 + 0.08 * normal(count)).clamp(0.3, 0.99)
    return Gaussians(points, quats, torch.log(scales), torch.logit(opacities), coefficients)


def scene_camera(width: int, height: int) -> Camera:
    """Looks at the scene from above with a horizontal field of view of 60 degrees."""
    eye, target = np.array([3.2, -3.4, 2.4]), np.array([0.0, 0.0, 0.4])
    pose = look_at(eye, target, np.array([0.0, 0.0, 1.0]))
    focal = 0.5 * width / math.tan(math.radians(30))
    return Camera("benchmark", width, height, np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]]), pose)


def _median_ms(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    def synchronise() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    times = []
    for _ in range(repeats + 3):  # the first three warm caches up
        synchronise()
        start = time.perf_counter()
        work()
        synchronise()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times[3:])


def measure(rasterizer: Rasterizer, count: int, width: int, height: int, sh_degree: int, repeats: int = 30) -> Timing:
    """Times one back end on the scene above."""
    scene = surface_scene(count, sh_degree).to(rasterizer.device)
    scene = Gaussians(**{name: tensor.requires_grad_() for name, tensor in scene.tensors().items()})
    camera = scene_camera(width, height)
    target = torch.rand(1, height, width, 3, generator=torch.Generator().manual_seed(0)).to(rasterizer.device)
    features = torch.rand(1, height, width, 12, generator=torch.Generator().manual_seed(1)).to(rasterizer.device)

    def forward() -> None:
        with torch.no_grad():
            rasterizer.render(scene, [camera])

    def forward_backward() -> None:
        color = rasterizer.render(scene, [camera]).color
        torch.autograd.grad(color, list(scene.tensors().values()), color.detach() - target)

    return Timing(
        backend=rasterizer.name,
        device=rasterizer.describe(),
        gaussians=count,
        width=width,
        height=height,
        sh_degree=sh_degree,
        forward=_median_ms(forward, rasterizer.device, repeats),
        forward_backward=_median_ms(forward_backward, rasterizer.device, repeats),
        lift=_median_ms(lambda: lift(rasterizer, scene, [camera], features), rasterizer.device, repeats),
    )


def main(
    gaussians: int = 20000,
    size: str = "320x240",
    sh_degree: tuple[int, ...] = (0, 1, 3),
    repeats: int = 30,
    json_file: Path | None = None,
) -> None:
    """Times the rendering back ends of this machine on a synthetic scene of surfaces.

    Args:
        gaussians: How many.
        size: Of the image, WIDTHxHEIGHT.
        sh_degree: Degrees of the colours to measure, each a row.
        repeats: The median of so many runs is shown.
        json_file: Write the numbers here too.
    """
    from rich.console import Console
    from rich.table import Table

    parts = size.lower().split("x")
    if len(parts) != 2 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise InputError(f"--size must be WIDTHxHEIGHT such as 320x240, got {size!r}.")
    width, height = int(parts[0]), int(parts[1])
    console = Console()
    timings = []
    for backend in BACKENDS.names():
        missing = BACKENDS.why_unavailable(backend)
        if missing is not None:
            console.print(f"{backend}: left out, {missing}", highlight=False)
            continue
        rasterizer = choose_rasterizer(backend=backend)
        rasterizer.prepare()
        timings += [measure(rasterizer, gaussians, width, height, degree, repeats) for degree in sh_degree]
    table = Table(title=f"{gaussians:,} Gaussians at {width}x{height}, median milliseconds of {repeats}")
    for column in ("back end", "SH degree", "forward", "forward + backward", "lift 12 channels"):
        table.add_column(column, justify="left" if column == "back end" else "right")
    for timing in timings:
        numbers = (timing.forward, timing.forward_backward, timing.lift)
        table.add_row(timing.device, str(timing.sh_degree), *(f"{number:.1f}" for number in numbers))
    console.print(table)
    if json_file is not None:
        json_file.write_text(json.dumps([asdict(timing) for timing in timings], indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    import sys

    import tyro

    try:
        tyro.cli(main)
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
