"""What a reader notices is where the user looks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filmed_point import rig
from making_captures import write_image_folder

from trackersplat.captures.registry import open_capture
from trackersplat.cli import main
from trackersplat.commands.terminal import TextProgress
from trackersplat.events import Remark

ROLLED = np.diag((1.0, -1.0, -1.0, 1.0))  # to OpenGL's axes


@pytest.fixture
def doubtful(tmp_path: Path) -> Path:
    filmed = [replace(f, camera=replace(f.camera, world_to_camera=ROLLED @ f.camera.world_to_camera)) for f in rig(4)]
    return write_image_folder(tmp_path / "scene", filmed)


def test_info_and_a_run_print_every_warning_once(doubtful: Path, capsys: pytest.CaptureFixture[str]):
    warnings = open_capture(doubtful).warnings
    assert any("Read as world to camera, OpenGL's axes (right, up, backward)" in warning for warning in warnings)
    assert len(set(warnings)) == len(warnings)
    with pytest.raises(SystemExit):
        main(["info", str(doubtful)])
    with TextProgress(open_capture(doubtful)) as progress:
        for warning in warnings:
            progress.show(Remark(warning))
    printed = " ".join(capsys.readouterr().out.split())
    for warning in warnings:
        assert printed.count(" ".join(warning.split())[:60]) == 2
