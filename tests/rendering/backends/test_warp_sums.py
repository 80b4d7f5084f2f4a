"""Sums that the threads of a warp exchange: what the PTX says is done here thread by thread, without a GPU."""

from __future__ import annotations

import re

import numpy as np
import pytest

pytest.importorskip("triton", reason="Triton is not installed: PyTorch brings it with CUDA, or pip install triton")

from trackersplat.rendering.backends.triton.warp_sums import WARP, _sums_of

THREADS = np.arange(WARP)


def run(ptx: str, inputs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The two outputs in all threads."""
    held: dict[str, np.ndarray] = {f"${2 + k}": values for k, values in enumerate(inputs)} | {"%laneid": THREADS}

    def read(name: str) -> np.ndarray:
        return held[name] if name in held else np.full(WARP, int(name, 0))

    for line in filter(None, (line.strip() for line in re.split(r"[;\n]", ptx))):
        if line in "{}" or line.startswith(".reg"):
            continue
        operation, _, rest = line.partition(" ")
        target, *names = (name.strip() for name in rest.split(","))
        values = [read(name) for name in names]
        match operation:
            case "mov.u32" | "mov.f32":
                held[target] = values[0]
            case "brev.b32":
                held[target] = np.array([int(f"{value:032b}"[::-1], 2) for value in values[0]])
            case "shr.b32":
                held[target] = values[0] >> values[1]
            case "and.b32":
                held[target] = values[0] & values[1]
            case "setp.ne.u32":
                held[target] = values[0] != values[1]
            case "selp.f32":
                held[target] = np.where(values[2], values[0], values[1])
            case "add.f32":
                held[target] = values[0] + values[1]
            case "shfl.sync.bfly.b32":
                held[target] = values[0][THREADS ^ values[1]]
            case _:
                raise AssertionError(line)
    return held["$0"], held["$1"]


@pytest.mark.parametrize("count", [1, 2, 9, 10, 16])
def test_every_number_is_summed_in_one_thread(count: int) -> None:
    inputs = [np.random.default_rng(k).integers(0, 1000, WARP) for k in range(count)]
    ptx, places = _sums_of(count)
    assert places == "=f,=r" + count * ",f"
    sums, which = run(ptx, inputs)
    there = which < count
    assert sorted(which[there]) == list(range(count))
    assert [sums[which == k].item() for k in range(count)] == [values.sum() for values in inputs]


def test_ten_sums_take_twelve_exchanges() -> None:
    assert _sums_of(10)[0].count("shfl") == 12


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("divisible", [False, True])
def test_every_thread_has_one_number_of_each_sum_whatever_triton_knows_of_the_size(whole: bool, divisible: bool) -> None:
    """Compiled for an H100, which needs no GPU. Triton lays neighbours into one thread where rows begin at multiples of 16."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from trackersplat.rendering.backends.triton import blending

    if triton.knobs.runtime.interpret:
        pytest.skip("Triton's interpreter compiles nothing")
    kernel = blending._unblend
    constants = dict.fromkeys(("OF_ALPHA", "OF_DEPTH"), whole) | {"OF_COLOR": True, "EXCHANGE": True, "WARP": WARP}
    constants |= {"TILE": blending.TILE, "RECORD": blending.RECORD, "SUMS": blending.SUMS, **blending._RULES}
    sizes, lists = ("rows", "columns", "width", "height"), ("ids", "offsets", "last")
    kinds = {name: "i32" if name in sizes else "*i32" if name in lists else "*fp32" for name in kernel.arg_names}
    kinds |= dict.fromkeys(constants, "constexpr")
    facts = {
        (index,): [["tt.divisibility", 16]]
        for index, name in enumerate(kernel.arg_names)
        if name not in constants and (name not in sizes or divisible)
    }
    source = ASTSource(kernel, kinds, constants, facts)
    compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": blending.WARPS})
    assert compiled.asm["ptx"].count("shfl.sync") == 12  # those of `ten_sums` alone: nothing else is exchanged to get there
    assert "sizePerThread = [2]" not in compiled.asm["ttgir"]
