"""The protocols by name. Listing them imports nothing of what they need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trackersplat.registry import Facts, Registry

if TYPE_CHECKING:
    from trackersplat.metrics.tracks.compared import TrackProtocol


@dataclass(frozen=True)
class ProtocolFacts(Facts):
    """``load`` names a function or class that makes a `metrics.tracks.compared.TrackProtocol` from the settings it has."""

    dimensions: int = 3
    space: str = "world"  # "image": 2D; "camera": 3D in the frame of a camera; "world"
    main: tuple[str, ...] = ()  # names of the scores that a table shows, in a row for every group of tracks


_MVTRACKER = ("MTE", "ATE", "FDE", "AJ", "delta_avg", "OA", "survival")

PROTOCOLS: Registry[ProtocolFacts] = Registry(
    "track protocol",
    (
        ProtocolFacts(
            "tapvid-first",
            "TAP-Vid, query first: 2D, pooled over the points of a video",
            "trackersplat.metrics.tracks.tapvid:TapVid",
            dimensions=2,
            space="image",
            main=("AJ", "delta_avg", "OA"),
        ),
        ProtocolFacts(
            "tapvid-strided",
            "TAP-Vid, queries every fifth frame: 2D, before and after the query",
            "trackersplat.metrics.tracks.tapvid:strided",
            dimensions=2,
            space="image",
            main=("AJ", "delta_avg", "OA"),
        ),
        ProtocolFacts(
            "tapvid3d",
            "TAPVid-3D: in the frame of a camera, scale aligned, thresholds in pixels at the depth",
            "trackersplat.metrics.tracks.tapvid3d:TapVid3D",
            space="camera",
            main=("3D-AJ", "APD", "OA"),
        ),
        ProtocolFacts(
            "mvtracker-kubric",
            "MVTracker with the thresholds of MV-Kubric",
            "trackersplat.metrics.tracks.mvtracker:kubric",
            main=_MVTRACKER,
        ),
        ProtocolFacts(
            "mvtracker-dexycb",
            "MVTracker with the thresholds of DexYCB, 1 to 20 cm",
            "trackersplat.metrics.tracks.mvtracker:dexycb",
            main=_MVTRACKER,
        ),
        ProtocolFacts(
            "mvtracker-panoptic",
            "MVTracker with the thresholds of Panoptic Studio, 5 to 40 cm",
            "trackersplat.metrics.tracks.mvtracker:panoptic",
            main=_MVTRACKER,
        ),
    ),
)


def create_protocol(name: str, **settings: Any) -> TrackProtocol:
    """The protocol of that name, with those of its settings that differ from the defaults. Raises InputError if the name is unknown."""
    protocol: TrackProtocol = PROTOCOLS.load(name)(**settings)
    return protocol
