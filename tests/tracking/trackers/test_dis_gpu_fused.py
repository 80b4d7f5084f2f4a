"""The Triton kernels of the batched tracker against the elementwise code that they stand in for."""

from functools import partial

import numpy as np
import pytest
import torch
from cards import as_bytes, shifted, texture

from trackersplat.tracking.trackers.dis_gpu import certainty, exhaustive, inverse_search, patches, variational
from trackersplat.tracking.trackers.dis_gpu.images import Images
from trackersplat.tracking.trackers.dis_gpu.settings import (
    PatchSettings,
    SearchSettings,
    SupportSettings,
    VariationalSettings,
)

pytestmark = pytest.mark.cuda
close = partial(torch.testing.assert_close, rtol=1e-3, atol=1e-3)
HEIGHT, WIDTH = 29, 38
SEARCHED = {
    "patch": inverse_search.PATCH, "stride": inverse_search.STRIDE, "farthest": inverse_search.FARTHEST, "flat": inverse_search._FLAT,
}  # fmt: skip


def pair(height: int = HEIGHT, width: int = WIDTH) -> tuple[Images, Images]:
    """Two textures, and where they are a little later."""
    textures = [texture(seed, height, width) for seed in (1, 2)]
    sources = [as_bytes(values) for values in textures]
    targets = [shifted(textures[0], 1.3, -0.6), shifted(textures[1], -2.0, 3.4)]
    both = [torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2).float().contiguous() for views in (sources, targets)]
    return Images(both[0].byte()), Images(both[1].byte())


def flow(seed: int, deviation: float = 1.0, height: int = HEIGHT, width: int = WIDTH) -> torch.Tensor:
    return deviation * torch.randn(2, 2, height, width, generator=torch.Generator().manual_seed(seed))


def mask() -> torch.Tensor:
    values = torch.rand(2, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(5)) < 0.4
    values[0, 0, 0] = values[1, -1, -1] = True
    return values


@pytest.mark.parametrize("size", [(29, 38), (24, 31)])
def test_images_are_read_halved_and_packed_as_by_the_elementwise_code(device, size):
    from trackersplat.tracking.trackers.dis_gpu import images
    from trackersplat.tracking.trackers.dis_gpu import images_triton as fused

    frames = torch.from_numpy(np.stack([as_bytes(texture(seed, *size)) for seed in (1, 2, 3, 4)])).unflatten(0, (2, 2))
    for of_views in (frames[:, 1], frames[:, 1].contiguous()):
        rgb, gray = fused.planes(of_views.to(device), images._LUMA)
        expected = Images(of_views.permute(0, 3, 1, 2).contiguous())
        assert torch.equal(rgb.cpu(), expected.rgb)
        close(gray.cpu(), expected.gray)
    half, bright = fused.halved(rgb, gray)
    assert torch.equal(half.cpu(), expected._half_elementwise().rgb)
    close(bright.cpu(), expected._half_elementwise().gray)
    got = fused.packed(rgb, expected.gray.to(device), images.LANES, images._ZERO_GRADIENT).cpu()
    assert torch.equal(got, expected._packed_elementwise())


def test_doubled_displacements_are_those_of_the_elementwise_code(device):
    from trackersplat.tracking.trackers.dis_gpu import images
    from trackersplat.tracking.trackers.dis_gpu import images_triton as fused

    values = flow(9)
    for size in ((2 * HEIGHT, 2 * WIDTH), (2 * HEIGHT - 1, 2 * WIDTH - 1)):
        close(fused.doubled(values.to(device), size, 2.0).cpu(), images._doubled_elementwise(values, size, 2.0))


def test_a_round_of_inverse_search_is_that_of_the_elementwise_code(device):
    from trackersplat.tracking.trackers.dis_gpu import inverse_search_triton as fused

    size = 17, 22  # the interpreter is slow
    source, target = pair(*size)
    start = torch.randn(2, 2, *inverse_search.patch_grid(*size), generator=torch.Generator().manual_seed(3))
    expected = inverse_search._round(source.gray, target.gray, start, 4)
    got = fused.search_round(source.gray.to(device), target.gray.to(device), start.to(device), 4, **SEARCHED).cpu()
    # A descent that comes to two places of the same cost may keep either.
    assert ((got - expected).abs() < 1e-2).float().mean() > 0.99
    assert (expected - start).abs().mean() > 0.1


def test_a_round_takes_the_displacements_of_its_patches_from_those_of_all_pixels(device):
    from trackersplat.tracking.trackers.dis_gpu import inverse_search_triton as fused

    size = 10, 15
    source, target = pair(*size)
    dense = flow(3, 1.0, *size).to(device)
    images = source.gray.to(device), target.gray.to(device)
    got = fused.search_round(*images, dense, 4, **SEARCHED, spacing=inverse_search.STRIDE)
    assert torch.equal(got, fused.search_round(*images, inverse_search._at_patches(dense).contiguous(), 4, **SEARCHED))


def test_displacements_between_patches_are_those_of_the_elementwise_code(device):
    from trackersplat.tracking.trackers.dis_gpu import inverse_search_triton as fused

    source, target = pair()
    found = torch.randn(2, 2, *inverse_search.patch_grid(HEIGHT, WIDTH), generator=torch.Generator().manual_seed(3))
    expected = inverse_search._densify(source.gray, target.gray, found)
    close(fused.densify(source.gray.to(device), target.gray.to(device), found.to(device), stride=inverse_search.STRIDE).cpu(), expected)


@pytest.mark.parametrize(("height", "width", "sweeps"), [(HEIGHT, WIDTH, 3), (61, 127, 3), (57, 70, 5)])
def test_the_variational_refinement_is_that_of_the_elementwise_code(device, height, width, sweeps):
    """Of one tile, of several, and of more sweeps than one pass makes."""
    from trackersplat.tracking.trackers.dis_gpu import variational_triton as fused

    source, target = pair(height, width)
    settings = VariationalSettings(linearisations=2, sweeps=sweeps)
    start = flow(4, height=height, width=width)
    expected = variational._refine(source.gray, target.gray, start, settings)
    got = fused.refine(source.gray.to(device), target.gray.to(device), start.to(device), settings).cpu()
    # The robust penalties make more of a rounding where a difference is near zero.
    close(got, expected, rtol=0, atol=2e-2)
    assert (got - expected).abs().mean() < 5e-5
    assert (expected - start).abs().mean() > 0.1


def test_the_agreement_of_surroundings_is_that_of_the_elementwise_code(device):
    from trackersplat.tracking.trackers.dis_gpu import certainty_triton as fused

    start, trust = flow(6), torch.rand(2, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(7))
    trust[0, :5] = 0.0
    expected = certainty._agreeing_elementwise(start, trust, SupportSettings())
    close(fused.agreeing_surroundings(start.to(device), trust.to(device), SupportSettings(), certainty.CERTAIN).cpu(), expected)


def test_the_exhaustive_search_is_that_of_the_elementwise_code(device):
    from trackersplat.tracking.trackers.dis_gpu import exhaustive_triton as fused

    a, b = (exhaustive.features(images.rgb) for images in pair())
    expected = exhaustive.search(a, b, 4, SearchSettings())
    got = fused.search(
        a.to(device),
        b.to(device),
        torch.ones(2, HEIGHT, WIDTH, dtype=torch.bool, device=device),
        4,
        SearchSettings(),
        reach=exhaustive.REACH,
    ).cpu()
    assert torch.equal(got, expected)


def test_the_choice_of_a_displacement_is_that_of_the_elementwise_code(device):
    from trackersplat.tracking.trackers.dis_gpu import patches_triton as fused

    source, target = pair()
    candidates = torch.stack([flow(seed, 3.0) for seed in (8, 9, 10)], dim=1)
    penalties = (0.0, -3.0, 2.0)
    expected = patches._choose(source.packed, target.packed, candidates, penalties, mask(), PatchSettings())
    got, cost = fused.choose(
        source.packed.to(device), target.packed.to(device), candidates.to(device), penalties,
        mask().flatten().nonzero()[:, 0].to(device), PatchSettings(), reach=patches.REACH,
    )  # fmt: skip
    close(got.cpu(), expected.flow)
    close(cost.cpu(), expected.cost)


def test_spreading_displacements_is_that_of_the_elementwise_code(device):
    from trackersplat.tracking.trackers.dis_gpu import patches_triton as fused

    source, target = pair()
    some = mask() & (torch.arange(WIDTH) < 9)  # the interpreter is slow
    jumps, gain = (3, 1), 0.5
    start = patches._choose(source.packed, target.packed, flow(11, 2.0)[:, None], (0.0,), some, PatchSettings())
    expected = patches._spread(source.packed, target.packed, start, some, jumps, gain, PatchSettings())
    planes = source.packed.to(device), target.packed.to(device)
    listed = some.flatten().nonzero()[:, 0].to(device)
    got, cost = start.flow.to(device), start.cost.to(device)
    for index, jump in enumerate(jumps):
        got, cost = fused.spread_round(
            *planes, got, cost, listed, PatchSettings(),
            jump=jump, step=patches.step(index, len(jumps)), gain=gain, same=patches.SAME, reach=patches.REACH,
        )  # fmt: skip
    close(got.cpu(), expected.flow)
    close(cost.cpu(), expected.cost)
    assert (expected.flow != start.flow).any(1)[some].float().mean() > 0.3
