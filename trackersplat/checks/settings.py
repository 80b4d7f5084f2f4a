"""The thresholds of the checks. They are part of the report, since they decide what is found."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class FrameSettings:
    """Frames that cannot be decoded, are blank, or repeat the frame before. Grey levels run from 0 to 255."""

    thumbnail_side: int = 160  # pixels of the longer side of the images in which motion is measured
    give_up_after: int = 5  # failures in a row, after which a camera is not read any further: each costs decoding from the start
    black_level: float = 16.0  # 99 % of a black frame lie below it
    flat_spread: float = 2.0  # grey levels: standard deviation of a frame of one colour
    repeat_share: float = 0.05  # of a camera's usual change: a frame that changes less is the frame before, encoded again
    frozen_after: int = 3  # repetitions in a row: the camera is frozen; fewer are single duplicates


@dataclass(frozen=True)
class MatchSettings:
    """Features of one frame, matched between cameras."""

    frames: int = 3  # in which points are matched
    features: int = 1500  # per image
    longest_side: int = 1280  # pixels of the image in which features are found
    ratio: float = 0.85  # a match is this much nearer than the second best (Lowe 2004), as a ratio of distances
    coarse_features: int = 400  # strongest features of each image, which tell which images show the same
    compare_all: int = 24  # cameras up to which all pairs are compared to find the partners of each
    near_views: int = 8  # of more, each is compared with so many that are near by their poses
    similar_views: int = 6  # and so many whose images have the same visual words
    words: int = 1024
    partners: int = 5  # cameras that each camera is matched with
    min_matches: int = 16  # of a pair, that agree on one epipolar geometry
    min_share: float = 0.4  # of a pair's matches that must agree; a third of a few dozen agree by chance
    epipolar_px: float = 1.5  # pixels of the image in which features are found
    seed: int = 1  # of OpenCV's random choices


@dataclass(frozen=True)
class PoseSettings:
    """Cameras whose pose does not fit the matches. Pixels are those of the cameras' images."""

    tolerance_px: float = 2.0  # a smaller residual does no harm
    tolerance_share: float = 0.002  # the same as a share of the longer side of the image; the larger of the two counts
    unusual: float = 4.0  # times the median residual of the other cameras
    contradiction: float = 3.0  # times the tolerance: the poses are wrong rather than coarse
    candidates: int = 6  # cameras that may be the wrong one, tried in each round
    min_points: int = 8  # placed by other cameras, to judge a camera by
    max_uncertainty_px: float = 2.0  # of a placed point in the judged image, if every view is one pixel off
    certain_matches: int = 20  # of a pair, and
    certain_share: float = 0.5  # so many of them agree: the pair counts against a pose
    rigid_rather: float = 0.5  # of them that a relative pose must explain; hardly any such pose explains more of wrong matches
    rigid_px: float = 1.5  # from an epipolar line of the relative pose that fits the matches of a pair best
    max_excess_px: float = 20.0  # residuals above the tolerance count no more than this in the choice of the wrong camera
    triangulation_rounds: int = 5  # of reweighting
    huber_px: float = 2.0
    pnp_px: float = 4.0  # inlier threshold of the pose that would fit
    pnp_rounds: int = 500  # of RANSAC
    seed: int = 1  # of OpenCV's random choices


@dataclass(frozen=True)
class SynchronySettings:
    """Cameras that film earlier or later than the others. Grey levels run from 0 to 255."""

    reach: int = 25  # largest offset that is tried, frames, and
    reach_share: float = 0.4  # the same as a share of the frames in a row; the smaller counts, so that enough frames overlap
    planes: int = 96  # epipolar planes per pair of cameras
    partners: int = 8  # cameras that each camera is compared with
    noise: float = 1.5  # grey levels above the usual change of a pixel, from which a change counts as motion
    max_change: float = 20.0  # grey levels: more change is not more motion
    min_common_angle: float = 0.05  # radians of common planes that a pair needs
    min_frames: int = 8
    min_correlation: float = 0.25  # for an offset to be believed
    certain_gain: float = 0.04  # in correlation over that without an offset: a problem
    likely_gain: float = 0.02  # the same with many partners: a warning
    many_partners: int = 5
    min_offset: float = 1.5  # frames that are reported
    min_offset_many: float = 0.75  # the same with many partners


@dataclass(frozen=True)
class SharpnessSettings:
    """Cameras out of focus, on the scale of Crete et al. 2007: 0 sharp to 1 blurred."""

    window: int = 9  # pixels of the blur that is applied
    max_excess: float = 0.13  # over the median of the others; a blur of 1.2 pixels adds about 0.17 to a sharp image


@dataclass(frozen=True)
class ColourSettings:
    """Cameras whose colours differ from those of the others."""

    darkest: float = 8.0  # levels (0 to 255) between which a colour is neither noise nor clipped
    brightest: float = 245.0
    min_points: int = 12  # that a camera shares with others
    max_brightness_difference: float = 0.2  # as a share of the others' brightness
    max_tint_difference: float = 0.15  # of one colour against the mean of all three, as a share
    rounds: int = 40  # of median polish


@dataclass(frozen=True)
class CheckSettings:
    """Everything that decides what a check reports."""

    max_frames: int = 150  # a longer clip is checked in three stretches of a third of these frames each
    frames: FrameSettings = field(default_factory=FrameSettings)
    matches: MatchSettings = field(default_factory=MatchSettings)
    poses: PoseSettings = field(default_factory=PoseSettings)
    synchrony: SynchronySettings = field(default_factory=SynchronySettings)
    sharpness: SharpnessSettings = field(default_factory=SharpnessSettings)
    colours: ColourSettings = field(default_factory=ColourSettings)


DEFAULTS = CheckSettings()
