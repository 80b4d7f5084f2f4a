import csv
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.events import FrameDone
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.lineage import Lineage
from trackersplat.gaussians.ply import write_ply
from trackersplat.gaussians.sequence import write_sequence
from trackersplat.motion.evidence import Evidence, ViewState
from trackersplat.motion.motion import CarriedMotion, Motion
from trackersplat.pipelines.pipeline import ChainState, FrameResult
from trackersplat.store import index
from trackersplat.store.find import default_out, find_runs
from trackersplat.store.run import Run
from trackersplat.training.photometric import ColourAffines

INFO = {"settings": {"pipeline": "base-propagate", "tracker": "dis", "metrics": ["psnr", "ssim"], "refine": {"steps": 60}}}
CPU = torch.device("cpu")
NONE = torch.zeros(0, dtype=torch.long)


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


def near(found: Gaussians, expected: Gaussians) -> bool:
    """Means within a thirtieth of the size of each Gaussian, as the compact form keeps them."""
    sizes = expected.scales.sort(dim=1).values[:, 1:2]
    return bool(((found.means - expected.means).abs() <= sizes / 30).all())


def assert_near(found: Gaussians, expected: Gaussians) -> None:
    assert near(found, expected)


def result(frame: int, base: int | None, seed: int = 0, **state: Any) -> FrameResult:
    scores = {"psnr": {"a": 30.0, "b": 31.0, "c": 27.5}, "ssim": {"a": 0.95, "b": 0.96, "c": 0.9}, "masked_psnr": {"a": 33.0}}
    scores |= {"lpips": {"a": 0.3}, "lpips_alex": {"a": 0.2}}  # the published column is by AlexNet
    if base is not None:
        scores |= {"unmoved_psnr": {"c": 24.0}, "moved_psnr": {"c": 26.0}}
    lineage = Lineage.of_first_frame(0, 50)
    seconds = {"optimise": 3.25} if base is None else {"track": 1.25, "refine": 2.0}
    return FrameResult(ChainState(frame, gaussians(seed), lineage, **state), base, None, NONE, 60, scores, {"lpips": "no weights"}, seconds)


def done(result: FrameResult) -> FrameDone:
    means = {name: by_camera["c"] for name, by_camera in result.scores.items() if "c" in by_camera}
    return FrameDone(result.frame, result.base, means, dict(result.unavailable), 50, 0.25, 0.5, dict(result.seconds))


def write(run: Run, result: FrameResult, capture: Capture) -> None:
    run.write_frame(result, done(result), capture)


@pytest.fixture
def run(tmp_path: Path, capture: Capture) -> Run:
    run = Run.create(tmp_path / "run", capture, INFO)
    write(run, result(0, None, 1), capture)
    write(run, result(1, 0, 2), capture)
    return run


def test_frames_come_back_bit_for_bit_with_their_records_and_tracks(run: Run) -> None:
    again = Run.open(run.path)
    assert again.frames() == (0, 1)
    for frame, seed in ((0, 1), (1, 2)):
        for name, tensor in again.read_frame(frame).tensors().items():
            assert torch.equal(tensor, gaussians(seed).tensors()[name])
    assert again.records()[1] == done(result(1, 0))
    assert again.read_tracks(0) == {}
    assert again.read_evidence(1) is None


def test_the_layout_is_the_published_one(run: Run) -> None:
    assert (run.path / "frame1/point_cloud/iteration_60/point_cloud.ply").is_file()
    moved = run.path / "refine/base-propagate-dis/frame2"
    assert (moved / "point_cloud/iteration_60/point_cloud.ply").is_file()
    log = list(csv.DictReader((moved / "log/iteration_60/log.csv").open()))
    assert list(log[0]) == ["epoch", "camera", "psnr", "ssim", "lpips", "masked_psnr", "masked_ssim", "masked_lpips"]
    assert [tuple(row.values())[1:] for row in log] == [
        ("a", "30.0000", "0.9500", "0.2000", "33.0000", "", ""),
        ("b", "31.0000", "0.9600", "", "", "", ""),
    ]
    camera = json.loads((moved / "cameras.json").read_text())[0]
    assert camera["position"] == [-0.5, 0.25, -2.0]
    assert (camera["fx"], camera["width"], camera["img_name"]) == (50.0, 64, "a")


def test_metrics_are_of_the_held_out_camera_and_count_frames_from_one(run: Run) -> None:
    rows = list(csv.DictReader((run.path / "metrics.csv").open()))
    assert [(r["frame"], r["camera"], r["base"], r["unmoved_psnr"], r["moved_psnr"], r["psnr"]) for r in rows] == [
        ("1", "c", "", "", "", "27.5000"),
        ("2", "c", "1", "24.0000", "26.0000", "27.5000"),
    ]


def test_a_folder_left_by_a_killed_process_is_not_a_frame_and_goes_when_the_frame_is_written(run: Run, capture: Capture) -> None:
    leftover = run.path / "refine/base-propagate-dis/.frame3.0123456789ab.tmp"
    (leftover / "point_cloud/iteration_60").mkdir(parents=True)
    assert Run.open(run.path).frames() == (0, 1)
    write(run, result(2, 1), capture)
    assert run.frames() == (0, 1, 2)
    assert not leftover.exists()


def test_metrics_lost_by_a_kill_are_written_again(run: Run) -> None:
    before = (run.path / "metrics.csv").read_text()
    (run.path / "metrics.csv").unlink()
    Run.open(run.path).write_metrics()
    assert (run.path / "metrics.csv").read_text() == before


def test_the_same_settings_go_on_and_others_are_refused_with_the_difference(run: Run, capture: Capture) -> None:
    assert Run.create(run.path, capture, INFO).frames() == (0, 1)
    with pytest.raises(InputError, match=r"settings\.refine\.steps is 60 in the run, but 90 was asked for"):
        Run.create(run.path, capture, {"settings": {**INFO["settings"], "refine": {"steps": 90}}})


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
    assert size == sum(file.stat().st_size for file in run.path.rglob("gaussians.tsgf"))
    assert list(run.path.rglob("*.ply")) == []
    again = Run.open(run.path)
    assert again.frames() == (0, 1)
    assert_near(again.read_frame(1), gaussians(2))
    assert again.records()[1] == done(result(1, 0))


def test_compacting_again_after_more_frames_keeps_all(run: Run, capture: Capture) -> None:
    run.compact()
    write(run, result(2, 1, 5), capture)
    run.compact()
    assert run.frames() == (0, 1, 2)
    assert_near(run.read_frame(2), gaussians(5))


def test_a_run_in_the_given_folder_is_found(run: Run, capture: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert find_runs(capture, run.path) == [run.path]
    assert find_runs(capture, tmp_path / "other") == []
    monkeypatch.chdir(tmp_path)
    assert find_runs(capture) == []
    (tmp_path / "output").mkdir()
    run.path.rename(tmp_path / "output" / "tiny")
    assert find_runs(capture) == [Path("output/tiny")]


def test_other_held_out_cameras_are_refused_because_the_run_was_trained_on_them(run: Run, capture: Capture) -> None:
    with pytest.raises(InputError, match=r"held-out cameras is \['c'\] in the run, but \['a'\] was asked for"):
        Run.create(run.path, replace(capture, held_out=("a",)), INFO)


def test_a_run_killed_before_its_first_file_was_complete_starts_again(tmp_path: Path, capture: Capture) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".run.json.0123456789ab.tmp").write_text("{")
    assert Run.create(tmp_path / "run", capture, INFO).frames() == ()


@pytest.mark.parametrize("settings", [None, [], "dis", {"tracker": "../../../elsewhere"}, {"tracker": ["dis"]}, {"pipeline": "../x"}])
def test_strange_settings_of_a_foreign_run_lead_nowhere(run: Run, settings: object) -> None:
    (run.path / "run.json").write_text(json.dumps({"format": 2, "settings": settings}))
    again = Run.open(run.path)
    assert again.pipeline_folder == "refine/base-propagate-unknown"
    assert again.frames() == (0, 1)


def test_the_folder_of_a_pipeline_is_the_published_one(run: Run, tmp_path: Path, capture: Capture) -> None:
    assert run.pipeline_folder == "refine/base-propagate-dis"
    other = Run.create(tmp_path / "other", capture, {"settings": {**INFO["settings"], "pipeline": "train-base"}})
    assert other.pipeline_folder == "train/base"


@pytest.mark.parametrize(
    "record", ['{"done": {"event": "FrameDone"}, "scores": {}}', '{"done": {"event": "FrameDone", "scores": 3}}', "{}"]
)
def test_a_damaged_record_is_one_sentence(run: Run, record: str) -> None:
    (run.path / "frame1" / "frame.json").write_text(record)
    with pytest.raises(InputError, match=r"frame1/frame\.json is not a frame record of ours"):
        Run.open(run.path).records()


@pytest.mark.parametrize("value", ["12", [1], None, True, 10**400])
def test_a_record_with_something_else_than_numbers_is_one_sentence(run: Run, value: object) -> None:
    path = run.path / "frame1" / "frame.json"
    record = json.loads(path.read_text())
    record["done"]["gaussians"] = value
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match="where a number belongs"):
        Run.open(run.path).records()


def carried(seed: int = 1) -> CarriedMotion:
    random = torch.Generator().manual_seed(seed)
    return CarriedMotion(*(torch.randn(shape, generator=random) for shape in ((50, 3), (50, 3), (50, 3), (50,))))


def test_what_a_motion_carries_on_comes_back_and_a_damaged_one_is_one_sentence(run: Run, capture: Capture) -> None:
    write(run, result(2, 1, carried=carried()), capture)
    again = run.read_state(2, CPU).carried
    assert again is not None
    for name, tensor in vars(carried()).items():
        assert torch.equal(tensor, vars(again)[name]), name
    good = carried()
    wrong = {
        "pending_translation": good.pending_translation * torch.nan,
        "velocity": good.velocity[:49],
        "angular_velocity": good.angular_velocity.double(),
        "trust": good.trust[:, None],
    }
    for name, tensor in wrong.items():
        write(run, result(2, 1, carried=replace(good, **{name: tensor})), capture)
        with pytest.raises(InputError, match="is damaged"):
            run.read_state(2, CPU)


def test_replaced_indices_come_back_and_damaged_ones_are_one_sentence(run: Run, capture: Capture) -> None:
    assert run.read_replaced(1).tolist() == []
    write(run, replace(result(2, 1), replaced=torch.tensor([3, 8, 41])), capture)
    write(run, result(3, 2), capture)
    run.compact()
    assert run.read_replaced(2).tolist() == [3, 8, 41]
    assert run.read_replaced(3).tolist() == []
    for wrong in (torch.tensor([3, 3]), torch.tensor([-1, 3]), torch.tensor([[1]]), torch.tensor([0.5])):
        write(run, replace(result(2, 1), replaced=wrong), capture)
        with pytest.raises(InputError, match="is damaged"):
            run.read_replaced(2)


def test_a_frame_descends_from_the_fitted_one_over_those_between(run: Run, capture: Capture) -> None:
    write(run, replace(result(2, 1, 3), replaced=torch.tensor([3, 8, 41])), capture)
    write(run, replace(result(3, 2, 4), replaced=torch.tensor([8])), capture)
    state = Run.open(run.path).read_state(3, CPU)
    assert state.origin is not None
    assert state.lineage is not None
    assert state.origin.frame == 0
    assert torch.equal(state.origin.gaussians.means, gaussians(1).means)
    assert {i: int(state.lineage.born[i]) for i in (0, 3, 8, 41)} == {0: 0, 3: 2, 8: 3, 41: 2}
    assert state.lineage.replaced.tolist() == [3, 8, 41]
    assert run.read_state(0, CPU).lineage.replaced.tolist() == []


def test_a_frame_without_a_fitted_one_before_it_has_no_origin(run: Run, capture: Capture) -> None:
    write(run, result(2, 1, 3), capture)
    assert run.read_state(2, CPU).origin is not None
    record = run.path / run.pipeline_folder / "frame3/frame.json"
    whole = json.loads(record.read_text())
    for base in (2, 3):  # of itself, and of a frame after it
        record.write_text(json.dumps({**whole, "done": {**whole["done"], "base": base}}))
        assert Run.open(run.path).read_state(2, CPU).origin is None
    record.write_text(json.dumps(whole))
    shutil.rmtree(run.path / "frame1" / "point_cloud")
    assert Run.open(run.path).read_state(2, CPU).origin is None


def test_compacting_keeps_what_a_next_frame_needs_while_there_can_be_one(run: Run, capture: Capture) -> None:
    for frame in range(2, capture.frame_count):
        write(run, result(frame, frame - 1, carried=carried()), capture)
        run.compact()
        kept = [run.read_state(f, CPU).carried is not None for f in range(frame + 1)]
        assert kept == [False] * frame + [frame + 1 < capture.frame_count]


def test_evidence_comes_back_with_its_frame(run: Run, capture: Capture) -> None:
    state = torch.full((2, 50), int(ViewState.INLIER), dtype=torch.uint8)
    state[1, 7] = int(ViewState.REJECTED)
    evidence = Evidence(("a", "b"), torch.ones(2, 50), torch.ones(2, 50), torch.ones(2, 50), state)
    still = torch.zeros(50, 3)
    turn = torch.tensor([1.0, 0, 0, 0]).repeat(50, 1)
    no = torch.zeros(50, dtype=torch.bool)
    motion = Motion(still, turn, no, ~no, torch.ones(50), torch.ones(50), torch.ones(50, dtype=torch.int32), evidence=evidence)
    write(run, replace(result(2, 1), motion=motion), capture)
    again = run.read_evidence(2)
    assert again is not None
    assert again.cameras == ("a", "b")
    assert torch.equal(again.state, state)


def test_a_run_that_another_process_writes_is_followed_without_reading_it_all_again(
    run: Run, capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Run.open(run.path)
    assert set(reader.records()) == {0, 1}
    write(run, result(2, 1), capture)
    assert reader.frames() == (0, 1)
    read: list[Path] = []
    real = index.read_record
    monkeypatch.setattr(index, "read_record", lambda path: (read.append(path), real(path))[1])
    reader.refresh()
    assert set(reader.records()) == {0, 1, 2}
    assert [path.parent.name for path in read] == ["frame3"]
    write(run, replace(result(1, 0), iterations=61), capture)  # made anew
    reader.refresh()
    assert reader.record(1).iterations == 61
    assert [path.parent.name for path in read] == ["frame3", "frame2"]


def test_compacting_leaves_the_files_of_a_linked_frame_alone(run: Run, tmp_path: Path) -> None:
    (run.path / "frame1").rename(tmp_path / "theirs")
    (run.path / "frame1").symlink_to(tmp_path / "theirs", target_is_directory=True)
    run.compact()
    assert (tmp_path / "theirs/point_cloud/iteration_60/point_cloud.ply").is_file()
    assert not (run.path / run.pipeline_folder / "frame2" / "point_cloud").exists()


@pytest.mark.parametrize(
    ("name", "folder"),
    [("Coffee Martini 2", "Coffee Martini 2"), ("../../etc", "_.._etc"), ("/etc/x", "_etc_x"), ("..", "capture"), ("a\\b:c", "a_b_c")],
)
def test_a_run_stays_below_the_output_folder_whatever_the_capture_is_called(capture: Capture, name: str, folder: str) -> None:
    assert default_out(replace(capture, name=name)) == Path("output") / folder


def test_the_cameras_colours_come_back_for_the_next_frames(run: Run, capture: Capture) -> None:
    assert run.read_state(0, CPU).colours is None
    colours = ColourAffines(("a", "b"), torch.eye(3, 4) + torch.tensor([0.125, -0.125])[:, None, None])
    write(run, result(2, 1, colours=colours), capture)
    again = run.read_state(2, CPU).colours
    assert again is not None
    assert again.cameras == ("a", "b")
    assert torch.equal(again.matrices, colours.matrices)
    run.compact()
    assert run.read_state(2, CPU).colours is not None


@pytest.mark.parametrize("text", ['{"a": [[1, 0], [0, 1]]}', "[]", "{", '{"a": [[1e999, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]}'])
def test_damaged_colours_are_said_in_one_sentence(run: Run, text: str) -> None:
    (run.path / "frame1" / "colours.json").write_text(text)
    with pytest.raises(InputError, match=r"colours\.json"):
        run.read_state(0, CPU)


def test_compacting_a_run_without_frames_is_one_sentence(tmp_path: Path, capture: Capture) -> None:
    with pytest.raises(InputError, match=r"The run .*run has no frames to compact: reconstruct some first\."):
        Run.create(tmp_path / "run", capture, INFO).compact()


def test_only_one_process_writes_to_a_run_and_others_may_read_it(run: Run, capture: Capture) -> None:
    other = Run.open(run.path)
    with run.writing():
        for start in (other.compact, lambda: Run.create(run.path, capture, INFO)):
            with pytest.raises(InputError, match=rf"The run .*run is being written by process {os.getpid()} on .* since "):
                start()
        assert Run.open(run.path).read_frame(1).means.shape == (50, 3)
        run.compact()  # what holds the lock may go on
    other.compact()
    assert not (run.path / ".lock").exists()


def test_a_start_removes_what_killed_processes_left_and_nothing_else(run: Run) -> None:
    moved = run.path / "refine/base-propagate-dis"
    left = [run.path / ".run.json.0123456789ab.tmp", run.path / ".metrics.csv.0123456789ab.tmp", moved / ".frame2.lock"]
    for path in left:
        path.write_text("half")
    for path in (moved / ".frame7.0123456789ab.tmp", run.path / ".sequence.0123456789ab.tmp"):
        (path / "below").mkdir(parents=True)
        left.append(path)
    kept = [run.path / ".notes", run.path / "notes.tmp"]
    for path in kept:
        path.write_text("mine")
    with run.writing():
        pass
    assert [path for path in left if path.exists()] == []
    assert all(path.is_file() for path in kept)


@pytest.mark.parametrize("replaced", [False, True])
def test_a_run_that_is_removed_while_it_is_written_is_said(run: Run, capture: Capture, replaced: bool) -> None:
    with run.writing():
        shutil.rmtree(run.path)
        if replaced:
            run.path.mkdir()
            (run.path / "run.json").write_text("{}")
        for action in (lambda: write(run, result(2, 1), capture), lambda: run.require_frames([0])):
            with pytest.raises(InputError, match=r"run was moved, removed or replaced while the run was being written"):
                action()
    assert run.path.exists() == replaced
    assert not list(run.path.parent.rglob("frame3"))


def test_a_frame_that_is_removed_while_others_are_written_is_said(run: Run) -> None:
    with run.writing():
        shutil.rmtree(run.path / "frame1")
        run.require_frames([1])
        with pytest.raises(InputError, match=r"Frame 1 was removed from .*run while the run was being written: start it again"):
            run.require_frames([0, 1])


@pytest.mark.parametrize("kind", ["a pipe", "an endless device"])
@pytest.mark.parametrize("name", ["sequence/manifest.json", "sequence/frame1.safetensors"])
def test_a_sequence_with_a_pipe_or_a_device_in_it_is_one_sentence(run: Run, name: str, kind: str) -> None:
    write_sequence(run.path / "sequence", (0, 1), run.read_frame)
    shutil.rmtree(run.path / "frame1" / "point_cloud")
    path = run.path / name
    path.unlink()
    if kind == "a pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(InputError, match=r"a device or a pipe|is missing, or no file"):
        Run.open(run.path).read_frame(0)


def test_the_hashes_of_images_come_back_with_the_record(run: Run, capture: Capture) -> None:
    images = {"a": "0123456789abcdef", "mask of a": "fedcba9876543210"}
    run.write_frame(result(2, 1), done(result(2, 1)), capture, images)
    again = Run.open(run.path)
    assert again.record(2).images == images
    assert again.record(0).images == {}
