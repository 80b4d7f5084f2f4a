"""The repositories of trackers, at the commits that the adapters were run with (docs/trackers.md says how)."""

from __future__ import annotations

from dataclasses import replace

from trackersplat.tracking.upstream import Upstream

_NC = "CC-BY-NC-4.0"

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
TAPNEXT = replace(TAPNET, needs=(("einops", "einops"), ("torchvision", "torchvision")))
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

TRACK_4DGS = Upstream(
    clone="track-4dgs",
    url="https://github.com/yindaheng98/track-4dgs",
    commit="1.4.12",
    licence="Apache-2.0",
    package="track_4dgs",
    distribution="track-4dgs",
    # It imports all of its trackers at once, so each of them needs the packages of all; pip does not install those below with it.
    needs=(
        ("gaussian_splatting", "gaussian-splatting"), ("tifffile", "tifffile"), ("hydra", "hydra-core"), ("omegaconf", "omegaconf"),
        ("cotracker", f"git+{COTRACKER.url}@{COTRACKER.commit}"), ("vggt", "git+https://github.com/facebookresearch/vggt"),
        ("lightglue", "git+https://github.com/jytime/LightGlue"),
        ("uniception", "git+https://github.com/castacks/UniCeption@ee7fa0b50d8295b3f0485e42c1d133fb534bfce7"),
    ),
    clone_works=False,
    install="track-4dgs==1.4.12",
)  # fmt: skip
MVTRACKER = Upstream(
    clone="mvtracker",
    url="https://github.com/ethz-vlg/mvtracker",
    commit="ceea8ad2af77ed9b44148ef8e9eeba4ea3c3f072",
    licence="none in the repository",
    needs=(
        ("einops", "einops"), ("easydict", "easydict"), ("pandas", "pandas"), ("png", "pypng"), ("torchvision", "torchvision"),
        ("matplotlib", "matplotlib"), ("sklearn", "scikit-learn"), ("skimage", "scikit-image"), ("kornia", "kornia"), ("tqdm", "tqdm"),
        ("mediapy", "mediapy"), ("rerun", "rerun-sdk"),
    ),
)  # fmt: skip
SPATRACKER = Upstream(
    clone="SpaTracker",
    url="https://github.com/henry123-boy/SpaTracker",
    commit="77f1fec6ff8a2464882f8207e0a090fee5c22644",
    licence=_NC,
    needs=(
        ("einops", "einops"), ("easydict", "easydict"), ("cupy", "cupy-cuda12x"), ("torchvision", "torchvision"),
        ("matplotlib", "matplotlib"), ("sklearn", "scikit-learn"), ("timm", "timm"), ("tqdm", "tqdm"),
    ),
)  # fmt: skip
SPATRACKER_2 = Upstream(
    clone="SpaTrackerV2",
    url="https://github.com/henry123-boy/SpaTrackerV2",
    commit="main",
    licence=_NC,
    needs=(
        ("einops", "einops"), ("easydict", "easydict"), ("huggingface_hub", "huggingface-hub"), ("torchvision", "torchvision"),
        ("decord", "decord"), ("flow_vis", "flow-vis"), ("jaxtyping", "jaxtyping"), ("kornia", "kornia"), ("matplotlib", "matplotlib"),
        ("moviepy", "moviepy==1.0.3"), ("pyceres", "pyceres"), ("pycolmap", "pycolmap"), ("sklearn", "scikit-learn"), ("tqdm", "tqdm"),
        ("utils3d", "git+https://github.com/EasternJournalist/utils3d"),
    ),
)  # fmt: skip
