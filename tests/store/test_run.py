import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.events import FrameDone, FrameScores
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.ply import write_ply
from trackersplat.motion.motion import Carried
from trackersplat.store.run import FrameResult, Run, default_out, find_runs
from trackersplat.store.tables import CameraScore
from trackersplat.tracking.point_tracks import PointTracks
from trackersplat.training.photometric import ColourAffines

INFO = {"settings": {"tracker": "dis", "refine": {"steps": 60}}}


class NoFrames:
    def read(self, camera: int, frame: int) -> np.ndarray:
        raise AssertionError("not to be read")

    def prefetch(self, wanted: object) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def capture(tmp_path: Path) -> Capture:
    pose = np.eye(4)
    pose[:3, 3] = (0.5, -0.25, 2.0)
    cameras = tuple(Camera(name, 64, 48, np.array([[50.0, 0, 30], [0, 50, 25], [0, 0, 1]]), pose) for name in ("a", "b", "c"))
    return Capture("tiny", tmp_path / "tiny", "n3dv", cameras, 5, 30.0, NoFrames(), held_out=("c",))


def gaussians(seed: int, count: int = 50) -> Gaussians:
    random = torch.Generator().manual_seed(seed)
    shapes = {"means": (count, 3), "quats": (count, 4), "log_scales": (count, 3), "opacity_logits": (count,), "sh": (count, 4, 3)}
    return Gaussians(**{name: torch.randn(shape, generator=random) for name, shape in shapes.items()})


def result(frame: int, base: int | None, seed: int = 0) -> FrameResult:
    scores = FrameScores(None if base is None else 24.0, None if base is None else 26.0, 27.5, 0.9)
    done = FrameDone(frame, base, scores, 50, 0.25, 0.5, 3.25)
    grid = np.array([[4.5, 4.5], [12.5, 4.5]], np.float32)
    tracks = {} if base is None else {"a": PointTracks(base, frame, grid, grid + 1, np.array([1.0, 0.5], np.float32))}
    held_out = (CameraScore("c", 27.5, 0.9, scores.still_psnr, scores.moved_psnr),)
    return FrameResult(done, gaussians(seed), 60, held_out, (CameraScore("a", 30.0, 0.95), CameraScore("b", 31.0, 0.96)), tracks)


@pytest.fixture
def run(tmp_path: Path, capture: Capture) -> Run:
    run = Run.create(tmp_path / "run", capture, INFO)
    run.write_frame(result(0, None, 1), capture)
    run.write_frame(result(1, 0, 2), capture)
    return run


def test_frames_come_back_bit_for_bit_with_their_records_and_tracks(run: Run) -> None:
    again = Run.open(run.path)
    assert again.frames() == (0, 1)
    for frame, seed in ((0, 1), (1, 2)):
        for name, tensor in again.read_frame(frame).tensors().items():
            assert torch.equal(tensor, gaussians(seed).tensors()[name])
    assert again.records()[1] == result(1, 0).done
    assert again.read_tracks(0) == {}
    tracks = again.read_tracks(1)["a"]
    assert np.allclose(tracks.end - tracks.start, 1, atol=1e-2)


def test_the_layout_is_the_published_one(run: Run) -> None:
    assert (run.path / "frame1/point_cloud/iteration_60/point_cloud.ply").is_file()
    moved = run.path / "refine/base-propagate-dis/frame2"
    assert (moved / "point_cloud/iteration_60/point_cloud.ply").is_file()
    log = list(csv.DictReader((moved / "log/iteration_60/log.csv").open()))
    assert list(log[0]) == ["epoch", "camera", "psnr", "ssim", "lpips", "masked_psnr", "masked_ssim", "masked_lpips"]
    assert [(row["camera"], row["psnr"], row["lpips"]) for row in log] == [("a", "30.0000", ""), ("b", "31.0000", "")]
    camera = json.loads((moved / "cameras.json").read_text())[0]
    assert camera["position"] == [-0.5, 0.25, -2.0]
    assert (camera["fx"], camera["width"], camera["img_name"]) == (50.0, 64, "a")


def test_metrics_are_of_the_held_out_camera_and_count_frames_from_one(run: Run) -> None:
    rows = list(csv.DictReader((run.path / "metrics.csv").open()))
    assert [(r["frame"], r["camera"], r["base"], r["still_psnr"], r["moved_psnr"], r["psnr"]) for r in rows] == [
        ("1", "c", "", "", "", "27.5000"),
        ("2", "c", "1", "24.0000", "26.0000", "27.5000"),
    ]


def test_a_folder_left_by_a_killed_process_is_not_a_frame_and_goes_when_the_frame_is_written(run: Run, capture: Capture) -> None:
    leftover = run.path / "refine/base-propagate-dis/.frame3.0123456789ab.tmp"
    (leftover / "point_cloud/iteration_60").mkdir(parents=True)
    assert run.frames() == (0, 1)
    run.write_frame(result(2, 1), capture)
    assert run.frames() == (0, 1, 2)
    assert not leftover.exists()


def test_metrics_lost_by_a_kill_are_written_again(run: Run) -> None:
    before = (run.path / "metrics.csv").read_text()
    (run.path / "metrics.csv").unlink()
    Run.open(run.path).write_metrics()
    assert (run.path / "metrics.csv").read_text() == before


def test_the_same_settings_go_on_and_others_are_refused_with_the_difference(run: Run, capture: Capture) -> None:
    assert Run.create(run.path, capture, INFO).frames() == (0, 1)
    with pytest.raises(InputError, match=r"settings\.refine\.steps 60 there, 90 asked"):
        Run.create(run.path, capture, {"settings": {"tracker": "dis", "refine": {"steps": 90}}})


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path, capture: Capture) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty and holds no run"):
        Run.create(tmp_path / "photos", capture, INFO)
    assert [p.name for p in (tmp_path / "photos").iterdir()] == ["a.txt"]


@pytest.mark.parametrize("kind", ["a file in the way", "read-only"])
def test_an_output_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path, capture: Capture, kind: str) -> None:
    parent = tmp_path / "parent"
    if kind == "read-only":
        if os.geteuid() == 0:
            pytest.skip("root may write everywhere")
        parent.mkdir(mode=0o500)
    else:
        parent.write_text("a file")
    with pytest.raises(InputError, match=r"Cannot write to .*choose another folder"):
        Run.create(parent / "run", capture, INFO)


def test_a_run_of_the_published_system_opens(tmp_path: Path) -> None:
    for folder, seed in (("frame1", 3), ("refine/regularized-propagate-dot/frame2", 4)):
        for iteration in (500, 1000):
            target = tmp_path / "old" / folder / f"point_cloud/iteration_{iteration}"
            target.mkdir(parents=True)
            write_ply(target / "point_cloud.ply", gaussians(seed + iteration))
    run = Run.open(tmp_path / "old")
    assert run.frames() == (0, 1)
    assert torch.equal(run.read_frame(1).means, gaussians(1004).means)
    assert run.records() == {}


def test_what_is_no_run_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no run at"):
        Run.open(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is not a run"):
        Run.open(tmp_path)
    (tmp_path / "run.json").write_text('{"format": 99}')
    with pytest.raises(InputError, match="format 99"):
        Run.open(tmp_path)


def test_compacting_keeps_frames_records_and_tracks_and_drops_the_plys(run: Run) -> None:
    size = run.compact()
    assert size == sum(file.stat().st_size for file in (run.path / "sequence").iterdir())
    assert list(run.path.rglob("*.ply")) == []
    again = Run.open(run.path)
    assert again.frames() == (0, 1)
    assert torch.allclose(again.read_frame(1).means, gaussians(2).means, atol=1e-3)
    assert again.records()[1] == result(1, 0).done
    assert "a" in again.read_tracks(1)


def test_compacting_again_after_more_frames_keeps_all(run: Run, capture: Capture) -> None:
    run.compact()
    run.write_frame(result(2, 1, 5), capture)
    run.compact()
    assert run.frames() == (0, 1, 2)
    assert torch.allclose(run.read_frame(2).means, gaussians(5).means, atol=1e-3)


def test_a_run_in_the_given_folder_is_found(run: Run, capture: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert find_runs(capture, run.path) == [run.path]
    assert find_runs(capture, tmp_path / "other") == []
    monkeypatch.chdir(tmp_path)
    assert find_runs(capture) == []
    (tmp_path / "output").mkdir()
    run.path.rename(tmp_path / "output" / "tiny")
    assert find_runs(capture) == [Path("output/tiny")]


def test_other_held_out_cameras_are_refused_because_the_run_was_trained_on_them(run: Run, capture: Capture) -> None:
    with pytest.raises(InputError, match=r"held-out cameras \['c'\] there, \['a'\] asked"):
        Run.create(run.path, replace(capture, held_out=("a",)), INFO)


def test_a_run_killed_before_its_first_file_was_complete_starts_again(tmp_path: Path, capture: Capture) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".run.json.0123456789ab.tmp").write_text("{")
    assert Run.create(tmp_path / "run", capture, INFO).frames() == ()


@pytest.mark.parametrize("settings", [None, [], "dis", {"tracker": "../../../elsewhere"}, {"tracker": ["dis"]}])
def test_strange_settings_of_a_foreign_run_lead_nowhere(run: Run, settings: object) -> None:
    (run.path / "run.json").write_text(json.dumps({"format": 1, "settings": settings}))
    again = Run.open(run.path)
    assert again.pipeline == "train/base"
    assert again.frames() == (0, 1)


@pytest.mark.parametrize(
    "record", ['{"done": {"event": "FrameDone"}, "held_out": []}', '{"done": {"event": "FrameDone", "scores": 3}}', "{}"]
)
def test_a_damaged_record_is_one_sentence(run: Run, record: str) -> None:
    (run.path / "frame1" / "frame.json").write_text(record)
    with pytest.raises(InputError, match=r"frame1/frame\.json is not a frame record of ours"):
        run.records()


@pytest.mark.parametrize("value", ["12", [1], None, True, 10**400])
def test_a_record_with_something_else_than_numbers_is_one_sentence(run: Run, value: object) -> None:
    path = run.path / "frame1" / "frame.json"
    record = json.loads(path.read_text())
    record["done"]["seconds"] = value
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match="where a number belongs"):
        run.records()


def test_what_a_motion_hands_on_comes_back_and_a_damaged_one_is_one_sentence(run: Run, capture: Capture) -> None:
    random = torch.Generator().manual_seed(1)
    carried = Carried(*(torch.randn(shape, generator=random) for shape in ((50, 3), (50, 3), (50, 3), (50,))))
    run.write_frame(replace(result(2, 1), carried=carried), capture)
    again = run.read_carried(2)
    assert again is not None
    for name, tensor in vars(carried).items():
        assert torch.equal(tensor, vars(again)[name]), name
    wrong = (carried.withheld * torch.nan, carried.velocity[:49], carried.spin.double(), carried.trust[:, None])
    for name, tensor in zip(vars(carried), wrong, strict=True):
        run.write_frame(replace(result(2, 1), carried=replace(carried, **{name: tensor})), capture)
        with pytest.raises(InputError, match="is damaged"):
            run.read_carried(2)


def test_the_places_of_others_come_back_and_damaged_ones_are_one_sentence(run: Run, capture: Capture) -> None:
    assert run.read_born(1).tolist() == []  # as for every frame of an older run
    run.write_frame(replace(result(2, 1), born=torch.tensor([3, 8, 41])), capture)
    run.write_frame(replace(result(3, 2), born=torch.zeros(0, dtype=torch.long)), capture)
    run.compact()
    assert run.read_born(2).tolist() == [3, 8, 41]
    assert run.read_born(3).tolist() == []
    for wrong in (torch.tensor([3, 3]), torch.tensor([-1, 3]), torch.tensor([[1]]), torch.tensor([0.5])):
        run.write_frame(replace(result(2, 1), born=wrong), capture)
        with pytest.raises(InputError, match="is damaged"):
            run.read_born(2)


def test_compacting_keeps_what_a_next_frame_needs_while_there_can_be_one(run: Run, capture: Capture) -> None:
    carried = Carried(torch.ones(50, 3), torch.ones(50, 3), torch.ones(50, 3), torch.ones(50))
    for frame in range(2, capture.frame_count):
        run.write_frame(replace(result(frame, frame - 1), carried=carried), capture)
        run.compact()
        assert [run.read_carried(f) is not None for f in range(frame + 1)] == [False] * frame + [frame + 1 < capture.frame_count]


def test_compacting_leaves_the_files_of_a_linked_frame_alone(run: Run, tmp_path: Path) -> None:
    (run.path / "frame1").rename(tmp_path / "theirs")
    (run.path / "frame1").symlink_to(tmp_path / "theirs", target_is_directory=True)
    run.compact()
    assert (tmp_path / "theirs/point_cloud/iteration_60/point_cloud.ply").is_file()
    assert not (run.path / run.pipeline / "frame2" / "point_cloud").exists()


@pytest.mark.parametrize(
    ("name", "folder"),
    [("Coffee Martini 2", "Coffee Martini 2"), ("../../etc", "_.._etc"), ("/etc/x", "_etc_x"), ("..", "capture"), ("a\\b:c", "a_b_c")],
)
def test_a_run_stays_below_the_output_folder_whatever_the_capture_is_called(capture: Capture, name: str, folder: str) -> None:
    assert default_out(replace(capture, name=name)) == Path("output") / folder


def test_the_cameras_colours_come_back_for_the_next_frames(run: Run, capture: Capture) -> None:
    assert run.read_colours(0) is None
    colours = ColourAffines(("a", "b"), torch.eye(3, 4) + torch.tensor([0.125, -0.125])[:, None, None])
    run.write_frame(replace(result(2, 1), colours=colours), capture)
    again = run.read_colours(2)
    assert again is not None
    assert again.cameras == ("a", "b")
    assert torch.equal(again.matrices, colours.matrices)
    run.compact()
    assert run.read_colours(2) is not None


@pytest.mark.parametrize("text", ['{"a": [[1, 0], [0, 1]]}', "[]", "{", '{"a": [[1e999, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]}'])
def test_damaged_colours_are_said_in_one_sentence(run: Run, text: str) -> None:
    (run.path / "frame1" / "colours.json").write_text(text)
    with pytest.raises(InputError, match=r"colours\.json"):
        run.read_colours(0)
