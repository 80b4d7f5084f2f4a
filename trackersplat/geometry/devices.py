"""Which of two ways of the same computation a tensor takes: a fused CUDA kernel (Triton) or plain PyTorch.

Each fused kernel stands beside its plain PyTorch reference, in a module whose name ends in ``_triton``, is called by that reference
where ``has_triton`` says so, and is tested against it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor


def has_triton(tensor: Tensor) -> bool:
    """Whether Triton kernels can work on the tensor: on a CUDA device, with Triton installed (PyTorch for CUDA on Linux brings it)."""
    return tensor.is_cuda and importlib.util.find_spec("triton") is not None


def uploaded(values: ArrayLike, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Numbers of the host on a device. They go to a GPU from pinned memory, in turn with its work, and nobody waits for that."""
    there = torch.as_tensor(np.asarray(values), dtype=dtype)
    return there.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else there.to(device)


def downloaded(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors on the CPU, where they are not copied. From a GPU they all come to pinned memory, for which the host waits once."""
    there = {name: tensor.detach() for name, tensor in tensors.items()}
    gpu = next((tensor.device for tensor in there.values() if tensor.is_cuda), None)
    if gpu is None:
        return there
    here = {name: torch.empty(t.shape, dtype=t.dtype, pin_memory=True).copy_(t, non_blocking=True) for name, t in there.items()}
    torch.cuda.current_stream(gpu).synchronize()
    return here


def current(device: torch.device) -> AbstractContextManager[object]:
    """Makes a GPU the thread's current device, on which kernels of Triton run; nothing for a CPU."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
