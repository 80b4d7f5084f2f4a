"""All numbers of the DIS tracker and of its matching of two images."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class FlowSettings:
    """Of OpenCV's Dense Inverse Search flow (Kroeger et al. 2016), on top of its medium preset."""

    finest_scale: int = 0  # full resolution; the preset stops at half of it, which doubles the error on small movers
    patch_stride: int = 4  # fewer patches than the preset's 3, with fewer iterations than its 25, cost nothing measurable
    iterations: int = 16  # of the gradient descent of a patch


@dataclass(frozen=True)
class SearchSettings:
    """Of the exhaustive search in small images. The window is a size of the kernel (`exhaustive`)."""

    side_px: int = 160  # longest side of the images that are searched, at the most half of the size that is matched
    colour_limit: float = 120.0  # of the summed difference of three channels: what is covered costs no more than this
    gradient_limit: float = 60.0
    step_penalty: float = 1.0  # per pixel of displacement, for the whole window: decides only where nothing else does


@dataclass(frozen=True)
class PatchSettings:
    """Of the costs of patches at half-pixel displacements. Their size is one of the kernel (`patches`)."""

    colours: float = 80.0  # summed difference of three channels from the centre at which a pixel's weight has halved
    colour_limit: float = 150.0  # cut-off of the difference of one pixel, summed over three channels
    gradient_limit: float = 100.0
    outside_cost: float = 100.0  # of leaving the image: less than a wrong match, more than a right one


@dataclass(frozen=True)
class ChoiceSettings:
    """Where displacements beyond plain flow are tried, and when they are taken. Penalties and gains are in units of the patch cost."""

    error_px: float = 1.0  # forward-backward error above which flow is unreliable
    residual: float = 35.0  # difference of colours (`matching.residual`) above which flow is unreliable
    share: float = 0.002  # of the pixels; fewer unreliable ones are not worth a search
    margin_px: int = 3  # around unreliable pixels that is matched anew
    spread_side_px: int = 400  # longest side at which displacements are spread; larger images take theirs from half their size
    seeded_scale: int = 1  # coarsest scale of the flow that starts from the displacements found at half the size
    search_penalty: float = 2.0  # prefer the flow to the search
    zero_penalty: float = -3.0  # and no motion to both
    gain: float = 0.5  # that a neighbour's displacement must bring
    refined_penalty: float = -1.0  # prefer what a variational refinement makes of a displacement
    refined_px: float = 1.0  # if it is nearer than this


@dataclass(frozen=True)
class TrustSettings:
    """Visibility and confidence of a displacement, from the way back and from the colours of both images."""

    tolerance_px: float = 1.0  # forward-backward error at which the visibility of what rests has halved
    tolerance_motion: float = 0.03  # growth of that error per pixel of motion
    tolerance_residual: float = 80.0  # difference of colours at which the visibility has halved
    residual_limit: float = 150.0  # cut-off of the difference of colours of one pixel, summed over three channels
    residual_window_px: int = 5  # side of the window over which it is averaged
    confident_px: float = 1.0  # forward-backward error at which the confidence has halved


@dataclass(frozen=True)
class SupportSettings:
    """Support of a displacement by others around it."""

    reach_px: int = 6  # surroundings on each side
    step_px: int = 2  # of which every second pixel is asked
    alike_px: float = 1.0  # difference of displacement at which a neighbour counts half
    alike_slope: float = 0.5  # growth of that difference per pixel of distance: rotation is no contradiction
    half_share: float = 0.15  # share of agreeing surroundings that makes a track as likely right as wrong


@dataclass(frozen=True)
class MatchSettings:
    """Of matching two images."""

    flow: FlowSettings = field(default_factory=FlowSettings)
    search: SearchSettings = field(default_factory=SearchSettings)
    patches: PatchSettings = field(default_factory=PatchSettings)
    choice: ChoiceSettings = field(default_factory=ChoiceSettings)
    trust: TrustSettings = field(default_factory=TrustSettings)
    support: SupportSettings = field(default_factory=SupportSettings)


@dataclass(frozen=True)
class DISSettings:
    """Of the DIS tracker: how frames are matched, and how chained and direct tracks of a pixel are joined."""

    match: MatchSettings = field(default_factory=MatchSettings)
    reach: float = 1 / 6  # of the exhaustive search, as a share of the longest side
    drift_px: float = 0.7  # a direct match may correct the chained flow by less than this; further off it has found something else
    drift_scale: int = 0  # coarsest scale of the flow that finds the correction
    drift_residual: float = 80.0  # difference from the base image at which a chained track has lost half its visibility
    drift_residual_slack: float = 1.0  # by which a correction may raise that difference
    alike_px: float = 1.5  # difference at which two tracks of a pixel contradict each other more than they agree
    contradicted: float = 0.6  # certainty left to a track that another contradicts
    disputed: float = 0.5  # share of its certainty that a track loses to an equally certain one that contradicts it
