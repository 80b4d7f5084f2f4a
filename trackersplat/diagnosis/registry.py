"""The evidence there is about tracks, by name. Listing it imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from trackersplat.registry import Facts, Registry

Direction = Literal["high", "low", "none"]


@dataclass(frozen=True)
class EvidenceFacts(Facts):
    """``load`` names a function `(Moment) -> (P,) tensor`, nan where it says nothing."""

    unit: str = ""  # "" for plain numbers
    direction: Direction = "none"  # which values speak against a track
    how: str = ""  # one sentence: what is compared with what


_HERE = "trackersplat.diagnosis.evidence"

EVIDENCE: Registry[EvidenceFacts] = Registry(
    "evidence",
    (
        EvidenceFacts(
            "forward_backward", "forward-backward error", f"{_HERE}.forward_backward:forward_backward", unit="px", direction="high",
            how="The position, tracked back to the frame before, against the position there.",
        ),
        EvidenceFacts(
            "loop", "forward-backward error since the start", f"{_HERE}.loop:loop", unit="px", direction="high",
            how="Length of the sum of all forward-backward errors since the track began: what drift adds up to.",
        ),
        EvidenceFacts(
            "reprojection", "reprojection residual", f"{_HERE}.reprojection:reprojection", unit="px", direction="high",
            how="The position against the point that all views agree on.",
        ),
        EvidenceFacts(
            "leave_one_out", "leave-one-view-out residual", f"{_HERE}.leave_one_out:leave_one_out", unit="px", direction="high",
            how="The position against the point that the other views agree on.",
        ),
        EvidenceFacts(
            "rendered_gap", "distance from the rendered point", f"{_HERE}.rendered_gap:rendered_gap", unit="px", direction="high",
            how="The position against the point that the Gaussians have carried here since the track began.",
        ),
        EvidenceFacts(
            "render_offset", "rendering against photograph", f"{_HERE}.render_offset:render_offset", unit="px", direction="high",
            how="How far the rendering is displaced from the photograph at the position.",
        ),
        EvidenceFacts(
            "ncc_previous", "NCC to the frame before", f"{_HERE}.ncc_previous:ncc_previous", direction="low",
            how="Normalised cross-correlation of the patch with that of the frame before.",
        ),
        EvidenceFacts(
            "ncc_query", "NCC to the first frame", f"{_HERE}.ncc_query:ncc_query", direction="low",
            how="Normalised cross-correlation of the patch with that in which the track began.",
        ),
        EvidenceFacts(
            "visibility_conflict", "claimed against rendered visibility", f"{_HERE}.visibility_conflict:visibility_conflict",
            direction="high",
            how="1 where the track claims to be seen and a rendered surface is in front of the point, -1 where it is the other way round.",
        ),
        EvidenceFacts(
            "distrust", "doubt of the tracker", f"{_HERE}.distrust:distrust", direction="high",
            how="1 minus the confidence that came with the track.",
        ),
        EvidenceFacts(
            "mask_border", "distance to the border of the mask", f"{_HERE}.mask_border:mask_border", unit="px", direction="low",
            how="To the nearest border between foreground and background; absent without masks.",
        ),
        EvidenceFacts(
            "image_border", "distance to the border of the image", f"{_HERE}.image_border:image_border", unit="px", direction="low",
            how="Negative outside.",
        ),
        EvidenceFacts("speed", "speed", f"{_HERE}.speed:speed", unit="px/frame", direction="high", how="In the image."),
        EvidenceFacts(
            "acceleration", "acceleration", f"{_HERE}.acceleration:acceleration", unit="px/frame^2", direction="high", how="In the image.",
        ),
        EvidenceFacts(
            "world_speed", "speed in space", f"{_HERE}.world_speed:world_speed", unit="scene units/frame", direction="high",
            how="Of the point that the views agree on.",
        ),
        EvidenceFacts(
            "world_acceleration", "acceleration in space", f"{_HERE}.world_acceleration:world_acceleration",
            unit="scene units/frame^2", direction="high", how="Of the point that the views agree on.",
        ),
        EvidenceFacts(
            "stretch", "stretch of the neighbourhood", f"{_HERE}.stretch:stretch", direction="high",
            how="Change of the distance to neighbouring tracks of one surface within a frame, over the distance; the median of them.",
        ),
        EvidenceFacts(
            "views", "supporting views", f"{_HERE}.views:views", direction="low", how="Other views that agree on the point.",
        ),
        EvidenceFacts(
            "parallax", "parallax", f"{_HERE}.parallax:parallax", unit="degrees", direction="low",
            how="Largest angle between the rays of the views that see the point.",
        ),
        EvidenceFacts(
            "texture", "texture", f"{_HERE}.texture:texture", unit="grey levels", direction="low",
            how="Weaker principal contrast of the patch.",
        ),
    ),
)  # fmt: skip
