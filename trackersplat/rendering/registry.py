"""The rendering back ends, and which one to use on this machine."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from trackersplat.errors import InputError
from trackersplat.registry import Facts, Registry
from trackersplat.rendering.rasterizer import Rasterizer


@dataclass(frozen=True)
class BackendFacts(Facts):
    """``load`` names a class that is called with the torch device and gives a `Rasterizer`."""

    device: str = "cpu"  # torch device type it renders on


class BackendRegistry(Registry[BackendFacts]):
    """A registry that also asks whether torch sees the device of a back end."""

    def why_unavailable(self, name: str) -> str | None:
        missing = super().why_unavailable(name)
        if missing is None and self.facts(name).device == "cuda" and not torch.cuda.is_available():
            return "torch sees no CUDA GPU"
        return missing


BACKENDS = BackendRegistry(
    "rendering back end",
    (
        BackendFacts(
            "gsplat",
            "gsplat's CUDA kernels",
            "trackersplat.rendering.backends.gsplat:GsplatRasterizer",
            packages=("gsplat",),
            extra="gpu",
            device="cuda",
        ),
        BackendFacts("portable", "own CPU kernels", "trackersplat.rendering.backends.portable:PortableRasterizer", packages=("numba",)),
    ),
)


def choose_rasterizer(device: str | None = None, backend: str | None = None) -> Rasterizer:
    """The first back end of the registry that this machine can use, unless asked otherwise: gsplat with a CUDA GPU, else portable.

    ``device`` is "cpu", "cuda" or "cuda:N"; ``backend`` a name of BACKENDS.

    Raises InputError if what was asked for does not exist, does not fit together or is not available here.
    """
    if device is not None:
        _check_device(device)
    if backend is None:
        backend = _first_usable(None if device is None else torch.device(device).type)
    facts = BACKENDS.facts(backend)
    if device is not None and torch.device(device).type != facts.device:
        raise InputError(f"The rendering back end {backend} runs on {facts.device}, not on {device}; name only one of the two.")
    rasterizer: Rasterizer = BACKENDS.load(backend)(torch.device(device or facts.device))
    return rasterizer


def choose_rasterizers(devices: str | None = None, backend: str | None = None) -> tuple[Rasterizer, ...]:
    """One for each of the comma-separated devices, the first of which does what is not shared; otherwise as `choose_rasterizer`."""
    names = [None] if devices is None else [name.strip() for name in devices.split(",")]
    return tuple(choose_rasterizer(name, backend) for name in names)


def _first_usable(device: str | None) -> str:
    """Of those for the device type; the first of them if none can be used, so that the error says what is missing."""
    names = [facts.name for facts in BACKENDS if device in (None, facts.device)]
    return next((name for name in names if BACKENDS.why_unavailable(name) is None), names[0])


def _check_device(device: str) -> None:
    try:
        parsed = torch.device(device)
    except RuntimeError:
        parsed = None
    if parsed is None or parsed.type not in {facts.device for facts in BACKENDS}:
        raise InputError(f"There is no device {device!r}; choose 'cpu', 'cuda' or 'cuda:N'.")
    if parsed.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (parsed.index or 0) >= count:
            found = f"torch sees {count} CUDA GPU{'' if count == 1 else 's'}"
            raise InputError(f"The device {device!r} is not there: {found}; choose another or leave --device away.")
