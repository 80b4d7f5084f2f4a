"""The networks that guess points and cameras from images, by name. Listing them and what they lack imports none of them."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from trackersplat.errors import InputError

PACKAGE = "instantsplat"  # runs them all; Apache-2.0
WEIGHTS_FOLDER = Path("checkpoints")  # below the working folder, as in that package
HOW_TO_INSTALL = f"pip install {PACKAGE}"


@dataclass(frozen=True)
class InitialiserInfo:
    """What is known about an initialiser without loading it. The licences are those that its authors state."""

    name: str
    title: str
    licence: str  # of the code
    weights_licence: str
    weights: str  # name of their file, as published
    class_name: str  # in PACKAGE.initializer
    weights_argument: str  # of its constructor


# Read in: LICENSE and README of naver/dust3r and naver/mast3r, CHECKPOINTS_NOTICE of the latter; LICENSE.txt of facebookresearch/vggt
# and the model card of facebook/VGGT-1B-Commercial, whose file name this is (VGGT-1B itself is CC BY-NC 4.0).
_INFOS = (
    InitialiserInfo(
        name="dust3r",
        title="DUSt3R",
        licence="CC BY-NC-SA 4.0",
        weights_licence="CC BY-NC-SA 4.0 and those of its training data",
        weights="DUSt3R_ViTLarge_BaseDecoder_512_dpt.pth",
        class_name="Dust3rInitializer",
        weights_argument="model_path",
    ),
    InitialiserInfo(
        name="mast3r",
        title="MASt3R",
        licence="CC BY-NC-SA 4.0",
        weights_licence="CC BY-NC-SA 4.0 and those of its training data (Map-free Relocalization is strict)",
        weights="MASt3R_ViTLarge_BaseDecoder_512_catmlpdpt_metric.pth",
        class_name="Mast3rInitializer",
        weights_argument="model_path",
    ),
    InitialiserInfo(
        name="vggt",
        title="VGGT",
        licence="VGGT License",
        weights_licence="VGGT License (commercial use allowed, military use not)",
        weights="vggt_1B_commercial.pt",
        class_name="VGGTInitializer",
        weights_argument="model_url",
    ),
)


def known_initialisers() -> tuple[InitialiserInfo, ...]:
    """In the order in which they should be offered."""
    return _INFOS


def initialiser_info(name: str) -> InitialiserInfo:
    """Raises InputError if the name is unknown."""
    for info in _INFOS:
        if info.name == name:
            return info
    raise InputError(f"There is no initialiser named {name!r}; choose one of {', '.join(info.name for info in _INFOS)}.")


def what_is_missing(info: InitialiserInfo, weights: Path) -> tuple[str, ...]:
    """Why the initialiser does not work here, with its weights expected in the folder ``weights``; empty if all is there.

    Nothing is loaded: whether the package can be imported and the weights are intact shows only when it runs.
    """
    import torch

    missing = []
    if importlib.util.find_spec(PACKAGE) is None:
        missing.append(f"the package {PACKAGE} is not installed ({HOW_TO_INSTALL})")
    if not (weights / info.weights).is_file():
        missing.append(f"its weights are not there ({weights / info.weights}; its authors publish them)")
    if not torch.cuda.is_available():
        missing.append("torch sees no CUDA GPU")
    return tuple(missing)


def check_available(info: InitialiserInfo, weights: Path) -> None:
    """Raises InputError that names everything that is missing."""
    missing = what_is_missing(info, weights)
    if missing:
        raise InputError(f"{info.title} does not work here: {'; '.join(missing)}. --points features needs none of this.")


def package_version() -> str | None:
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return None
