"""What every back end and `lift` must agree on: the constants of the rendering rules of 3DGS (Kerbl et al. 2023).

Kernels take these values from here, as compile-time constants (numba) or arguments (Triton, gsplat). Values that are compiled into
gsplat are written down here once, so that `lift` blends with the same ones.
"""

from __future__ import annotations

import math

ALPHA_MIN = 1 / 255  # a Gaussian with less alpha in a pixel is left out there
ALPHA_MAX = 0.99  # cap of alpha, as in 3DGS
GSPLAT_ALPHA_MAX = 0.999  # cap compiled into gsplat 1.5; gsplat 1.6 caps at 0.99, so pyproject.toml pins gsplat below 1.6
TRANSMITTANCE_MIN = 1e-4  # a pixel is finished before the Gaussian that would leave less
EPS_2D = 0.3  # px^2, low-pass added to the diagonal of the projected covariance
SLOPE_MARGIN = 0.3  # ray slopes in the Jacobian are clamped to the image plus this share of its half size on each side
FAR = 1e10  # camera depth, scene units; keeps only what is not finite out. The near plane is the camera's: `Camera.near`

LOG2_ALPHA_MIN = math.log2(ALPHA_MIN)  # for kernels that work with the exponent of alpha
