"""The costly loops of motion as single CUDA kernels (Triton): results of the elementwise PyTorch, without its memory traffic.

Each is called by the function that it stands in for, where ``available`` says so, and is tested against it.
"""

from __future__ import annotations

import importlib.util

from torch import Tensor


def available(tensor: Tensor) -> bool:
    """Whether the kernels work on the tensor's device: CUDA with Triton, which the CUDA builds of PyTorch bring on Linux."""
    return tensor.is_cuda and importlib.util.find_spec("triton") is not None
