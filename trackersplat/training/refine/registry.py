"""The refinements by name."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from trackersplat.registry import Facts, Registry

DEFAULT_REFINEMENT = "adam"


@dataclass(frozen=True)
class RefinementFacts(Facts):
    """``load`` names a `task.Refinement`."""

    # "package.module:Class", a frozen dataclass with what RefineSettings has: steps, seed, for_device(device, moved) and unmoved()
    settings: str = "trackersplat.training.refine.settings:RefineSettings"


REFINEMENTS: Registry[RefinementFacts] = Registry(
    "refinement",
    (RefinementFacts("adam", "Adam on all Gaussians, faint ones replaced", "trackersplat.training.refine.adam:refine"),),
)


def refinement_settings(name: str, device: str = "cpu", moved: bool = True) -> Any:
    """Its default settings for a "cpu" or a "cuda" device, where motions have ``moved`` the Gaussians before, or none has.

    Raises InputError if there is no refinement of that name.
    """
    module, _, attribute = REFINEMENTS.facts(name).settings.partition(":")
    return getattr(importlib.import_module(module), attribute).for_device(device, moved)
