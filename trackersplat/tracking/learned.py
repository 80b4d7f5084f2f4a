"""Facts about trackers whose code and weights are others': where both are, and under which licences. Listing them imports nothing.

Commits are those that the adapters were run with (docs/trackers.md says how). Licences are those that the authors state.
"""

from __future__ import annotations

from dataclasses import replace

from trackersplat.tracking.tracker import TrackerFacts
from trackersplat.tracking.upstream import Upstream
from trackersplat.tracking.weights import Weights

_HUGGING_FACE = "https://huggingface.co/"
_TAPNET_FILES = "https://storage.googleapis.com/dm-tapnet/"
_NC = "CC-BY-NC-4.0"
_TRACKERS = "trackersplat.tracking.trackers."
_EITHER = ("cuda", "cpu")

COTRACKER = Upstream(
    clone="co-tracker",
    url="https://github.com/facebookresearch/co-tracker",
    commit="82e02e8029753ad4ef13cf06be7f4fc5facdda4d",
    licence=_NC,
    package="cotracker",
)
COTRACKER_1 = replace(
    COTRACKER,
    clone="co-tracker-v1",
    commit="8d364031971f6b3efec945dd15c468a183e58212",  # tag v1.0
    package="",  # an installed cotracker is a later version
    needs=(("einops", "einops"), ("timm", "timm"), ("tqdm", "tqdm")),
)
TAPNET = Upstream(
    clone="tapnet",
    url="https://github.com/google-deepmind/tapnet",
    commit="c2cbab81cc06092b5f05bfe2da7bfec54e2079c9",
    licence="Apache-2.0",
    package="tapnet",
    needs=(("tree", "dm-tree"), ("einshape", "einshape")),
)
LOCOTRACK = Upstream(
    clone="locotrack",
    url="https://github.com/cvlab-kaist/locotrack",
    commit="3385a233a270160b253a69050c6a3934527f7775",
    licence="Apache-2.0",
    path="locotrack_pytorch",
    needs=(("einops", "einops"),),
)


def _cotracker(
    name: str, title: str, tracker: str, settings: str, file: Weights, upstream: Upstream = COTRACKER, window: int | None = None
) -> TrackerFacts:
    return TrackerFacts(
        name=name,
        title=title,
        load=f"{_TRACKERS}{tracker}",
        settings=f"{_TRACKERS}cotracker_settings:{settings}",
        licence=_NC,
        devices=_EITHER,
        dense=False,
        batch="views",
        upstream=upstream,
        weights=(file,),
        non_commercial=True,
        time="both",
        window=window,
        query_bytes=60_000,
    )


def _tapnet(name: str, title: str, tracker: str, settings: str, file: Weights, upstream: Upstream = TAPNET) -> TrackerFacts:
    return TrackerFacts(
        name=name,
        title=title,
        load=f"{_TRACKERS}{tracker}",
        settings=f"{_TRACKERS}{settings}",
        licence=upstream.licence,
        devices=_EITHER,
        dense=False,
        batch="views",
        upstream=upstream,
        weights=(file,),
        time="both",
        query_bytes=40_000,
    )


LEARNED: tuple[TrackerFacts, ...] = (
    _cotracker(
        "cotracker3",
        "CoTracker3 offline: points together, over all frames at once",
        "cotracker:CoTracker3Offline",
        "CoTracker3Settings",
        Weights("scaled_offline.pth", f"{_HUGGING_FACE}facebook/cotracker3/resolve/main/scaled_offline.pth", _NC, 102_000_000),
        window=60,
    ),
    _cotracker(
        "cotracker3-online",
        "CoTracker3 online: points together, in overlapping windows of 16 frames",
        "cotracker:CoTracker3Online",
        "CoTracker3Settings",
        Weights("scaled_online.pth", f"{_HUGGING_FACE}facebook/cotracker3/resolve/main/scaled_online.pth", _NC, 102_000_000),
    ),
    _cotracker(
        "cotracker2",
        "CoTracker2: points together, in overlapping windows of 8 frames",
        "cotracker:CoTracker2",
        "CoTracker2Settings",
        Weights("cotracker2.pth", f"{_HUGGING_FACE}facebook/cotracker/resolve/main/cotracker2.pth", _NC, 182_000_000),
    ),
    _cotracker(
        "cotracker",
        "CoTracker: points together, in overlapping windows of 8 frames",
        "cotracker:CoTracker1",
        "CoTracker1Settings",
        Weights("cotracker_stride_4_wind_8.pth", "https://dl.fbaipublicfiles.com/cotracker/cotracker_stride_4_wind_8.pth", _NC),
        upstream=COTRACKER_1,
    ),
    _tapnet(
        "tapir",
        "TAPIR: each point by itself, over all frames at once",
        "tapir:TAPIR",
        "tapir_settings:TAPIRSettings",
        Weights("tapir_checkpoint_panning.pt", f"{_TAPNET_FILES}tapir_checkpoint_panning.pt", "Apache-2.0"),
    ),
    _tapnet(
        "bootstapir",
        "BootsTAPIR: TAPIR that also learned from real video",
        "tapir:BootsTAPIR",
        "tapir_settings:TAPIRSettings",
        Weights("bootstapir_checkpoint_v2.pt", f"{_TAPNET_FILES}bootstap/bootstapir_checkpoint_v2.pt", "Apache-2.0", 219_000_000),
    ),
    *(
        _tapnet(
            f"locotrack-{size}",
            f"LocoTrack, {size} model: each point by itself, over all frames at once",
            f"tapir:LocoTrack{size.capitalize()}",
            "tapir_settings:TAPIRSettings",
            Weights(
                f"locotrack_{size}.ckpt",
                f"{_HUGGING_FACE}datasets/hamacojr/LocoTrack-pytorch-weights/resolve/main/locotrack_{size}.ckpt",
                "Apache-2.0",
                size_bytes,
            ),
            upstream=LOCOTRACK,
        )
        for size, size_bytes in (("small", 33_000_000), ("base", 46_100_000))
    ),
)
