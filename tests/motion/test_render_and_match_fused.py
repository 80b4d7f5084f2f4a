"""The kernels around the match of renderings with photographs against the code for single views that they stand in for."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from trackersplat.motion import render_and_match
from trackersplat.motion.ops.images import reached_pixels
from trackersplat.motion.render_request import Prediction
from trackersplat.motion.settings import RenderAndMatchSettings
from trackersplat.tracking.tracker import PointMotion
from trackersplat.tracking.tracks import DenseTracks, Provenance

pytestmark = pytest.mark.cuda
HEIGHT, WIDTH, VIEWS = 37, 52, 3
SETTINGS = RenderAndMatchSettings()


def smooth(random: torch.Generator, channels: int, scale: float) -> Tensor:
    """(B, H, W, C): what changes by little from pixel to pixel, so that rounding positions to 1/32 changes little."""
    coarse = scale * torch.randn(VIEWS, channels, 3, 3, generator=random)
    return torch.nn.functional.interpolate(coarse, (HEIGHT, WIDTH), mode="bicubic", align_corners=True).permute(0, 2, 3, 1).contiguous()


def grid() -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    return torch.stack((columns, rows), dim=-1) + 0.5


def scene() -> tuple[list[DenseTracks], list[Prediction], PointMotion]:
    random = torch.Generator().manual_seed(5)
    forward = smooth(random, 2, 1.5)
    backward = -forward + smooth(random, 2, 0.3)
    positions, ends = (grid() + smooth(random, 2, scale) for scale in (3.0, 0.7))
    visibility, confidence, seen, trust = ((1.5 + smooth(random, 1, 1.0)).sigmoid()[..., 0] for _ in range(4))
    image = torch.zeros(HEIGHT, WIDTH, 3, dtype=torch.uint8)
    tracks = [
        DenseTracks(0, (1,), positions[i, None], visibility[i, None], confidence[i, None], 0.1, Provenance("x")) for i in range(VIEWS)
    ]
    predicted = [Prediction(image, forward[i], backward[i]) for i in range(VIEWS)]
    return tracks, predicted, PointMotion(ends[:, None].contiguous(), seen[:, None].contiguous(), trust[:, None].contiguous())


def stacked(tracks: list[DenseTracks], device: torch.device) -> list[Tensor]:
    return [torch.cat([getattr(one, name) for one in tracks]).to(device) for name in ("positions", "visibility", "confidence")]


def test_what_is_searched_for_is_that_of_single_views(device: torch.device) -> None:
    from trackersplat.motion import render_and_match_triton as fused

    tracks, predicted, _ = scene()
    positions, visibility, confidence = stacked(tracks, device)
    ways = [torch.stack([getattr(one, way) for one in predicted]).to(device) for way in ("forward", "backward")]
    lost = fused.lost(visibility * confidence, *ways, SETTINGS.reliable_certainty).cpu()
    expected = torch.stack([render_and_match._searched(one, way, SETTINGS)[0] for one, way in zip(tracks, predicted, strict=True)])
    assert 0.05 < float(expected.double().mean()) < 0.95
    assert float((lost == expected).double().mean()) > 0.99
    reached = fused.reached(positions, visibility * confidence, SETTINGS.reliable_certainty).cpu()
    certainty = [(one.visibility * one.confidence)[0] >= SETTINGS.reliable_certainty for one in tracks]
    assert torch.equal(
        reached, torch.stack([reached_pixels(one.positions[0], chosen) for one, chosen in zip(tracks, certainty, strict=True)])
    )


@pytest.mark.parametrize("drifting", [False, True])
def test_what_is_replaced_is_that_of_single_views(device: torch.device, drifting: bool) -> None:
    from trackersplat.motion import render_and_match_triton as fused

    tracks, predicted, match = scene()
    ways = [torch.stack([getattr(one, way) for one in predicted]).to(device) for way in ("forward", "backward")]
    found = fused.replaced(
        tuple(stacked(tracks, device)),
        tuple(values[:, 0].to(device) for values in (match.positions, match.visibility, match.confidence)),
        *ways,
        reliable=SETTINGS.reliable_certainty,
        moved_px=SETTINGS.moved_px,
        drifting=drifting,
    )
    expected = [
        render_and_match._replaced(one, way, match, index, SETTINGS, drifting)
        for index, (one, way) in enumerate(zip(tracks, predicted, strict=True))
    ]
    alike = partial(torch.isclose, rtol=0.0, atol=0.02)
    before = torch.cat([one.positions for one in tracks])
    assert 0.05 < float((torch.cat([one.positions for one in expected]) != before).any(-1).double().mean()) < 0.95
    for name, values in zip(("positions", "visibility", "confidence"), found, strict=True):
        theirs = torch.cat([getattr(one, name) for one in expected])
        assert float(alike(values.cpu(), theirs).double().mean()) > 0.99, name
