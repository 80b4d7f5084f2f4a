"""Options that several commands share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import tyro

from trackersplat.captures.capture import Capture
from trackersplat.captures.settings import named_cameras
from trackersplat.commands.bench_motion import BenchMotion
from trackersplat.commands.options import with_held_out
from trackersplat.commands.prepare import Prepare
from trackersplat.commands.reconstruct import Reconstruct
from trackersplat.errors import InputError

CAMERAS = ("left", "right", "left, top", "a,b,c", "a", "b")


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["left"], ("left",)),
        (["left,right"], ("left", "right")),
        ([" left , right,"], ("left", "right")),
        (["left, top"], ("left, top",)),
        (["right,left, top,b"], ("right", "left, top", "b")),
        (["a,b,c"], ("a,b,c",)),
        (["a,b"], ("a", "b")),
        (["left", "left, top", "left"], ("left", "left, top")),
        (["a,x,b"], ("a", "x", "b")),
        ([""], ()),
    ],
)
def test_cameras_are_named_between_commas_or_one_by_one_also_if_a_name_has_commas(values: list[str], names: tuple[str, ...]) -> None:
    assert named_cameras(values, CAMERAS) == names


@pytest.mark.parametrize("command", [Reconstruct, Prepare, BenchMotion])
def test_the_option_may_come_several_times(command: type[Reconstruct | Prepare | BenchMotion]) -> None:
    what: list[str] = []
    parsed = tyro.cli(command, args=[*what, "demo", "--hold-out", "a,b", "--hold-out", "left, top"])
    assert parsed.hold_out == ("a,b", "left, top")
    assert tyro.cli(command, args=[*what, "demo"]).hold_out == ()


def test_what_is_named_is_held_out_and_an_unknown_camera_is_an_error(small_capture: Capture, tmp_path: Path) -> None:
    cameras = tuple(replace(camera, name=name) for camera, name in zip(small_capture.cameras, CAMERAS, strict=False))
    capture = replace(small_capture, cameras=cameras, held_out=())
    assert with_held_out(capture, ["left, top", "right"]).held_out == ("left, top", "right")
    assert with_held_out(capture, [""]).held_out == ()
    with pytest.raises(InputError, match="no camera named 'top'"):
        with_held_out(capture, ["right, top"])
    with pytest.raises(InputError, match="--hold-out names all 4 cameras"):
        with_held_out(capture, ["left,right,left, top,a,b,c"])
