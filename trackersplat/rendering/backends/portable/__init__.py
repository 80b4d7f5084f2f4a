"""The CPU back end: forward and backward rasterisation compiled by numba."""

from trackersplat.rendering.backends.portable.compiling import forget_stale_kernels
from trackersplat.rendering.backends.portable.rasterizer import PortableRasterizer

__all__ = ["PortableRasterizer"]

forget_stale_kernels()
