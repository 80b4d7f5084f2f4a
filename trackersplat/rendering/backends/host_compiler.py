"""Whether Triton can build the few lines of C with which it starts its kernels; imports nothing of Triton."""

from __future__ import annotations

import os
import shutil


def why_missing() -> str | None:
    """What is missing, in words; None if a C compiler is there. Triton looks for CC, gcc and clang; on Windows it brings one."""
    if os.name == "nt" or os.environ.get("CC") or any(shutil.which(name) for name in ("gcc", "clang")):
        return None
    return "Triton finds no C compiler: install gcc or clang"
