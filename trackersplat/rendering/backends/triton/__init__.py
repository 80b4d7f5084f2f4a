"""The back end for GPUs without a CUDA toolkit: Triton, which comes with PyTorch, compiles its kernels."""

from trackersplat.rendering.backends.triton.rasterizer import TritonRasterizer

__all__ = ["TritonRasterizer"]
