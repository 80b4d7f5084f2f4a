"""What this machine and installation can do: plain values for `trackersplat doctor`."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from trackersplat import __version__
from trackersplat.errors import InputError

REQUIRED = (
    "torch", "numpy", "scipy", "numba", "opencv-python-headless", "safetensors", "zstandard", "tyro", "rich", "viser",
)  # fmt: skip
# Distribution -> what it is for, how to get it.
OPTIONAL = {
    "gsplat": ("rendering on an NVIDIA GPU", "pip install '.[gpu]' in the clone"),
    "pycolmap": ("trackersplat prepare; COLMAP models with lens distortion", "pip install '.[sfm]' in the clone"),
}
LITTLE_SPACE = 2**30  # bytes


@dataclass(frozen=True)
class Package:
    name: str
    version: str | None  # None: not installed
    purpose: str = ""  # of an optional one
    install: str = ""


@dataclass(frozen=True)
class Part:
    """A rasteriser, a tracker or another part that works here or does not."""

    name: str
    title: str
    licence: str
    problem: str | None  # why it does not work here; None if it does
    note: str = ""


@dataclass(frozen=True)
class Folder:
    purpose: str
    path: str
    writable: bool
    free: int  # bytes


@dataclass(frozen=True)
class Machine:
    trackersplat: str
    python: str
    system: str
    cores: int  # usable by this process
    gpus: tuple[str, ...]
    cuda: str | None  # that torch was built for
    packages: tuple[Package, ...]
    rasterisers: tuple[Part, ...]
    trackers: tuple[Part, ...]
    metrics: tuple[Part, ...]
    preparation: Part
    initialisers: tuple[Part, ...]
    folders: tuple[Folder, ...]
    problems: tuple[str, ...]  # that keep the bundled demo from being reconstructed


def examine() -> Machine:
    """Looks at everything; compiles nothing and writes nothing that stays."""
    import torch

    from trackersplat.captures.media.cache import usable_cores

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    rasterisers, trackers, folders = _rasterisers(), _trackers(), _folders()
    return Machine(
        trackersplat=__version__,
        python=platform.python_version(),
        system=platform.platform(),
        cores=usable_cores(),
        gpus=tuple(gpus),
        cuda=torch.version.cuda,
        packages=(
            *(Package(name, _version(name)) for name in REQUIRED),
            *(Package(name, _version(name), *why) for name, why in OPTIONAL.items()),
        ),
        rasterisers=rasterisers,
        trackers=trackers,
        metrics=_metrics(),
        preparation=_preparation(),
        initialisers=_initialisers(),
        folders=folders,
        problems=tuple(_problems(rasterisers, trackers, folders)),
    )


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _rasterisers() -> tuple[Part, ...]:
    from trackersplat.rendering.registry import BACKENDS, choose_rasterizer

    parts = []
    for facts in BACKENDS:
        problem = BACKENDS.why_unavailable(facts.name)
        note = ""
        if problem is None:
            compiled = choose_rasterizer(backend=facts.name).is_prepared()
            note = "kernels compiled" if compiled else "compiles its kernels at the first use"
        parts.append(Part(facts.name, facts.title, facts.licence, problem, note))
    return tuple(parts)


def _trackers() -> tuple[Part, ...]:
    from trackersplat.tracking.registry import DEFAULT_ON, DEFAULT_TRACKER, TRACKERS

    notes = {DEFAULT_TRACKER: "default", **{name: f"default on {device}" for device, name in DEFAULT_ON.items()}}
    return tuple(
        Part(facts.name, facts.title, facts.licence, TRACKERS.why_unavailable(facts.name), notes.get(facts.name, "")) for facts in TRACKERS
    )


def _metrics() -> tuple[Part, ...]:
    from trackersplat.metrics.measure import unavailable
    from trackersplat.metrics.registry import METRICS

    missing = unavailable()
    return tuple(Part(facts.name, facts.title, facts.licence, missing.get(facts.name), "") for facts in METRICS)


def _preparation() -> Part:
    from trackersplat.sfm.colmap import load_pycolmap

    problem, note = None, ""
    try:
        note = f"pycolmap {load_pycolmap().__version__}"
    except InputError as error:
        problem = str(error)
    return Part("prepare", "points and poses from SIFT features (COLMAP)", "BSD-3-Clause", problem, note)


def _initialisers() -> tuple[Part, ...]:
    from trackersplat.sfm.initialisers import PACKAGE, WEIGHTS_FOLDER, known_initialisers, what_is_missing

    parts = []
    for info in known_initialisers():
        problem = "; ".join(what_is_missing(info, WEIGHTS_FOLDER)) or None
        note = "" if problem else f"{PACKAGE} {_version(PACKAGE) or 'of unknown version'} and weights are there, not loaded"
        licence = info.licence if info.licence == info.weights_licence else f"code {info.licence}, weights {info.weights_licence}"
        parts.append(Part(info.name, f"points by {info.title}", licence, problem, note))
    return tuple(parts)


def _folders() -> tuple[Folder, ...]:
    from trackersplat.rendering.backends.portable.compiling import KERNELS

    places = {
        "runs and prepared captures": Path.cwd(),
        "compiled kernels": Path(KERNELS[0][1].stats.cache_path),
        "temporary files": Path(tempfile.gettempdir()),
    }
    found = []
    for purpose, path in places.items():
        there = next(place for place in (path, *path.parents) if place.is_dir())  # it is made when it is needed
        found.append(Folder(purpose, str(path), _is_writable(there), shutil.disk_usage(there).free))
    return tuple(found)


def _is_writable(folder: Path) -> bool:
    """By writing: permissions do not tell of read-only and full disks."""
    if not os.access(folder, os.W_OK):
        return False
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * 4096)
    except OSError:
        return False
    return True


def _problems(rasterisers: tuple[Part, ...], trackers: tuple[Part, ...], folders: tuple[Folder, ...]) -> list[str]:
    from trackersplat.captures.registry import open_capture
    from trackersplat.tracking.registry import DEFAULT_TRACKER

    problems = []
    missing = [name for name in REQUIRED if _version(name) is None and not (name.startswith("opencv") and _other_opencv())]
    problems += [f"The package {name} is not installed: install trackersplat again." for name in missing]
    try:
        capture = open_capture("demo")
        capture.image(0, capture.frame_count - 1)
        capture.close()
    except InputError as error:
        problems.append(str(error))
    if all(part.problem for part in rasterisers):
        problems.append("No rasteriser works here: " + "; ".join(f"{part.name}: {part.problem}" for part in rasterisers) + ".")
    problems += [part.problem for part in trackers if part.name == DEFAULT_TRACKER and part.problem]
    problems += [
        f"{folder.path} cannot be written ({folder.purpose}): work in another folder." for folder in folders[:1] if not folder.writable
    ]
    return problems


def _other_opencv() -> bool:
    """Whether OpenCV comes from another of its packages."""
    return any(_version(name) for name in ("opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless"))
