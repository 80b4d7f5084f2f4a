"""All numbers of the tracker on the GPU and of its matching of two images; those of what it does as `dis` does are of the same types."""

from __future__ import annotations

from dataclasses import dataclass, field

from trackersplat.tracking.trackers.dis.settings import PatchSettings, SearchSettings, SupportSettings, TrustSettings


@dataclass(frozen=True)
class FlowSettings:
    """Of Dense Inverse Search (Kroeger et al. 2016). The size of its patches and their spacing are those of the kernels."""

    coarsest_px: int = 24  # shortest side of the coarsest level of the pyramid, at the least
    rounds: int = 2  # of taking over the displacements of neighbouring patches, each followed by the steps
    steps: int = 4  # of the gradient descent of a patch, per round


@dataclass(frozen=True)
class VariationalSettings:
    """Of the variational refinement of a level (Brox et al. 2004), with twice the weight of gradients that Dense Inverse Search has."""

    smoothness: float = 20.0
    brightness: float = 5.0  # constancy of brightness
    gradient: float = 20.0  # constancy of its gradient
    linearisations: int = 3  # of the robust penalties
    sweeps: int = 3  # of over-relaxation, per linearisation
    relaxation: float = 1.6
    penalty: float = 0.001  # below which the robust penalty is quadratic
    normaliser: float = 0.1  # gradient below which a data term loses weight


@dataclass(frozen=True)
class ChoiceSettings:
    """Where displacements beyond plain flow are tried, and when they are taken. Penalties and gains are in units of the patch cost."""

    error_px: float = 1.0  # forward-backward error above which flow is unreliable
    residual: float = 35.0  # difference of colours (`certainty.residual`) above which flow is unreliable
    share: float = 0.002  # of the pixels; fewer unreliable ones are not worth a search
    margin_px: int = 3  # around unreliable pixels that is matched anew
    search_side_px: int = 400  # longest side of the level that is searched, at the most; finer levels start from what is found there
    both_side_px: int = 700  # longest side of what is matched both ways; larger images take the way back from half their size
    search_penalty: float = 2.0  # prefer the flow to the search
    zero_penalty: float = -3.0  # and no motion to both
    gain: float = 0.5  # that a neighbour's displacement must bring
    jumps: tuple[int, ...] = (8, 4, 2, 1)  # pixels to the neighbours that are asked, round by round, after the search
    finer_jumps: tuple[int, ...] = (2, 1)  # the same, at finer levels
    refined_penalty: float = -1.0  # prefer what a variational refinement makes of a displacement
    refined_px: float = 1.0  # if it is nearer than this


@dataclass(frozen=True)
class MatchSettings:
    """Of matching two images."""

    flow: FlowSettings = field(default_factory=FlowSettings)
    variational: VariationalSettings = field(default_factory=VariationalSettings)
    search: SearchSettings = field(default_factory=SearchSettings)
    patches: PatchSettings = field(default_factory=lambda: PatchSettings(colours=100.0))
    choice: ChoiceSettings = field(default_factory=ChoiceSettings)
    trust: TrustSettings = field(default_factory=TrustSettings)
    support: SupportSettings = field(default_factory=SupportSettings)


@dataclass(frozen=True)
class TrackSettings:
    """Of the tracker: how frames are matched, and how chained and direct tracks of a pixel are joined."""

    match: MatchSettings = field(default_factory=MatchSettings)
    reach: float = 1 / 6  # of the exhaustive search, as a share of the longest side
    drift_px: float = 0.7  # a direct match may correct the chained flow by less than this; further off it has found something else
    drift_residual: float = 80.0  # difference from the base image at which a chained track has lost half its visibility
    drift_residual_slack: float = 1.0  # by which a correction may raise that difference
    alike_px: float = 1.5  # difference at which two tracks of a pixel contradict each other more than they agree
    contradicted: float = 0.6  # certainty left to a track that another contradicts
    disputed: float = 0.5  # share of its certainty that a track loses to an equally certain one that contradicts it
