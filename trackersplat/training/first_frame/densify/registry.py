"""The densifications by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trackersplat.registry import Facts, Registry
from trackersplat.training.first_frame.densify.settings import DensifySettings

if TYPE_CHECKING:
    from trackersplat.training.first_frame.densify.strategy import DensifyStrategy

_PACKAGE = "trackersplat.training.first_frame.densify"


@dataclass(frozen=True)
class DensifyFacts(Facts):
    """``load`` names a class that is made from DensifySettings. The rest is what its authors use with it; None: any."""

    min_opacity: float | None = None  # DensifySettings.min_opacity
    opacity_weight: float | None = None  # Regularisation.opacity
    scale_weight: float | None = None  # Regularisation.scale


DENSIFICATIONS: Registry[DensifyFacts] = Registry(
    "densification",
    (
        DensifyFacts("error", "where the picture is wrong", f"{_PACKAGE}.error:ErrorStrategy"),
        DensifyFacts(
            "mcmc",
            "as samples of a Markov chain (Kheradmand et al. 2024)",
            f"{_PACKAGE}.mcmc:McmcStrategy",
            min_opacity=0.005,
            opacity_weight=0.01,
            scale_weight=1.0,
        ),
        DensifyFacts("default", "by screen-space gradients, as in 3DGS", f"{_PACKAGE}.gradient:GradientStrategy", min_opacity=0.005),
    ),
)


def create_densification(settings: DensifySettings) -> DensifyStrategy:
    """A fresh one for one optimisation. Raises InputError if there is none of that name."""
    strategy: DensifyStrategy = DENSIFICATIONS.load(settings.strategy)(settings)
    return strategy
