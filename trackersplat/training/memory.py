"""How much memory a device has left."""

from __future__ import annotations

import torch


def free_memory(device: torch.device) -> int | None:
    """Bytes that this process can still take on a CUDA device, its own cache included; None on a CPU."""
    if device.type != "cuda":
        return None
    cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + int(cached)
