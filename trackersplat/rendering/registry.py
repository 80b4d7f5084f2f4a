"""The rendering back ends, and which one to use on this machine."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import torch

from trackersplat.errors import InputError
from trackersplat.registry import Facts, Registry
from trackersplat.rendering.rasterizer import Rasterizer


@dataclass(frozen=True)
class BackendFacts(Facts):
    """``load`` names a class that is called with the torch device and gives a `Rasterizer`."""

    device: str = "cpu"  # torch device type it renders on
    why_missing: str = ""  # "module:function", asked last: what else keeps it from running, in words, or None


class BackendRegistry(Registry[BackendFacts]):
    """A registry that also asks whether torch sees the device of a back end."""

    def why_unavailable(self, name: str) -> str | None:
        if not _is_there(self.facts(name).device):  # first: without one, installing what is missing does not help
            return "torch sees no CUDA GPU"
        missing = super().why_unavailable(name)
        if missing is not None:
            return missing
        module, _, function = self.facts(name).why_missing.partition(":")
        return getattr(importlib.import_module(module), function)() if module else None

    def passed_over(self, name: str) -> tuple[str, ...]:
        """A sentence for each back end that would come before this one, is installed, and cannot run here on a device that is there."""
        sentences = []
        for facts in self:
            if facts.name == name:
                break
            if super().why_unavailable(facts.name) is None and _is_there(facts.device):
                why = self.why_unavailable(facts.name)
                if why is not None:
                    sentences.append(f"The rendering back end {facts.name} cannot be used here: {why}. {name} renders.")
        return tuple(sentences)


def _is_there(device: str) -> bool:
    """Whether torch sees a device of this type."""
    return device != "cuda" or bool(torch.cuda.is_available() and torch.cuda.device_count())


BACKENDS = BackendRegistry(
    "rendering back end",
    (
        BackendFacts(
            "triton",
            "own CUDA kernels, need no CUDA toolkit",
            "trackersplat.rendering.backends.triton:TritonRasterizer",
            packages=("triton",),
            device="cuda",
            why_missing="trackersplat.rendering.backends.host_compiler:why_missing",
        ),
        BackendFacts(
            "gsplat",
            "gsplat's CUDA kernels",
            "trackersplat.rendering.backends.gsplat:GsplatRasterizer",
            packages=("gsplat",),
            extra="gpu",
            device="cuda",
            why_missing="trackersplat.rendering.backends.gsplat_kernels:why_missing",
        ),
        BackendFacts("portable", "own CPU kernels", "trackersplat.rendering.backends.portable:PortableRasterizer", packages=("numba",)),
    ),
)


def choose_rasterizer(device: str | None = None, backend: str | None = None) -> Rasterizer:
    """The first back end of the registry that this machine can use, unless asked otherwise: with a CUDA GPU triton, or gsplat
    where triton cannot run, else portable.

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
