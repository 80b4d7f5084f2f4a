"""Tracks corrected by the motion that they led to: the moved scene is rendered and matched with the photographs.

A view that lost a point may see it where the other views say that it went. The match only has to search near that place, for the point
as large and turned as it appears there, and no longer among everything that has moved. And where the Gaussians of the base frame were
moved there themselves, tracks keep the error of their positions, while the match shows where things are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from trackersplat.errors import ShapeError
from trackersplat.geometry.devices import has_triton
from trackersplat.motion.ops.images import close_gaps, closed_gaps, lengths, pixel_grid, reached_pixels, round_trip_trust, sample
from trackersplat.motion.render_request import Prediction
from trackersplat.motion.settings import RenderAndMatchSettings
from trackersplat.tracking.tracker import BatchMatcher, Matcher, PointMotion
from trackersplat.tracking.tracks import DenseTracks

_OF_TRACKS = ("positions", "visibility", "confidence")


@torch.no_grad()
def correct_tracks(
    tracks: DenseTracks,  # to one target
    photograph: Tensor,  # (H, W, 3) uint8 RGB of the target frame
    predicted: Prediction,
    matcher: Matcher,
    settings: RenderAndMatchSettings,
    *,
    drifting: bool = False,
) -> DenseTracks:
    """The ``tracks``, replaced per pixel by the match of the prediction with the ``photograph`` where that is more certain.

    With ``drifting``, for a base frame whose Gaussians may be off, the match counts wherever it is reliable. But a pixel that a reliable
    track calls static stays, because a rendering lies a little beside its photograph everywhere. All inputs are on one device; the
    matcher may take them to its own.

    Raises ShapeError if the sizes differ or the tracks have several targets.
    """
    _check(tracks, photograph, predicted)
    lost, missed = _searched(tracks, predicted, settings)
    match = matcher.match(
        predicted.image.to(matcher.device),
        photograph.to(matcher.device),
        search=(lost.to(matcher.device), missed.to(matcher.device)),
        reach=settings.reach,
    )
    return _replaced(tracks, predicted, match, 0, settings, drifting)


@torch.no_grad()
def correct_together(
    tracks: Sequence[DenseTracks],
    photographs: Sequence[Tensor],
    predicted: Sequence[Prediction],
    matcher: BatchMatcher,
    settings: RenderAndMatchSettings,
    *,
    drifting: bool = False,
) -> list[DenseTracks]:
    """`correct_tracks` of several views and targets of one size, matched in one call."""
    for one, photograph, prediction in zip(tracks, photographs, predicted, strict=True):
        _check(one, photograph, prediction)
    if has_triton(tracks[0].positions):
        return _correct_fused(tracks, photographs, predicted, matcher, settings, drifting)
    searched = [_searched(one, prediction, settings) for one, prediction in zip(tracks, predicted, strict=True)]
    lost, missed = (torch.stack(masks).to(matcher.device) for masks in zip(*searched, strict=True))
    match = matcher.match_together(
        torch.stack([prediction.image for prediction in predicted]).to(matcher.device),
        torch.stack(list(photographs)).to(matcher.device),
        search=(lost, missed),
        reach=settings.reach,
    )
    return [
        _replaced(one, prediction, match, index, settings, drifting)
        for index, (one, prediction) in enumerate(zip(tracks, predicted, strict=True))
    ]


def _correct_fused(
    tracks: Sequence[DenseTracks],
    photographs: Sequence[Tensor],
    predicted: Sequence[Prediction],
    matcher: BatchMatcher,
    settings: RenderAndMatchSettings,
    drifting: bool,
) -> list[DenseTracks]:
    """`correct_together` in one pass over the pixels of all views before the match, and one after it."""
    from trackersplat.motion import render_and_match_triton as fused

    positions, visibility, confidence = (torch.cat([getattr(one, name) for one in tracks]) for name in _OF_TRACKS)
    forward, backward = (torch.stack([getattr(one, way) for one in predicted]) for way in ("forward", "backward"))
    certainty, reliable = visibility * confidence, settings.reliable_certainty
    lost = fused.lost(certainty, forward, backward, reliable)
    missed = ~closed_gaps(fused.reached(positions, certainty, reliable), settings.closed_gap_px)
    images, sinks = torch.stack([one.image for one in predicted]), torch.stack(list(photographs))
    match = matcher.match_together(
        *(values.to(matcher.device) for values in (images, sinks)),
        search=(lost.to(matcher.device), missed.to(matcher.device)),
        reach=settings.reach,
    ).to(positions.device)
    results = fused.replaced(
        (positions, visibility, confidence),
        (match.positions[:, 0], match.visibility[:, 0], match.confidence[:, 0]),
        forward,
        backward,
        reliable=reliable,
        moved_px=settings.moved_px,
        drifting=drifting,
    )
    parts = (dict(zip(_OF_TRACKS, each, strict=True)) for each in zip(*(values.split(1) for values in results), strict=True))
    return [replace(one, **part) for one, part in zip(tracks, parts, strict=True)]


def _searched(tracks: DenseTracks, predicted: Prediction, settings: RenderAndMatchSettings) -> tuple[Tensor, Tensor]:
    """(H, W) bool, where to search. Of the rendering: where tracks are lost. Of the photograph: where no reliable track leads."""
    height, width = tracks.positions.shape[1:3]
    grid, reliable = pixel_grid(height, width, tracks.positions.device), settings.reliable_certainty
    certainty = tracks.visibility[0] * tracks.confidence[0]
    lost = sample(certainty, grid + predicted.backward) * round_trip_trust(predicted.backward, predicted.forward, grid) < reliable
    return lost, ~close_gaps(reached_pixels(tracks.positions[0], certainty >= reliable), settings.closed_gap_px)


def _replaced(
    tracks: DenseTracks, predicted: Prediction, match: PointMotion, index: int, settings: RenderAndMatchSettings, drifting: bool
) -> DenseTracks:
    """The tracks, or at its pixels what the match of this ``index`` found where it counts."""
    device, reliable = tracks.positions.device, settings.reliable_certainty
    height, width = tracks.positions.shape[1:3]
    grid = pixel_grid(height, width, device)
    forward, backward = predicted.forward, predicted.backward
    positions, visibility, confidence = tracks.positions[0], tracks.visibility[0], tracks.confidence[0]
    certainty = visibility * confidence
    flow, seen, trust = (values[index, 0].to(device) for values in (match.positions, match.visibility, match.confidence))
    flow = flow - 0.5 - grid

    at = grid + forward
    found = at + 0.5 + sample(flow, at)
    found_visibility = sample(seen, at) * _inside(at) * round_trip_trust(forward, backward, grid)
    found_confidence = sample(trust, at)
    found_certainty = found_visibility * found_confidence
    better = found_certainty > certainty
    if drifting:
        better |= (found_certainty >= reliable) & (lengths(positions - 0.5 - grid) >= settings.moved_px)
    return replace(  # positions are kept, not displacements, so that tracks that stay are not rounded
        tracks,
        positions=torch.where(better[..., None], found, positions)[None],
        visibility=torch.where(better, found_visibility, visibility)[None],
        confidence=torch.where(better, found_confidence, confidence)[None],
    )


def unreliable_shares(tracks: Sequence[DenseTracks], settings: RenderAndMatchSettings) -> Tensor:
    """(V, F) float64 in [0, 1]: in each view, to each target the share of the pixels whose tracks are not reliable."""
    if tracks[0].visibility.is_cuda and len({one.visibility.shape for one in tracks}) == 1:
        visibility, confidence = (torch.stack([getattr(one, name) for one in tracks]) for name in _OF_TRACKS[1:])
        return _unreliable(visibility, confidence, settings)
    return torch.stack([_unreliable(one.visibility, one.confidence, settings) for one in tracks])


def _unreliable(visibility: Tensor, confidence: Tensor, settings: RenderAndMatchSettings) -> Tensor:
    return (visibility * confidence < settings.reliable_certainty).double().mean(dim=(-2, -1))


def _check(tracks: DenseTracks, photograph: Tensor, predicted: Prediction) -> None:
    size = tuple(tracks.positions.shape[1:3])
    images, ways = (photograph, predicted.image), (predicted.forward, predicted.backward)
    if (
        len(tracks.targets) != 1
        or any(tuple(image.shape) != (*size, 3) for image in images)
        or any(tuple(way.shape) != (*size, 2) for way in ways)
    ):
        raise ShapeError(
            f"Correction by a match needs tracks to one target and images of their size, got {tuple(tracks.positions.shape)}, "
            f"{tuple(photograph.shape)} and {tuple(predicted.image.shape)}, {tuple(predicted.forward.shape)}, "
            f"{tuple(predicted.backward.shape)}."
        )


def _inside(at: Tensor) -> Tensor:
    """(H, W) float32, 1 where array indices ``at`` (H, W, 2) lie in the image of the same size, its far edges included, else 0."""
    height, width = at.shape[:2]
    column, row = at.unbind(-1)
    return ((column >= -0.5) & (column <= width - 0.5) & (row >= -0.5) & (row <= height - 0.5)).float()
