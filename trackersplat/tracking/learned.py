"""Facts about trackers whose code and weights are others': where both are, and under which licences. Listing them imports nothing.

Licences are those that the authors state.
"""

from __future__ import annotations

from dataclasses import replace

from trackersplat.tracking import repositories
from trackersplat.tracking.repositories import LOCOTRACK, TAPNET, TAPNEXT
from trackersplat.tracking.tracker import TrackerFacts
from trackersplat.tracking.upstream import Upstream
from trackersplat.tracking.weights import Weights

_HUGGING_FACE = "https://huggingface.co/"
_TAPNET_FILES = "https://storage.googleapis.com/dm-tapnet/"
_NC = "CC-BY-NC-4.0"
_TRACKERS = "trackersplat.tracking.trackers."
_EITHER = ("cuda", "cpu")


def _cotracker(
    name: str,
    title: str,
    tracker: str,
    settings: str,
    file: Weights,
    upstream: Upstream = repositories.COTRACKER,
    window: int | None = None,
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
        upstream=repositories.DOT,
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
        upstream=repositories.ALLTRACKER,
        weights=(Weights(file, f"{_HUGGING_FACE}aharley/alltracker/resolve/main/{file}", "MIT", size),),
        time="both",
    )


def _track_4dgs(name: str, title: str, code: str, files: tuple[Weights, ...], non_commercial: bool = False) -> TrackerFacts:
    return TrackerFacts(
        name=f"track-4dgs-{name}",
        title=f"{title}, as the package track-4dgs runs it",
        load=f"{_TRACKERS}track_4dgs:{name}",
        settings=f"{_TRACKERS}track_4dgs_settings:Track4DGSSettings",
        licence=code,
        devices=("cuda",),  # gaussian-splatting, which the package needs
        dense=False,
        upstream=repositories.TRACK_4DGS,
        weights=files,
        non_commercial=non_commercial,
        time="both",
        query_bytes=60_000,
    )


def _hub(repository: str, file: str = "model.safetensors") -> Weights:
    """Weights that code of others loads from Hugging Face's cache itself."""
    return Weights(file, f"{_HUGGING_FACE}{repository}", "not known here", direct=False, hub=repository)


_D4RT = "OpenD4RT_48CLIP_9Mix_NoCropAUG"
_GAUSSIAN = "Apache-2.0 (track-4dgs), Inria non-commercial (gaussian-splatting)"
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
        upstream=repositories.COTRACKER_1,
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
    replace(
        _tapnet(
            "tapnext",
            "TAPNext: points together, frame after frame",
            "tapnext:TAPNext",
            "tapnext_settings:TAPNextSettings",
            Weights("bootstapnext_ckpt.npz", f"{_TAPNET_FILES}tapnext/bootstapnext_ckpt.npz", "Apache-2.0"),
            upstream=TAPNEXT,
        ),
        time="forward",
    ),
    replace(
        _tapnet(
            "tapnext++",
            "TAPNext++: TAPNext that was trained on longer clips",
            "tapnext:TAPNextPP",
            "tapnext_settings:TAPNextSettings",
            Weights("tapnextpp_ckpt.pt", f"{_TAPNET_FILES}tapnextpp/tapnextpp_ckpt.pt", "Apache-2.0", 2_500_000_000),
            upstream=TAPNEXT,
        ),
        time="forward",
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
    TrackerFacts(
        name="mvtracker",
        title="MVTracker: points of the scene in all views together, with depth",
        load=f"{_TRACKERS}mvtracker:MVTracker",
        settings=f"{_TRACKERS}mvtracker_settings:MVTrackerSettings",
        licence=repositories.MVTRACKER.licence,
        devices=_EITHER,
        dense=False,
        upstream=repositories.MVTRACKER,
        weights=(
            Weights(
                "mvtracker_200000_june2025.pth",
                f"{_HUGGING_FACE}ethz-vlg/mvtracker/resolve/main/mvtracker_200000_june2025.pth",
                "Apache-2.0",
            ),
        ),
        three_d=True,
    ),
    TrackerFacts(
        name="spatracker",
        title="SpatialTracker: points in 3D from one view with depth",
        load=f"{_TRACKERS}spatracker:SpaTracker",
        settings=f"{_TRACKERS}spatracker_settings:SpaTrackerSettings",
        licence=_NC,
        devices=("cuda",),
        dense=False,
        upstream=repositories.SPATRACKER,
        weights=(Weights("spaT_final.pth", repositories.SPATRACKER.url, _NC, direct=False),),
        non_commercial=True,
        three_d=True,
    ),
    TrackerFacts(
        name="spatracker-v2",
        title="SpatialTrackerV2: points in 3D from one view with depth, all frames at once",
        load=f"{_TRACKERS}spatracker:SpaTrackerV2",
        settings=f"{_TRACKERS}spatracker_settings:SpaTrackerV2Settings",
        licence=_NC,
        devices=("cuda",),
        dense=False,
        upstream=repositories.SPATRACKER_2,
        weights=tuple(
            Weights(
                f"SpatialTrackerV2-Offline/{file}",
                f"{_HUGGING_FACE}Yuxihenry/SpatialTrackerV2-Offline/resolve/main/{file}",
                f"tagged MIT, code {_NC}",
            )
            for file in ("model.safetensors", "config.json")
        ),
        non_commercial=True,
        three_d=True,
        time="both",
    ),
    TrackerFacts(
        name="tracktail",
        title="tracktail: points of the scene in all views without depth, by its server",
        load=f"{_TRACKERS}tracktail:Tracktail",
        settings=f"{_TRACKERS}tracktail_settings:TracktailSettings",
        licence="BSD-3-Clause",
        devices=_EITHER,
        dense=False,
        server="TRACKERSPLAT_TRACKTAIL",
        three_d=True,
        time="both",
    ),
    _track_4dgs(
        "cotracker3",
        "CoTracker3",
        f"{_GAUSSIAN}, {_NC} (CoTracker)",
        (Weights("scaled_offline.pth", f"{_HUGGING_FACE}facebook/cotracker3/resolve/main/scaled_offline.pth", _NC, 102_000_000),),
        True,
    ),
    _track_4dgs(
        "vggt",
        "VGGT's tracking head",
        f"{_GAUSSIAN}, VGGT License",
        (Weights("vggt_1B_commercial.pt", f"{_HUGGING_FACE}facebook/VGGT-1B-Commercial", "VGGT License", 5_030_000_000, direct=False),),
        True,
    ),
    _track_4dgs(
        "vggsfm",
        "VGGSfM's tracker",
        f"{_GAUSSIAN}, VGGT License",
        (Weights("vggsfm_v2_tracker.pt", f"{_HUGGING_FACE}facebook/VGGSfM/resolve/main/vggsfm_v2_tracker.pt", "not known here"),),
        True,
    ),
    _track_4dgs(
        "d4rt",
        "OpenD4RT",
        _GAUSSIAN,
        tuple(  # it reads its configuration beside its weights
            Weights(f"{_D4RT}/{file}", f"{_HUGGING_FACE}Lijiaxin0111/OpenD4RT/resolve/main/checkpoints/{_D4RT}/{file}", "not known here")
            for file in ("opend4rt.ckpt", "model.yaml")
        ),
        True,
    ),
    _track_4dgs(
        "matcha",
        "MATCHA features, matched pairwise",
        _GAUSSIAN,
        (
            Weights("matcha_pretrained.pth", "https://github.com/nv-dvl/matcha", "not known here", direct=False),
            _hub("stabilityai/stable-diffusion-2-1", "unet/diffusion_pytorch_model.safetensors"),
        ),
        True,
    ),
    _track_4dgs(
        "mvroma",
        "MV-RoMa, matched in several frames",
        _GAUSSIAN,
        (
            Weights("outdoor_final.pth", "https://github.com/IceTea-CV/MV-RoMa", "not known here", direct=False),
            _hub("infinity1096/UFM-Refine"),
        ),
        True,
    ),
    _track_4dgs("uniflowmatch", "UniFlowMatch, matched pairwise", _GAUSSIAN, (_hub("infinity1096/UFM-Base"),), True),
)
