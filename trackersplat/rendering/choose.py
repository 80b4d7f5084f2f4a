"""Which rasteriser to use on this machine."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import torch

from trackersplat.errors import InputError
from trackersplat.rendering.rasterizer import Rasterizer


@dataclass(frozen=True)
class BackendInfo:
    """Facts about a back end; listed without importing what it needs."""

    name: str  # as on the command line
    title: str
    device: str  # torch device type it renders on
    package: str  # that must be importable
    needs: str
    licence: str


BACKENDS: dict[str, BackendInfo] = {
    info.name: info
    for info in (
        BackendInfo(
            "gsplat", "gsplat's CUDA kernels", "cuda", "gsplat", "an NVIDIA GPU and pip install '.[gpu]' in the clone", "Apache-2.0"
        ),
        BackendInfo("portable", "own CPU kernels", "cpu", "numba", "nothing more", "Apache-2.0"),
    )
}


def why_unavailable(backend: str) -> str | None:
    """Why a back end of the registry cannot be used on this machine, or None if it can. Imports no back end."""
    info = BACKENDS[backend]
    if importlib.util.find_spec(info.package) is None:
        return f"the package {info.package} is not installed"
    if info.device == "cuda" and not torch.cuda.is_available():
        return "torch sees no CUDA GPU"
    return None


def choose_rasterizer(device: str | None = None, backend: str | None = None) -> Rasterizer:
    """gsplat where there is a CUDA GPU and gsplat is installed, portable everywhere else, unless asked otherwise.

    ``device`` is "cpu", "cuda" or "cuda:N"; ``backend`` a name of BACKENDS.

    Raises InputError if what was asked for does not exist, does not fit together or is not available here.
    """
    if device is not None:
        _check_device(device)
    if backend is None:
        if device is None:
            backend = "portable" if why_unavailable("gsplat") else "gsplat"
        else:
            backend = "portable" if torch.device(device).type == "cpu" else "gsplat"
    if backend not in BACKENDS:
        raise InputError(f"There is no rendering back end {backend!r}; choose one of {', '.join(sorted(BACKENDS))}.")
    info = BACKENDS[backend]
    if device is not None and torch.device(device).type != info.device:
        raise InputError(f"The rendering back end {backend} runs on {info.device}, not on {device}; leave one of the two to us.")
    missing = why_unavailable(backend)
    if missing is not None:
        raise InputError(f"The rendering back end {backend} is not available because {missing}; it needs {info.needs}.")
    if backend == "gsplat":
        from trackersplat.rendering.backends.gsplat import GsplatRasterizer

        return GsplatRasterizer(device or "cuda")
    from trackersplat.rendering.backends.portable import PortableRasterizer

    return PortableRasterizer()


def _check_device(device: str) -> None:
    try:
        parsed = torch.device(device)
    except RuntimeError:
        parsed = None
    if parsed is None or parsed.type not in ("cpu", "cuda"):
        raise InputError(f"There is no device {device!r}; choose 'cpu', 'cuda' or 'cuda:N'.")
    if parsed.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (parsed.index or 0) >= count:
            found = f"torch sees {count} CUDA GPU{'' if count == 1 else 's'}"
            raise InputError(f"The device {device!r} is not there: {found}; choose another or leave the choice to us.")


def describe(rasterizer: Rasterizer) -> str:
    """Such as "CPU, 2 cores (portable)" or "NVIDIA H200 (gsplat)"."""
    if rasterizer.device.type == "cuda":
        return f"{torch.cuda.get_device_name(rasterizer.device)} ({rasterizer.name})"
    import numba

    cores = numba.get_num_threads()
    return f"CPU, {cores} core{'' if cores == 1 else 's'} ({rasterizer.name})"


def is_prepared(rasterizer: Rasterizer) -> bool:
    """Whether the kernels look compiled already, so that the first render starts at once. Cheap, a guess."""
    if rasterizer.name == "gsplat":
        from trackersplat.rendering.backends import gsplat as gsplat_backend

        return gsplat_backend.kernels_are_cached()
    from trackersplat.rendering.backends.portable import kernels_are_cached

    return kernels_are_cached()


def prepare(rasterizer: Rasterizer, progress: Callable[[str, int, int], None] | None = None) -> None:
    """Compiles the kernels now instead of in the first render; ``progress(what, done, total)`` tells how far it is."""
    if rasterizer.name == "gsplat":
        from trackersplat.rendering.backends import gsplat as gsplat_backend

        gsplat_backend.compile_kernels(progress)
    else:
        from trackersplat.rendering.backends.portable import compile_kernels

        compile_kernels(progress)
