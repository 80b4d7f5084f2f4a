"""The strategies by name."""

from __future__ import annotations

from collections.abc import Callable

from trackersplat.errors import InputError
from trackersplat.training.first_frame.densify.error import ErrorStrategy
from trackersplat.training.first_frame.densify.gradient import GradientStrategy
from trackersplat.training.first_frame.densify.mcmc import McmcStrategy
from trackersplat.training.first_frame.densify.strategy import DensifySettings, DensifyStrategy

STRATEGIES: dict[str, Callable[[DensifySettings], DensifyStrategy]] = {
    "error": ErrorStrategy,
    "mcmc": McmcStrategy,
    "default": GradientStrategy,
}


def strategy(settings: DensifySettings) -> DensifyStrategy:
    """A fresh strategy for one optimisation. Raises InputError if there is none of that name."""
    if settings.strategy not in STRATEGIES:
        raise InputError(f"There is no densification {settings.strategy!r}; choose one of {', '.join(STRATEGIES)}.")
    return STRATEGIES[settings.strategy](settings)
