"""Whether Triton can build the few lines of C with which it starts its kernels; imports nothing of Triton."""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path


def why_missing() -> str | None:
    """What is missing, in words; None if a C compiler and the headers of Python are there.

    Triton looks for CC, gcc and clang, and compiles against Python.h. On Windows it brings a compiler.
    """
    if os.name == "nt":
        return None
    if not os.environ.get("CC") and not any(shutil.which(name) for name in ("gcc", "clang")):
        return "Triton finds no C compiler: install gcc or clang"
    if not any((folder / "Python.h").is_file() for folder in _header_folders()):
        return "Triton finds no Python.h to compile with: install the headers of Python (python3-dev or python3-devel)"
    return None


def _header_folders() -> list[Path]:
    """Where the headers of Python are looked for: as Triton does, and where the compiler's own variables point."""
    schemes = {sysconfig.get_default_scheme(), "posix_prefix"}  # Debian's own default, posix_local, has no headers: Triton takes the other
    ours = (sysconfig.get_path("include", scheme) for scheme in schemes)
    named = [os.environ.get(name, "") for name in ("CPATH", "C_INCLUDE_PATH")]
    return [*map(Path, ours), *(Path(folder) for paths in named for folder in paths.split(os.pathsep) if folder)]
