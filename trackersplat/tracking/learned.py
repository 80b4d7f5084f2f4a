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
DOT = Upstream(
    clone="dot",
    url="https://github.com/16lemoing/dot",
    commit="8c6ef1e1521eff9df8c7030f10adc57a4cddee13",
    licence="MIT",
    needs=(
        ("einops", "einops"), ("einshape", "einshape"), ("timm", "timm"), ("torchvision", "torchvision"), ("tqdm", "tqdm"),
        ("PIL", "pillow"),
    ),
)  # fmt: skip
ALLTRACKER = Upstream(
    clone="alltracker",
    url="https://github.com/aharley/alltracker",
    commit="c1ed462b7cfe9b4c6d07d8880ae5ed103b0848e0",
    licence="MIT",
    needs=(("einops", "einops"), ("torchvision", "torchvision")),
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
        upstream=upstream,
        weights=(file,),
        time="both",
        query_bytes=40_000,
    )


def _dot(front: str, title: str, file: Weights, non_commercial: bool) -> TrackerFacts:
    own = "https://huggingface.co/16lemoing/dot/resolve/main/"
    code = f"MIT, its parts of CoTracker {_NC}" if non_commercial else "MIT"
    return TrackerFacts(
        name=f"dot-{front.lower()}",
        title=f"DOT: every pixel, by flow that starts from points of {title}",
        load=f"{_TRACKERS}dot:DOT{front}",
        settings=f"{_TRACKERS}dot_settings:DOTSettings",
        licence=code,
        devices=_EITHER,
        upstream=DOT,
        weights=(
            file,
            Weights("cvo_raft_patch_8.pth", f"{own}cvo_raft_patch_8.pth", "MIT"),
            Weights("movi_f_raft_patch_4_alpha.pth", f"{own}movi_f_raft_patch_4_alpha.pth", "MIT"),
        ),
        non_commercial=non_commercial,
        time="both",
    )


def _alltracker(name: str, title: str, tracker: str, size: int) -> TrackerFacts:
    file = f"{name.replace('-', '_')}.pth"
    return TrackerFacts(
        name=name,
        title=title,
        load=f"{_TRACKERS}alltracker:{tracker}",
        settings=f"{_TRACKERS}alltracker_settings:AllTrackerSettings",
        licence="MIT",
        devices=_EITHER,
        upstream=ALLTRACKER,
        weights=(Weights(file, f"{_HUGGING_FACE}aharley/alltracker/resolve/main/{file}", "MIT", size),),
        time="both",
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
    _dot(
        "CoTracker2",
        "CoTracker2",
        Weights(
            "movi_f_cotracker2_patch_4_wind_8.pth",
            f"{_HUGGING_FACE}16lemoing/dot/resolve/main/movi_f_cotracker2_patch_4_wind_8.pth",
            _NC,
        ),
        True,
    ),
    _dot(
        "CoTracker3",
        "CoTracker3",
        Weights("scaled_offline.pth", f"{_HUGGING_FACE}facebook/cotracker3/resolve/main/scaled_offline.pth", _NC, 102_000_000),
        True,
    ),
    _dot(
        "TAPIR",
        "TAPIR",
        Weights("panning_movi_e_tapir.pth", f"{_HUGGING_FACE}16lemoing/dot/resolve/main/panning_movi_e_tapir.pth", "Apache-2.0"),
        False,
    ),
    _dot(
        "BootsTAPIR",
        "BootsTAPIR",
        Weights(
            "panning_movi_e_plus_bootstapir.pth",
            f"{_HUGGING_FACE}16lemoing/dot/resolve/main/panning_movi_e_plus_bootstapir.pth",
            "Apache-2.0",
        ),
        False,
    ),
    _alltracker("alltracker", "AllTracker: every pixel, in overlapping windows of 16 frames", "AllTracker", 66_000_000),
    _alltracker("alltracker-tiny", "AllTracker, small model", "AllTrackerTiny", 25_200_000),
)
