"""Every choice of the motion, with its defaults."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MotionSettings:
    """Pixels are those of the images that were tracked."""

    core: float = 0.3  # share of a Gaussian's size whose pixels measure it
    track_noise_px: float = 0.3  # standard deviation per axis of a good track, at most: less where the views agree better (noise.py)
    minimum_weight: float = 0.05  # blending weight, summed over pixels, from which a view has a say about a Gaussian
    minimum_share: float = 0.05  # of the Gaussian's blending weight in a view that must carry certain tracks
    surface_tolerance: float = 0.02  # a mean further behind the rendered surface than 2 deviations + this share of its depth is hidden
    frontal: float = 4.0  # power of the share of a Gaussian that a view sees, next to the view that sees most of it: by it its word counts
    minimum_views: int = 2  # that must agree on a triangulated motion
    maximum_residual_px: float = 1.5  # RMS reprojection error of a motion that counts as measured
    maximum_deviation_px: float = 5.0  # standard deviation of a measured position: rejects views that look along one line
    static_px: float = 0.5  # motion below this is withheld and carried to the next leg or batch
    neighbours: int = 8  # of the graph that carries motion
    rotation_neighbours: int = 16  # of which the measured ones decide a rotation
    rotation_prior: float = 3.0  # radians, expected size of a rotation
    strain: float = 0.2  # expected departure from rigid motion between neighbours, over their distance
    bend: float = 0.1  # radians, expected difference of neighbours' rotations
    unsteadiness: float = 4.0  # expected change of a velocity from leg to leg, over the velocity
    static_pull: float = 0.002  # strength of an edge between a static Gaussian and one that was seen not to be
    colour_scale: float = 0.15  # difference of colour in [0, 1] at which two neighbours start to count as two surfaces
