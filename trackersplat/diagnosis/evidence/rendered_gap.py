"""Distance from the material point that the Gaussians carry."""

from __future__ import annotations

import numpy as np

from trackersplat.diagnosis.moment import Moment


def rendered_gap(moment: Moment) -> np.ndarray:
    """(P,) px; nothing where the point was lifted in this very frame."""
    return np.where(moment.lifted, np.nan, np.linalg.norm(moment.position - moment.material.pixels, axis=1))
