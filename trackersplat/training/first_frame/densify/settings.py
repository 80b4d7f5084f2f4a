"""When the Gaussians of a fit are changed, and how much."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ErrorSettings:
    """What only "error" reads: how a Gaussian is split in two."""

    apart: float = 0.6  # standard deviations by which each half is moved along the longest axis
    shorter: float = 0.47  # logarithm of the factor by which it is shorter there: 5/8; 4/5 would keep the spread, but measured no better
    jitter: float = 0.05  # standard deviation of random shifts, over that of the whole along its longest axis


@dataclass(frozen=True)
class McmcSettings:
    """What only "mcmc" reads."""

    noise: float = 5e4  # strength of the noise on the means, of the learning rate of the means times the covariance
    steep: float = 100.0  # of the logistic function of the opacity that lets only faint Gaussians wander
    faint: float = 0.005  # opacity at which it is a half
    most_copies: int = 50  # of one Gaussian in one round; the alternating sum loses its digits beyond
    most_opaque: float = 1 - 1e-4  # what is divided counts as no more opaque than this


@dataclass(frozen=True)
class GradientSettings:
    """What only "default" reads."""

    threshold: float = 2e-4  # mean gradient of the loss by the position in half image sizes, from which on a Gaussian is too coarse
    size: float = 0.01  # of the scene extent: larger ones are split, smaller ones doubled
    shrink: float = 1.6  # of the two that a split leaves
    reset_every: int = 3000  # steps between two resets of the opacities
    reset_opacity: float = 0.01  # after a reset, at most


@dataclass(frozen=True)
class DensifySettings:
    """Which densification, and what all of them read."""

    strategy: str = "error"  # one of DENSIFICATIONS
    every: int = 100  # steps between two rounds
    share: float = 0.1  # of the Gaussians that a round of "error" splits and one of "mcmc" adds, at least
    until: float = 0.7  # no rounds after this part of the steps
    cap: int = 30_000  # Gaussians at most
    min_opacity: float = 0.02  # fainter ones are removed, or moved to where others are
    error: ErrorSettings = field(default_factory=ErrorSettings)
    mcmc: McmcSettings = field(default_factory=McmcSettings)
    gradient: GradientSettings = field(default_factory=GradientSettings)
