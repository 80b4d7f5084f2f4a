"""The lists of tiles name the Gaussians that reach them, front to back, and leave the image as it is.

On CUDA, or where Triton interprets its kernels on the CPU (TRITON_INTERPRET=1)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from trackersplat.benchmarks.rendering import scene_camera, surface_scene
from trackersplat.rendering.backends import gsplat as backend
from trackersplat.rendering.registry import BACKENDS, choose_rasterizer
from trackersplat.rendering.rules import ALPHA_MIN

GSPLAT_MISSING = BACKENDS.why_unavailable("gsplat")
pytestmark = [pytest.mark.cuda, pytest.mark.timeout(600)]
WIDTH, HEIGHT, TILE = 70, 50, 8
COLUMNS, ROWS = math.ceil(WIDTH / TILE), math.ceil(HEIGHT / TILE)


def _seen(seed: int, views: int = 2, count: int = 80) -> tuple[Tensor, ...]:
    """Ellipses of all shapes in and around an image, as a projection gives them: means2d, radii, depths, conics, opacities."""
    random = torch.Generator().manual_seed(seed)
    means = torch.rand(views, count, 2, generator=random) * torch.tensor([WIDTH + 40.0, HEIGHT + 40.0]) - 20
    factors = torch.randn(views, count, 2, 2, generator=random) * 8 * torch.rand(views, count, 1, 1, generator=random)
    covariances = factors @ factors.transpose(-1, -2) + 0.3 * torch.eye(2)
    inverse = torch.linalg.inv(covariances)
    opacities = torch.rand(count, generator=random) ** 2
    reach = torch.sqrt(2 * torch.log(opacities / ALPHA_MIN).clamp_min(0)).clamp_max(3.33)
    radii = torch.ceil(reach[:, None] * covariances.diagonal(dim1=2, dim2=3).sqrt()).int()
    beside = ((means + radii <= 0) | (means - radii >= torch.tensor([WIDTH, HEIGHT]))).any(dim=2)
    radii[beside] = 0
    depths = 1 + 5 * torch.rand(views, count, generator=random)
    conics = torch.stack((inverse[..., 0, 0], inverse[..., 0, 1], inverse[..., 1, 1]), dim=2)
    return means, radii, depths, conics, opacities


def _reached(means: Tensor, radii: Tensor, depths: Tensor, conics: Tensor, opacities: Tensor) -> dict[tuple[int, int, int], set[int]]:
    """By trying every pixel of every tile."""
    found = {}
    for view in range(len(means)):
        x, y = torch.arange(WIDTH) + 0.5 - means[view, :, :1], torch.arange(HEIGHT) + 0.5 - means[view, :, 1:]
        a, b, c = conics[view].T[..., None, None]
        exponent = 0.5 * (a * x[:, None] ** 2 + c * y[:, :, None] ** 2) + b * x[:, None] * y[:, :, None]
        shown = (opacities[:, None, None] * torch.exp(-exponent) >= ALPHA_MIN) & (radii[view, :, 0] > 0)[:, None, None]
        for row in range(ROWS):
            for column in range(COLUMNS):
                part = shown[:, row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
                found[view, row, column] = set(torch.nonzero(part.flatten(1).any(dim=1))[:, 0].tolist())
    return found


@pytest.mark.parametrize("seed", range(5))
def test_every_tile_lists_what_reaches_it_front_to_back(device: torch.device, seed: int) -> None:
    from trackersplat.rendering.backends.tiles_triton import entries_needed, tile_lists

    seen = _seen(seed)
    means, radii, depths, conics, opacities = (tensor.to(device) for tensor in seen)
    found = tile_lists(means, radii, depths, conics, opacities, WIDTH, HEIGHT, TILE)
    assert int(found.needed) == len(found.ids) == int(entries_needed(means, radii, conics, opacities, WIDTH, HEIGHT, TILE))
    ids, starts = found.ids.tolist(), [*found.offsets.flatten().tolist(), len(found.ids)]
    reached, more = _reached(*seen), 0
    for place, (view, row, column) in enumerate(reached):
        listed = [index - view * len(opacities) for index in ids[starts[place] : starts[place + 1]]]
        assert reached[view, row, column] <= set(listed)
        assert len(set(listed)) == len(listed)
        assert listed == sorted(listed, key=lambda index, view=view: float(seen[2][view, index]))
        more += len(listed) - len(reached[view, row, column])
    assert more < 0.05 * len(ids)  # no more than what lies on the border, by rounding and between the centres of pixels


def test_with_room_what_is_left_over_lies_below_the_image_and_what_is_too_much_is_told(device: torch.device) -> None:
    from trackersplat.rendering.backends.tiles_triton import tile_lists

    means, radii, depths, conics, opacities = ((tensor[:1] if tensor.ndim > 1 else tensor).to(device) for tensor in _seen(7))
    exact = tile_lists(means, radii, depths, conics, opacities, WIDTH, HEIGHT, TILE)
    count = len(exact.ids)
    roomy = tile_lists(means, radii, depths, conics, opacities, WIDTH, HEIGHT, TILE, room=count + 100)
    assert torch.equal(roomy.ids[:count], exact.ids)
    assert torch.equal(roomy.offsets[:, :ROWS], exact.offsets)
    assert roomy.offsets[0, ROWS].tolist() == [count, *[count + 100] * (COLUMNS - 1)]
    tight = tile_lists(means, radii, depths, conics, opacities, WIDTH, HEIGHT, TILE, room=count // 2)
    assert int(tight.needed) == count
    assert len(tight.ids) == count // 2


@pytest.mark.skipif(GSPLAT_MISSING is not None, reason=f"gsplat cannot run here: {GSPLAT_MISSING}")
def test_the_picture_is_that_of_the_lists_of_gsplat_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, camera = surface_scene(8000, 1).to("cuda"), scene_camera(320, 240)
    rasterizer, channels = choose_rasterizer(backend="gsplat"), torch.randn(8000, 40, device="cuda")
    ours = rasterizer.render(scene, [camera, camera], channels=channels)
    monkeypatch.setattr(backend, "_has_triton", lambda: False)
    theirs = rasterizer.render(scene, [camera, camera], channels=channels)
    assert torch.equal(ours.color, theirs.color)
    assert torch.equal(ours.channels, theirs.channels)
    assert torch.equal(ours.depth, theirs.depth)
    assert torch.equal(ours.alpha, theirs.alpha)
