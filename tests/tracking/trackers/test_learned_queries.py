"""Every learned tracker of chosen points, run on a stand-in with the published signature: an asymmetric point, an exact answer."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stand_in_places import install_stand_in
from stand_in_trackers import STEP, write_cotracker, write_locotrack, write_tapnet, write_tapnext
from torch import Tensor

from trackersplat.errors import InputError, ShapeError
from trackersplat.tracking.registry import TRACKERS, create_tracker, tracker_settings
from trackersplat.tracking.tracker import Clip
from trackersplat.tracking.trackers.working_size import WorkingSize
from trackersplat.tracking.upstream import undisturbed_random_states

WIDTH, HEIGHT, COUNT = 80, 60, 5
SIZE = (128, 96)  # at which the CoTrackers work here; TAPIR works below the size of the images
QUERIES = torch.tensor([[20.5, 7.5], [61.25, 44.0], [33.0, 50.75]])


@dataclass(frozen=True)
class Case:
    name: str
    write: Callable[[Path, str], None]
    size: tuple[int, int]
    corners: bool = False  # whether distances between centres scale by (W' - 1) / (W - 1)
    inside: tuple[str, ...] = ()
    prefix: str = ""
    visibility: Callable[[Tensor], Tensor] = lambda t: 0.9 - 0.125 * t
    confidence: Callable[[Tensor], Tensor] = lambda t: torch.ones_like(t)


def tapir(name: str, write: Callable[[Path, str], None] = write_tapnet, **other: Any) -> Case:
    return Case(name, write, (64, 48), visibility=lambda t: 1 - (t - 1).sigmoid(), confidence=lambda t: 1 - (1 - t).sigmoid(), **other)


CASES = (
    Case("cotracker3", write_cotracker, SIZE, True, confidence=lambda t: (0.9 - 0.125 * t) / 2),
    Case("cotracker3-online", write_cotracker, SIZE, True, ("model",), confidence=lambda t: (0.9 - 0.125 * t) / 2),
    Case("cotracker2", write_cotracker, SIZE, True),
    Case("cotracker", write_cotracker, SIZE),
    tapir("tapir"),
    tapir("bootstapir"),
    Case("tapnext", write_tapnext, (64, 48), visibility=lambda t: (1 - t).sigmoid(), confidence=lambda t: torch.full_like(t, 0.625)),
    Case(
        "tapnext++",
        write_tapnext,
        (64, 48),
        inside=("state_dict",),
        prefix="tapnext.",
        visibility=lambda t: (1 - t).sigmoid(),
        confidence=lambda t: torch.full_like(t, 0.625),
    ),
    tapir("locotrack-small", write_locotrack, inside=("state_dict",), prefix="model."),
    tapir("locotrack-base", write_locotrack, inside=("state_dict",), prefix="model."),
)


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest, places: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    chosen: Case = request.param
    install(chosen, places, monkeypatch)
    return chosen


def install(case: Case, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_stand_in(case.name, case.write, places, monkeypatch, *case.inside, prefix=case.prefix)


def made(case: Case) -> Any:
    """The tracker, at a small working size."""
    return create_tracker(case.name, "cpu", replace(tracker_settings(case.name), size=case.size))


def clip(count: int = COUNT) -> Clip:
    """Ramps: red is 3 per pixel to the right, green is 4 per pixel down; blue is the frame."""
    columns, rows = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    frames = [np.stack((3 * columns, 4 * rows, np.full_like(rows, index)), -1).astype(np.uint8) for index in range(count)]
    return Clip(torch.from_numpy(np.stack(frames)[None]), tuple(range(7, 7 + count)))


def step_in_pixels(case: Case) -> tuple[float, float]:
    """One step of the stand-in in pixels of ours."""
    less = 1 if case.corners else 0
    width, height = case.size
    return STEP[0] * (WIDTH - less) / (width - less), STEP[1] * (HEIGHT - less) / (height - less)


def test_a_known_translation_is_reported_exactly(case: Case) -> None:
    tracker = made(case)
    (motion,) = tracker.track_queries(clip(), [QUERIES])
    frames = torch.arange(1.0, COUNT)
    expected = QUERIES + frames[:, None, None] * torch.tensor(step_in_pixels(case))
    assert motion.positions.shape == (1, COUNT - 1, len(QUERIES), 2)
    torch.testing.assert_close(motion.positions[0], expected, rtol=0, atol=2e-3)
    for values, law in ((motion.visibility, case.visibility), (motion.confidence, case.confidence)):
        torch.testing.assert_close(values[0], law(frames)[:, None].expand(-1, len(QUERIES)))


def test_the_network_sees_at_a_query_what_the_image_has_there(case: Case) -> None:
    """Ramps tell range, axis order and pixel convention: half a pixel off is 1.5 in red and 2 in green."""
    tracker = made(case)
    tracker.track_queries(clip(), [QUERIES])
    seen = tracker.model.seen[: len(QUERIES)]
    torch.testing.assert_close(seen[:, :2], (QUERIES - 0.5) * torch.tensor((3.0, 4.0)), rtol=0, atol=0.2)
    assert seen[:, 2].abs().max() < 1e-3  # the base frame


def test_provenance_names_the_weights_and_the_licences(case: Case) -> None:
    facts = TRACKERS.facts(case.name)
    known = made(case).provenance
    assert (known.tracker, known.size, len(known.weights)) == (case.name, case.size, 64)
    assert known.licence == f"code {facts.licence}, weights {facts.weights[0].licence}"


def test_neither_modules_nor_search_paths_nor_random_states_change(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = type(sys)("models")
    monkeypatch.setitem(sys.modules, "models", ours)
    before = torch.random.get_rng_state(), random.getstate(), list(sys.path)
    made(case).track_queries(clip(), [QUERIES])
    assert sys.modules["models"] is ours
    assert not {"cotracker", "tapnet"} & set(sys.modules)
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert (random.getstate(), list(sys.path)) == before[1:]


def test_two_frames_are_enough(case: Case) -> None:
    tracker = made(case)
    (motion,) = tracker.track_queries(clip(2), [QUERIES])
    torch.testing.assert_close(motion.positions[0, 0], QUERIES + torch.tensor(step_in_pixels(case)), rtol=0, atol=2e-3)


def test_every_view_has_its_own_queries(case: Case) -> None:
    tracker = made(case)
    images = clip().images.expand(2, -1, -1, -1, -1)
    one, other = tracker.track_queries(Clip(images, clip().frames), [QUERIES, QUERIES[1:]])
    torch.testing.assert_close(one.positions[:, :, 1:], other.positions)
    with pytest.raises(ShapeError, match="needs queries for each, got 1"):
        tracker.track_queries(Clip(images, clip().frames), [QUERIES])


@pytest.mark.parametrize("name", ["cotracker3", "cotracker3-online", "cotracker2", "cotracker"])
def test_cotracker_is_not_given_images_between_0_and_1(name: str, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(next(case for case in CASES if case.name == name), places, monkeypatch)
    tracker: Any = create_tracker(name, "cpu", replace(tracker_settings(name), size=SIZE))
    tracker.track_queries(clip(), [QUERIES])
    scaled = WorkingSize.images
    monkeypatch.setattr(WorkingSize, "images", lambda self, frames: scaled(self, frames) / 255)
    with pytest.raises(AssertionError, match="images must be in 0-255"):
        tracker.track_queries(clip(), [QUERIES])


def test_online_windows_reach_the_end_of_a_long_clip(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(CASES[1], places, monkeypatch)
    tracker = made(CASES[1])
    (motion,) = tracker.track_queries(clip(37), [QUERIES])
    assert motion.positions.shape[1] == 36
    assert [shape[1] for shape, _ in tracker.model.calls] == [16, 16, 16, 13]
    assert {queries for _, queries in tracker.model.calls} == {len(QUERIES) + 36}  # the support grid


def test_weights_that_the_settings_name_are_used(case: Case, places: Path) -> None:
    (file,) = (places / "weights").iterdir()
    elsewhere = file.rename(places / "mine.pth")
    with pytest.raises(InputError, match=rf"cannot be used: the weights {file.name} are not in .*trackersplat trackers {case.name}"):
        create_tracker(case.name, "cpu")
    with pytest.raises(InputError, match="the weights /nowhere are not there"):
        create_tracker(case.name, "cpu", replace(tracker_settings(case.name), weights="/nowhere"))
    create_tracker(case.name, "cpu", replace(tracker_settings(case.name), weights=str(elsewhere)))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"not weights", "is not a file of weights"),
        (b"broken", r"is not a file of weights \(IndexError\)"),
        ({"other": torch.zeros(2)}, "holds weights of another model"),
        ({"weight": torch.full((3,), torch.nan)}, "has weights that are not finite"),
        ([1, 2], "holds no weights by name"),
    ],
)
def test_a_wrong_file_of_weights_is_bad_input(places: Path, monkeypatch: pytest.MonkeyPatch, content: Any, why: str) -> None:
    install(CASES[0], places, monkeypatch)
    path = places / "weights" / "scaled_offline.pth"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(InputError, match=why):
        create_tracker("cotracker3", "cpu")


def test_other_code_than_expected_is_bad_input(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(CASES[0], places, monkeypatch)
    module = places / "code" / "co-tracker" / "cotracker" / "models" / "build_cotracker.py"
    module.write_text("")
    with pytest.raises(InputError, match=r"has no build_cotracker in .*: the adapter was made for commit 82e02"):
        create_tracker("cotracker3", "cpu")


def test_code_that_cannot_be_imported_is_bad_input(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(CASES[0], places, monkeypatch)
    (places / "code" / "co-tracker" / "cotracker" / "models" / "build_cotracker.py").write_text("import nothing_of_this_name")
    with pytest.raises(InputError, match=r"cannot be imported .*nothing_of_this_name.*install what it needs"):
        create_tracker("cotracker3", "cpu")


def test_random_states_are_put_back_after_an_error() -> None:
    before = np.random.get_state()[1].tolist(), torch.random.get_rng_state()  # type: ignore[index]  # noqa: NPY002
    with suppress(KeyError), undisturbed_random_states():
        torch.rand(3), np.random.rand(3)  # noqa: NPY002
        raise KeyError
    assert np.random.get_state()[1].tolist() == before[0]  # type: ignore[index]  # noqa: NPY002
    assert torch.equal(torch.random.get_rng_state(), before[1])
