"""``trackersplat info`` of a file of Gaussians."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from trackersplat.cli import main
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.ply import write_ply
from trackersplat.gaussians.readers.registry import is_gaussian_file


def info(path: Path) -> int:
    with pytest.raises(SystemExit) as end:
        main(["info", str(path)])
    assert isinstance(end.value.code, int)
    return end.value.code


def test_a_file_of_gaussians_is_described_with_what_was_changed_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gaussians = Gaussians(torch.zeros(7, 3), torch.ones(7, 4), torch.zeros(7, 3), torch.zeros(7), torch.zeros(7, 9, 3))
    gaussians.opacity_logits[2] = torch.inf
    write_ply(tmp_path / "a.ply", gaussians)
    assert info(tmp_path / "a.ply") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Gaussians 7, spherical harmonics of degree 2" in said
    assert "1 of 7 Gaussians have an infinite opacity value" in said


@pytest.mark.parametrize("name", ["x" * 300 + ".ply", "~nobody-of-this-name/a.ply", "a\0.ply", "loop.ply"])
def test_a_path_that_cannot_be_looked_at_is_no_file_of_gaussians(name: str, tmp_path: Path) -> None:
    (tmp_path / "loop.ply").symlink_to("loop.ply")
    assert not is_gaussian_file(tmp_path / name)


def test_a_format_that_is_not_read_is_named_with_the_way_to_convert_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.ksplat").write_bytes(bytes(99))
    assert info(tmp_path / "a.ksplat") == 2
    assert "convert it with `splat-transform a.ksplat a.ply`" in capsys.readouterr().err
