"""The one-time compilation of the kernels, made visible."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numba import float32, int32, int64

from trackersplat.rendering import rules
from trackersplat.rendering.backends.portable import binning, blending, channels, lifting, projection, unprojection
from trackersplat.rendering.rasterizer import PrepareProgress

_F1, _F2, _F3 = float32[::1], float32[:, ::1], float32[:, :, ::1]
_I1, _I2, _L1, _N = int32[::1], int32[:, ::1], int64[::1], int64
_RAW = (_F1, _F1, _F1, _F1, _F1, _N, _N)  # parameters, stored coefficients, degree

# what is compiled: kernel and the types of its arguments, exactly as rasterizer.py passes them
KERNELS: tuple[tuple[str, Any, tuple[Any, ...]], ...] = (
    ("projection", projection.project, (*_RAW, _F1, _N, _N, _N, _F1, _I2)),
    ("depth order", binning.order_by_depth, (_F1, _I2)),
    ("tiles", binning.fill_tiles, (_I1, _I2, _N, _L1, _I1, _I1, _I1)),
    ("blending", blending.blend, (_F1, _L1, _I1, _N, _N, _F1, _N, _F3, _F2, _F2, _L1)),
    (
        "gradient of blending",
        blending.unblend,
        (_F1, _F2, _L1, _I1, _I1, _L1, _N, _N, _N, _F3, _F2, _F2, _F3, _F3, _F2, _F2, _F3, _F1),
    ),
    ("gradient of projection", unprojection.unproject, (*_RAW, _F1, _N, _I2, _I1, _F1, _F1, _F1, _F1, _F1, _F1)),
    ("channels", channels.blend_channels, (_F1, _F2, _L1, _I1, _L1, _N, _N, _N, _F3)),
    ("gradient of channels", channels.unblend_channels, (_F1, _I2, _L1, _I1, _I1, _I1, _N, _N, _N, _F3, _F1, _F2)),
    ("sums of pixels", lifting.lift_few, (_F1, _I2, _L1, _I1, _I1, _I1, _N, _N, _N, _F3, _F1, _F2)),
)


def compile_kernels(progress: PrepareProgress | None = None) -> None:
    """Compiles every kernel, or loads it from numba's cache on disk, instead of leaving that to the first render.

    ``progress(what, done, total)`` is called before each kernel and once at the end with done == total.
    """
    for done, (label, kernel, types) in enumerate(KERNELS):
        if progress is not None:
            progress(label, done, len(KERNELS))
        kernel.compile(types)
    if progress is not None:
        progress("done", len(KERNELS), len(KERNELS))


def kernels_are_cached() -> bool:
    """Whether all kernels are compiled or lie in numba's cache on disk.

    A guess from the files: after a change of numba or CPU they are compiled again although this said true.
    """
    return all(kernel.signatures or _index_files(kernel) for _, kernel, _ in KERNELS)


def forget_stale_kernels() -> None:
    """Removes cached kernels that are older than any source here or than the rules, whose constants are compiled into them.

    numba compares a kernel with its own file only, but the kernels are put together from several.
    """
    sources = (*Path(__file__).parent.glob("*.py"), Path(rules.__file__))
    changed = max(file.stat().st_mtime for file in sources)
    for _, kernel, _ in KERNELS:
        for file in _index_files(kernel):
            if file.stat().st_mtime < changed:
                file.unlink(missing_ok=True)


def _index_files(kernel: Any) -> list[Path]:
    source = Path(kernel.py_func.__code__.co_filename)
    return list(Path(kernel.stats.cache_path).glob(f"{source.stem}.{kernel.py_func.__name__}-*.nbi"))
