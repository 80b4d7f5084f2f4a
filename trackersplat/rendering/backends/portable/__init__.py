"""The CPU back end: forward and backward rasterisation compiled by numba."""

from trackersplat.rendering.backends.portable.compiling import compile_kernels, forget_stale_kernels, kernels_are_cached
from trackersplat.rendering.backends.portable.rasterizer import PortableRasterizer

__all__ = ["PortableRasterizer", "compile_kernels", "kernels_are_cached"]

forget_stale_kernels()
