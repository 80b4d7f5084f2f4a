"""Gaussians as whole numbers that do not depend on any other frame: every value is a multiple of a step.

Steps of all attributes but the means are the same for every scene: logarithms, logits, colours and unit quaternions have no unit of length.
A mean is counted in a share of the Gaussian's own size, a power of two, which is kept beside it. There is no range, so nothing is clipped:
codes are 32 bits wide, and where a value would not fit, the step is wider.

A code stays while its value stays near it (`CodeSettings.keep_within`): what does not move costs next to nothing and does not flicker.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from trackersplat.errors import ShapeError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.devices import downloaded

LARGEST_CODE = 2**30  # so that a difference of two codes fits 32 bits
_MEAN_BITS = 25  # of a mean over the size that it is counted in: more than single precision has
_LARGEST_EXPONENT = 120  # of a size that means are counted in; single precision ends at 128
_KEEP_SIZE = 0.25  # powers of two outside its own within which a size keeps its exponent
STEPS = ("opacity_logits", "log_scales", "quats", "means", "sh_dc", "sh_rest")  # attributes that have one, in the order of files
NAMES = ("exponents", *STEPS)


@dataclass(frozen=True)
class CodeSettings:
    """Steps between neighbouring codes. The table of docs/architecture.md tells what they cost."""

    opacity_logits: float = 0.2
    log_scales: float = math.log(2) / 16
    quats: float = 1 / 96  # of a unit quaternion
    means: float = 1 / 24  # of the middle one of the three standard deviations, rounded down to a power of two
    sh_dc: float = 0.018
    sh_rest: float = 0.02
    keep_within: float = 0.6  # steps from its code up to which a value keeps it

    def steps(self) -> dict[str, float]:
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name in STEPS}


@dataclass(frozen=True, eq=False)
class Codes:
    """N Gaussians as whole numbers. Every tensor is (N, D) int32 on the CPU."""

    tensors: dict[str, Tensor]  # by `NAMES`
    steps: dict[str, float]  # by `STEPS`

    def __len__(self) -> int:
        return len(self.tensors["means"])

    @property
    def sh_coefficients(self) -> int:
        return 1 + self.tensors["sh_rest"].shape[1] // 3


def widths(sh_coefficients: int) -> dict[str, int]:
    """Numbers per Gaussian of every tensor of `Codes`."""
    others = {"exponents": 1, "opacity_logits": 1, "log_scales": 3, "quats": 4, "means": 3, "sh_dc": 3}
    return {name: others.get(name, 3 * (sh_coefficients - 1)) for name in NAMES}


def encode(gaussians: Gaussians, before: Codes | None, settings: CodeSettings) -> Codes:
    """The codes of a frame, near those of ``before`` where they may be: equally many Gaussians, in the same order. Works on the device of
    the Gaussians. Raises ShapeError if a value is not finite, or a quaternion 0.
    """
    earlier = None if before is None else {name: tensor.to(gaussians.device, non_blocking=True) for name, tensor in before.tensors.items()}
    values = _columns(gaussians, earlier)
    steps = settings.steps() if before is None else before.steps
    for name, largest in _largest(values).items():
        if not math.isfinite(largest):
            raise ShapeError(f"{name} of {len(gaussians):,} Gaussians are not all finite.")
        if name != "means" and largest > LARGEST_CODE * steps[name]:
            if before is not None:
                return encode(gaussians, None, settings)
            steps = {**steps, name: largest / LARGEST_CODE}
    exponents = _exponents(values, None if earlier is None else earlier["exponents"])
    coded = {"exponents": exponents}
    for name in STEPS:
        step = (
            steps[name] * torch.exp2(exponents.double())
            if name == "means"
            else torch.full_like(exponents, 1, dtype=torch.float64) * steps[name]
        )
        codes = torch.round(values[name] / step)
        if earlier is not None:
            near = _expected(name, earlier, exponents).double()
            codes = torch.where((values[name] - near * step).abs() <= settings.keep_within * step, near, codes)
        coded[name] = codes.to(torch.int32)
    return Codes(downloaded({name: coded[name] for name in NAMES}), steps)


def decode(codes: Codes) -> Gaussians:
    """On the CPU. Raises ValueError if the codes are not those of Gaussians."""
    exponents = codes.tensors["exponents"]
    values = {name: codes.tensors[name].double() * _steps(name, codes.steps, exponents) for name in STEPS}
    parts = {name: value.float() for name, value in values.items()}
    if not all(bool(part.isfinite().all()) for part in parts.values()) or not bool((parts["quats"] != 0).any(dim=1).all()):
        raise ValueError("numbers that are not those of Gaussians")
    return Gaussians(
        means=parts["means"],
        quats=parts["quats"],
        log_scales=parts["log_scales"],
        opacity_logits=parts["opacity_logits"][:, 0].contiguous(),
        sh=torch.cat((parts["sh_dc"], parts["sh_rest"]), dim=1).reshape(len(codes), codes.sh_coefficients, 3),
    )


def differences(codes: Codes, before: Codes | None) -> dict[str, Tensor]:
    """What is to be added to what ``before`` lets expect, (N, D) int32 each; the codes themselves without one."""
    if before is None:
        return codes.tensors
    exponents = codes.tensors["exponents"]
    return {name: tensor - _expected(name, before.tensors, exponents) for name, tensor in codes.tensors.items()}


def add(changes: dict[str, Tensor], before: Codes | None, steps: dict[str, float]) -> Codes:
    """The inverse of `differences`."""
    if before is None:
        return Codes(changes, steps)
    exponents = before.tensors["exponents"] + changes["exponents"]
    return Codes({name: _expected(name, before.tensors, exponents) + change for name, change in changes.items()}, steps)


def _steps(name: str, steps: dict[str, float], exponents: Tensor) -> Tensor:
    """(N, 1) float64."""
    return steps[name] * (torch.exp2(exponents.double()) if name == "means" else torch.ones_like(exponents, dtype=torch.float64))


def _expected(name: str, earlier: dict[str, Tensor], exponents: Tensor) -> Tensor:
    """The earlier codes; those of means in the unit that they are counted in now."""
    if name != "means":
        return earlier[name]
    shift = torch.exp2((earlier["exponents"] - exponents).clamp(-64, 64).double())
    return torch.round((earlier["means"].double() * shift).clamp(-LARGEST_CODE, LARGEST_CODE)).to(torch.int32)


def _exponents(values: dict[str, Tensor], earlier: Tensor | None) -> Tensor:
    """(N, 1) int32: powers of two that means are counted in shares of. Not finer than single precision needs."""
    size = values["log_scales"].sort(dim=1).values[:, 1:2] / math.log(2)
    chosen = torch.floor(size.clamp(-_LARGEST_EXPONENT, _LARGEST_EXPONENT))
    if earlier is not None:
        above = size - earlier.double()
        chosen = torch.where((above >= -_KEEP_SIZE) & (above <= 1 + _KEEP_SIZE), earlier.double(), chosen)
    largest = values["means"].abs().amax(dim=1, keepdim=True)
    least = torch.where(largest > 0, torch.ceil(torch.log2(largest)) - _MEAN_BITS, -math.inf)
    return torch.maximum(chosen, least).to(torch.int32)


def _columns(gaussians: Gaussians, earlier: dict[str, Tensor] | None) -> dict[str, Tensor]:
    """(N, D) float64 of every attribute. Of the two unit quaternions of a rotation, that near the ``earlier`` codes, or with w >= 0."""
    quats = torch.nn.functional.normalize(gaussians.quats.detach().double(), dim=1)
    near = quats[:, :1] if earlier is None else (quats * earlier["quats"].double()).sum(dim=1, keepdim=True)
    columns = {
        "opacity_logits": gaussians.opacity_logits[:, None],
        "log_scales": gaussians.log_scales,
        "means": gaussians.means,
        "sh_dc": gaussians.sh[:, 0],
        "sh_rest": gaussians.sh[:, 1:].flatten(1),
    }
    return {"quats": torch.where(near < 0, -quats, quats), **{name: tensor.detach().double() for name, tensor in columns.items()}}


def _largest(values: dict[str, Tensor]) -> dict[str, float]:
    """By `STEPS`: the largest absolute value, nan if one is, 0 of none. Raises ShapeError if a quaternion is 0. Waits for a GPU once."""
    quats = values["quats"]
    none = quats.new_zeros(())
    least = quats.abs().amax(dim=1).min() if len(quats) else torch.ones_like(none)
    least, *largest = torch.stack([least, *(values[name].abs().max() if values[name].numel() else none for name in STEPS)]).tolist()
    if least == 0:
        raise ShapeError(f"A quaternion of {len(quats):,} Gaussians is 0.")
    return dict(zip(STEPS, largest, strict=True))
