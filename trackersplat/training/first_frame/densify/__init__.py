"""How the number and the places of the Gaussians change while they are fitted."""

from trackersplat.training.first_frame.densify.error import blended_error, densify, halves
from trackersplat.training.first_frame.densify.registry import STRATEGIES, strategy
from trackersplat.training.first_frame.densify.strategy import DensifySettings, DensifyStrategy, Fit, StrategyName

__all__ = ["STRATEGIES", "DensifySettings", "DensifyStrategy", "Fit", "StrategyName", "blended_error", "densify", "halves", "strategy"]
