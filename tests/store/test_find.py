"""Which run is that of a capture, and where a new one goes."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trackersplat.captures.capture import Capture
from trackersplat.captures.fingerprints import hash_of_pixels
from trackersplat.errors import InputError
from trackersplat.events import FrameDone
from trackersplat.store.find import default_out, find_runs, plain_out
from trackersplat.store.record import FrameRecord, write_record
from trackersplat.store.run import Run

INFO: dict[str, Any] = {"settings": {}}


class Brighter:
    """The images of another take of the same rig: those of one camera differ."""

    def __init__(self, capture: Capture, camera: int) -> None:
        self._source, self._camera = capture.source, camera

    def read(self, camera: int, frame: int) -> np.ndarray:
        image = self._source.read(camera, frame)
        return image // 2 if camera == self._camera else image

    def prefetch(self, wanted: Any) -> None: ...

    def close(self) -> None: ...


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def other_rig(small_capture: Capture) -> Capture:
    pose = small_capture.cameras[1].world_to_camera.copy()
    pose[0, 3] += 0.5
    moved = replace(small_capture.cameras[1], world_to_camera=pose)
    return replace(small_capture, cameras=(small_capture.cameras[0], moved, *small_capture.cameras[2:]))


def with_a_frame(run: Run, capture: Capture) -> Run:
    """The run with a record of its first frame, as far as images are concerned."""
    images = {camera.name: hash_of_pixels(capture.image(index, 0)) for index, camera in enumerate(capture.cameras)}
    (run.path / "frame1").mkdir()
    write_record(run.path / "frame1" / "frame.json", FrameRecord(FrameDone(0, None, {}, {}, 5, 0.0, 0.0, {}), 3, {}, images))
    return Run.open(run.path)


def test_the_plain_name_is_kept_where_it_is_free_or_holds_the_run_of_this_capture(small_capture: Capture) -> None:
    plain = Path("output") / small_capture.name
    assert plain_out(small_capture) == default_out(small_capture) == plain
    plain.mkdir(parents=True)
    (plain / ".lock").write_text("of a killed process")
    assert default_out(small_capture) == plain
    with_a_frame(Run.create(plain, small_capture, INFO), small_capture)
    assert default_out(small_capture) == plain
    assert default_out(replace(small_capture, held_out=())) == plain  # refused by Run.create, which says why
    assert find_runs(small_capture) == [plain]


@pytest.mark.parametrize("kind", ["other cameras", "other images", "no run", "a file", "an older version"])
def test_two_captures_of_one_name_do_not_share_a_folder(small_capture: Capture, other_rig: Capture, kind: str) -> None:
    plain = plain_out(small_capture)
    plain.parent.mkdir()
    if kind in ("no run", "a file"):
        plain.write_text("mine") if kind == "a file" else plain.mkdir()
        if plain.is_dir():
            (plain / "notes.txt").write_text("mine")
        there = None
    elif kind == "an older version":
        there = Run.create(plain, small_capture, INFO)
        about = {"name": "tiny", "cameras": [camera.name for camera in small_capture.cameras]}
        (plain / "run.json").write_text(json.dumps({**there.info, "capture": about}))
    else:
        other = other_rig if kind == "other cameras" else replace(small_capture, source=Brighter(small_capture, 3))
        there = with_a_frame(Run.create(plain, other, INFO), other)
    out = default_out(small_capture)
    assert out != plain
    assert out.parent == plain.parent
    assert out.name.startswith(f"{plain.name}-")
    assert default_out(small_capture) == out  # the same each time
    assert find_runs(small_capture) == ([plain] if kind == "an older version" else [])  # which may be looked at, but not gone on with
    with_a_frame(Run.create(out, small_capture, INFO), small_capture)
    assert default_out(small_capture) == out
    assert out in find_runs(small_capture)
    if there is not None and kind != "an older version":
        assert find_runs(other) == [plain]


def test_an_ending_is_part_of_the_name(small_capture: Capture, other_rig: Capture) -> None:
    assert default_out(small_capture, "-bench").name == f"{small_capture.name}-bench"
    Run.create(Path("output") / f"{small_capture.name}-bench", other_rig, INFO)
    assert default_out(small_capture, "-bench").name.startswith(f"{small_capture.name}-bench-")


def test_a_run_of_another_capture_is_refused_with_both_names_the_difference_and_what_to_do(
    small_capture: Capture, other_rig: Capture, work: Path
) -> None:
    Run.create(work / "run", replace(other_rig, name="first take", root=work / "take"), INFO)
    with pytest.raises(
        InputError,
        match=r"run holds a run of first take \(take\), not of .+: the calibration of cam01 differs; choose another folder with --out\.",
    ):
        Run.create(work / "run", small_capture, INFO)


def test_a_run_that_does_not_say_of_which_images_it_is_is_not_gone_on_with(small_capture: Capture, work: Path) -> None:
    run = Run.create(work / "run", small_capture, INFO)
    del run.info["capture"]["calibration"]
    (work / "run" / "run.json").write_text(json.dumps(run.info))
    with pytest.raises(InputError, match="does not say from which images it was made: choose another folder with --out"):
        Run.create(work / "run", small_capture, INFO)


def test_a_capture_that_was_moved_or_renamed_goes_on_with_its_run(small_capture: Capture, work: Path) -> None:
    Run.create(work / "run", small_capture, INFO)
    shutil.copytree(small_capture.root, work / "moved")
    assert Run.create(work / "run", replace(small_capture, name="renamed", root=work / "moved"), INFO).frames() == ()
