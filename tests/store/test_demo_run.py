"""The finished run that ships with the demo: complete, small, and as good as it says."""

import re
import shutil

import pytest

from trackersplat.captures.demo import demo_capture, demo_run
from trackersplat.captures.registry import open_capture
from trackersplat.metrics.image import psnr
from trackersplat.pipelines.settings import ReconstructSettings
from trackersplat.rendering.registry import choose_rasterizer
from trackersplat.store.find import find_runs
from trackersplat.store.run import Run


def test_it_holds_every_frame_of_the_demo_and_its_diagnosis_in_at_most_twenty_megabytes() -> None:
    files = [path for path in demo_run().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 20_000_000
    assert Run.open(demo_run()).frames() == tuple(range(30))
    assert (demo_run() / "diagnosis.npz") in files


def test_it_is_found_for_the_demo_alone(monkeypatch: pytest.MonkeyPatch, tmp_path, small_capture) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_runs(open_capture("demo")) == [demo_run()]
    assert find_runs(small_capture) == []


@pytest.mark.parametrize("frame", [0, 14, 29])
def test_its_pictures_are_as_good_as_its_metrics_say(frame: int) -> None:
    capture, run = open_capture("demo"), Run.open(demo_run())
    camera = capture.camera_index("cam08")
    picture = choose_rasterizer("cpu").render(run.read_frame(frame), [capture.cameras[camera]]).color[0]
    measured = psnr(picture, capture.image(camera, frame))
    recorded = run.records()[frame].scores["psnr"]
    assert recorded - 0.25 < measured < recorded + 0.1  # quantised


def test_every_frame_is_better_moved_than_unmoved_and_better_refined_than_moved() -> None:
    records = Run.open(demo_run()).records()
    assert len(records) == 30
    for done in list(records.values())[1:]:
        assert done.scores["unmoved_psnr"] < done.scores["moved_psnr"] < done.scores["psnr"]


def test_its_tracks_keep_their_ids_through_the_clip() -> None:
    run = Run.open(demo_run())
    first, last = run.read_tracks(0), run.read_tracks(29)
    assert set(first) == set(last)
    assert len(first) == 11
    kept = {camera: set(first[camera].ids.tolist()) & set(last[camera].ids.tolist()) for camera in first}
    assert min(len(ids) / len(first[camera]) for camera, ids in kept.items()) > 0.5


def test_it_names_no_folder_of_the_machine_it_was_made_on() -> None:
    for path in demo_run().rglob("*"):
        if path.name in ("run.json", "cfg_args", "frame.json", "metrics.csv", "cameras.json"):
            assert str(demo_capture().parents[1]) not in path.read_text()
            assert re.search(r"/(root|home|tmp|work|Users)/", path.read_text()) is None
    assert "folder" not in Run.open(demo_run()).info["capture"]


def test_a_copy_of_it_is_a_run_of_the_demo_that_can_be_continued(tmp_path) -> None:
    shutil.copytree(demo_run(), tmp_path / "demo")
    capture, run = open_capture("demo"), Run.open(tmp_path / "demo")
    assert run.is_verifiable
    assert run.difference(capture) is None
    asked = ReconstructSettings.for_device("cpu").to_json()
    assert Run.create(run.path, capture, {"settings": asked}).frames() == tuple(range(30))
