"""All numbers of the agreement of tracks between views."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ConsistencySettings:
    """How tracks of several views of one point are joined, and what that says about the visibility of the point.

    Positions and visibilities of points whose depth is unknown, or that no other view supports, stay as they are.
    """

    tolerance_px: float = 1.0  # residual at which a track of a view counts half
    paired_views: int = 5  # the most certain views, which are tried in pairs
    steps: int = 4  # of the refinement of the best pair's point
    surface_tolerance: float = 0.02  # difference of depth, over the depth, between neighbouring pixels of one surface
    depth_tolerance: float = 0.01  # difference of depth, over the depth, up to which a view sees the same surface
    least_weight: float = 0.02  # of a track that its own view hardly trusts; one of confidence 0 has none
    least_support: float = 0.2  # weight of the other views that agree, below which a track stays as it is
    half_support: float = 0.5  # the same weight at which the views make a position as likely right as wrong
    half_own: float = 0.05  # weight of the view's own agreeing track at which it makes the point as likely seen as not
    visible_share: float = 0.8  # of the supported points that are seen, though their own view has lost them
    grid_step: float = 1 / 42  # between the points of each view that cover others, as a share of the longest side
    footprint: float = 1 / 256  # standard deviation of the image area that such a point covers, as a share of the longest side
    minimum_alpha: float = 0.5  # rendered opacity from which there is a surface, where depths are rendered
    few_covering: float = 0.3  # weight of covering points at which the point is as likely covered as not, if none is beside it


@dataclass(frozen=True)
class KeyFrameSettings:
    """How points of long clips are followed anew (keyframes.py)."""

    every: int = 8  # targets between key frames
    least_predicted: float = 0.3  # confidence of what the points around predict, from which a lost point is followed anew from there
    predicted: float = 0.5  # weight of tracks from such a place, beside those from a place that views agree on
