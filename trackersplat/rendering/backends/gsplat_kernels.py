"""Whether gsplat's CUDA kernels are there or can be built; imports nothing of gsplat."""

from __future__ import annotations

import glob
import importlib.util
import os
import shutil
from pathlib import Path


def why_missing() -> str | None:
    """What keeps gsplat from building its kernels, in words; None if they come with the package or a CUDA compiler is there."""
    if come_with_package() or _has_compiler():
        return None
    return "it finds no CUDA compiler (nvcc) to build its kernels with, and its package brings none"


def are_built() -> bool:
    """Whether the first render seems to start at once; judges by the files on disk."""
    if come_with_package():
        return True
    root = os.environ.get("TORCH_EXTENSIONS_DIR") or str(Path.home() / ".cache" / "torch_extensions")
    return bool(glob.glob(os.path.join(glob.escape(root), "**", "gsplat_cuda", "gsplat_cuda.*"), recursive=True))


def come_with_package() -> bool:
    spec = importlib.util.find_spec("gsplat")
    folders = () if spec is None else tuple(spec.submodule_search_locations or ())
    return any(Path(folder).glob(f"csrc{ending}") for folder in folders for ending in ("*.so", "*.pyd"))


def _has_compiler() -> bool:
    """gsplat's own search: torch's toolkit, or nvcc on the path. It does not take kernels that were built before without either."""
    if shutil.which("nvcc"):
        return True
    from torch.utils.cpp_extension import CUDA_HOME

    return CUDA_HOME is not None and (Path(CUDA_HOME) / "bin" / "nvcc").is_file()
