"""Frames of a run whose files somebody has removed or replaced."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from trackersplat.cli import main
from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.ply import write_ply
from trackersplat.store.run import Run

Lose = Callable[[Path], str]  # loses a frame; returns what is said of it
FOLDERS = ("frame1", "train/base/frame2", "train/base/frame3", "train/base/frame4")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of four frames."""
    random = torch.Generator().manual_seed(0)
    shapes = {"means": (5, 3), "quats": (5, 4), "log_scales": (5, 3), "opacity_logits": (5,), "sh": (5, 1, 3)}
    run = tmp_path / "run"
    for name in FOLDERS:
        cloud = run / name / "point_cloud/iteration_7"
        cloud.mkdir(parents=True)
        write_ply(cloud / "point_cloud.ply", Gaussians(**{key: torch.randn(shape, generator=random) for key, shape in shapes.items()}))
    (run / "metrics.csv").write_text("frame,camera,psnr\n" + "".join(f"{frame},a,20.0\n{frame},b,21.0\n" for frame in (1, 2, 3, 4)))
    return run


def replace_by_file(folder: Path) -> str:
    shutil.rmtree(folder)
    folder.write_text("not a folder")
    return f"a file is in the place of the folder {folder};"


def replace_by_broken_link(folder: Path) -> str:
    shutil.rmtree(folder)
    folder.symlink_to("nowhere")
    return f"a file is in the place of the folder {folder};"


def remove_ply(folder: Path) -> str:
    (folder / "point_cloud/iteration_7/point_cloud.ply").unlink()
    return f"there are no Gaussians in the folder {folder};"


def remove_all(folder: Path) -> str:
    shutil.rmtree(folder)
    return "metrics.csv has the scores, but there is no folder;"


LOSSES = pytest.mark.parametrize("lose", [replace_by_file, replace_by_broken_link, remove_ply, remove_all])


@LOSSES
def test_compacting_and_exporting_name_a_lost_frame(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], lose: Lose) -> None:
    why = lose(folder / FOLDERS[2])
    for command in (["export", str(folder), "--out", str(tmp_path / "plys")], ["compact", str(folder)]):
        with pytest.raises(SystemExit) as end:
            main(command)
        assert end.value.code == 0
        printed = "".join(capsys.readouterr().out.split())  # a terminal breaks lines, also inside a path
        sentence = f"Frame 3 of {folder} is lost: {why} reconstruct it again, or bring the folder back."
        assert printed.count("warning:") == 1
        assert sentence.replace(" ", "") in printed
    assert Run.open(folder).frames() == (0, 1, 3)


def test_several_lost_frames_are_one_sentence_and_a_whole_run_has_none(folder: Path) -> None:
    assert Run.open(folder).lost() == ()
    for name in (FOLDERS[1], FOLDERS[2]):
        remove_ply(folder / name)
    where = f"there are no Gaussians in the folder {folder / FOLDERS[1]} and so on"
    assert Run.open(folder).lost() == (f"Frames 2, 3 of {folder} are lost: {where}; reconstruct them again, or bring the folder back.",)


def test_compacted_frames_are_not_lost_until_their_files_are(folder: Path) -> None:
    run = Run.open(folder)
    run.compact()
    assert (run.lost(), Run.open(folder).lost()) == ((), ())
    for file in folder.rglob("gaussians.tsgf"):
        file.unlink()
    (folder / "run.json").write_text("{}")
    with pytest.raises(InputError, match=r"Frames 1, 2, 3, 4 of .*run are lost: there are no Gaussians in the folder .*frame1 and so on"):
        Run.open(folder).compact()


def test_a_file_in_the_place_of_a_frame_that_is_to_be_made_is_named(folder: Path) -> None:
    replace_by_file(folder / FOLDERS[2])
    with pytest.raises(InputError, match=r"frame3 is a file, where the folder of frame 3 belongs: remove or rename it\."):
        Run.open(folder).require_places([1, 2])
