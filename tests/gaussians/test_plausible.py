"""What is said of Gaussians that cannot be meant."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from trackersplat.cli import main
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.plausible import implausible
from trackersplat.gaussians.ply import write_ply


def room(count: int = 200) -> Gaussians:
    """Gaussians of 2 cm in a room of a few metres."""
    random = torch.Generator().manual_seed(0)
    means = torch.rand((count, 3), generator=random) * 4
    scales = torch.full((count, 3), math.log(0.02))
    return Gaussians(means, torch.ones(count, 4), scales, torch.zeros(count), torch.zeros(count, 4, 3))


def change(**changed: Callable[[torch.Tensor], torch.Tensor]) -> Gaussians:
    """The room with some of its tensors replaced by a function of them."""
    plain = room()
    return replace(plain, **{name: make(getattr(plain, name)) for name, make in changed.items()})


def first(count: int, value: float) -> Callable[[torch.Tensor], torch.Tensor]:
    def make(tensor: torch.Tensor) -> torch.Tensor:
        changed = tensor.clone()
        changed[:count] = value
        return changed

    return make


def spread(tensor: torch.Tensor) -> torch.Tensor:
    """Values of its shape from 0 to 1."""
    return torch.linspace(0, 1, tensor.numel()).reshape(tensor.shape)


ODD = {
    "none": (room(0), "There are 0 Gaussians, so nothing is seen"),
    "transparent": (change(opacity_logits=lambda logits: logits - 20), r"the largest opacity is 2.1e-09"),
    "lengths for logarithms": (change(log_scales=lambda logs: logs + 10), r"Most Gaussians are longer \(441\) than all of their centres"),
    "small lengths for logarithms": (
        change(log_scales=lambda logs: spread(logs) / 2),
        "Nearly all scale values are between 0 and 1, and none is below: check",
    ),
    "opacities for logits": (change(opacity_logits=spread), "Nearly all opacity values are between 0 and 1, and none is below: check"),
    "logarithms twice": (change(log_scales=lambda logs: logs * 8), r"Nearly all Gaussians are shorter than 2.56e-14"),
    "three endless": (
        change(log_scales=first(3, 80.0)),
        r"3 of 200 Gaussians are longer than 10000 times the extent .* their scales",
    ),
    "two far away": (change(means=first(2, 1e30)), r"2 of 200 Gaussians are further than 10000 extents .* check their positions"),
    "one place": (change(means=lambda means: means * 0 + 1), "Nearly all Gaussians are at one place"),
    "far from zero": (change(means=lambda means: means + 1e7), r"The Gaussians are .* times their extent away from zero"),
}


@pytest.mark.parametrize("kind", ODD)
def test_what_cannot_be_meant_is_said_by_info(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gaussians, words = ODD[kind]
    (sentence,) = implausible(gaussians)
    write_ply(tmp_path / "a.ply", gaussians)
    with pytest.raises(SystemExit) as end:
        main(["info", str(tmp_path / "a.ply")])
    assert end.value.code == 0
    printed = "".join(capsys.readouterr().out.split())
    assert printed.count("warning:") == 1
    assert f"{tmp_path / 'a.ply'}:{sentence}".replace(" ", "") in printed
    assert re.search(words, sentence)


def test_usual_gaussians_and_a_few_large_or_far_ones_are_left_alone() -> None:
    assert implausible(room()) == []
    assert implausible(change(log_scales=first(20, 1.5), means=first(30, 400.0), opacity_logits=first(190, -20.0))) == []
    assert implausible(room(3)) == []
    single = room(1)
    assert implausible(replace(single, log_scales=single.log_scales + 50)) == []  # there is nothing to compare it with
