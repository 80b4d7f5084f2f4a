"""Frames that are refined by several devices come in order, with their errors, and end when they are told to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from quad_scene import quad_capture

from trackersplat.errors import InputError
from trackersplat.events import Event, Stage
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.pipelines import several_devices
from trackersplat.pipelines.frames import Moved
from trackersplat.pipelines.pipeline import ChainState, Context, FrameResult
from trackersplat.pipelines.settings import ReconstructSettings
from trackersplat.rendering.registry import choose_rasterizers

GAUSSIANS = Gaussians(torch.zeros(2, 3), torch.eye(4)[:2], torch.zeros(2, 3), torch.zeros(2), torch.zeros(2, 1, 3))


class Device:
    """Stands for a rasteriser."""

    device = torch.device("cpu")


def _state() -> ChainState:
    return ChainState(0, GAUSSIANS, None)


def _moved(frame: int) -> Moved:
    return Moved(frame, GAUSSIANS, None, None, {})


def _context(others: int) -> Context:
    first, *rest = (Device() for _ in range(1 + others))
    return Context(quad_capture(), first, ReconstructSettings(), others=tuple(rest))  # type: ignore[arg-type]


def _result(frame: int) -> FrameResult:
    return FrameResult(ChainState(frame, GAUSSIANS, None), 0, None, torch.zeros(0, dtype=torch.long), 1, {}, {})


class Refinement:
    """In place of `refine_and_measure`: frames wait until they may end, and it is known where each was done."""

    def __init__(self) -> None:
        self.may_end = {frame: threading.Event() for frame in range(1, 9)}
        self.begun = {frame: threading.Event() for frame in range(1, 9)}
        self.where: dict[int, Any] = {}
        self.failing: set[int] = set()

    def __call__(self, state: ChainState, moved: Moved, context: Context, home: torch.device) -> Iterator[Event]:
        self.where[moved.frame] = context.rasterizer
        self.begun[moved.frame].set()
        yield Stage(moved.frame, "refine")
        if moved.frame in self.failing:
            raise InputError(f"frame {moved.frame} fails")
        assert self.may_end[moved.frame].wait(30)
        yield _result(moved.frame)


@pytest.fixture
def refinement(monkeypatch: pytest.MonkeyPatch) -> Refinement:
    made = Refinement()
    monkeypatch.setattr(several_devices, "refine_and_measure", made)
    return made


def test_results_come_in_the_order_of_frames_whichever_is_done_first(refinement: Refinement) -> None:
    def moved() -> Iterator[Event]:
        yield _moved(1)
        yield _moved(2)
        refinement.may_end[2].set()
        assert refinement.begun[2].wait(30)
        yield Stage(3, "track")
        refinement.may_end[1].set()
        refinement.may_end[3].set()
        yield _moved(3)

    found = list(several_devices.refined(_state(), moved(), _context(2)))
    assert [event.frame for event in found if isinstance(event, FrameResult)] == [1, 2, 3]
    assert sorted((event.frame, event.name) for event in found if isinstance(event, Stage)) == [
        (1, "refine"), (2, "refine"), (3, "refine"), (3, "track"),
    ]  # fmt: skip


def test_the_device_of_the_motions_refines_only_when_no_more_of_them_are_wanted(refinement: Refinement) -> None:
    context = _context(1)

    def moved() -> Iterator[Event]:
        yield _moved(1)
        assert refinement.begun[1].wait(30)
        yield _moved(2)  # the other device is busy, and this one finds motions
        assert not refinement.begun[2].is_set()

    events = several_devices.refined(_state(), moved(), context)
    assert next(events) == Stage(1, "refine")
    found = [next(events)]
    assert refinement.begun[2].wait(30)
    refinement.may_end[1].set()
    refinement.may_end[2].set()
    found += list(events)
    assert [event.frame for event in found if isinstance(event, FrameResult)] == [1, 2]
    assert refinement.where == {1: context.others[0], 2: context.rasterizer}


def test_what_a_frame_raises_is_raised_where_events_are_read_and_the_others_end(refinement: Refinement) -> None:
    refinement.failing = {2}
    before = threading.active_count()

    def read() -> None:
        for event in several_devices.refined(_state(), iter([_moved(1), _moved(2), _moved(3)]), _context(2)):
            if event == Stage(2, "refine"):
                for frame in (1, 3):
                    refinement.may_end[frame].set()

    with pytest.raises(InputError, match="frame 2 fails"):
        read()
    assert threading.active_count() == before


def test_closing_the_events_ends_the_threads_after_the_event_in_work(refinement: Refinement) -> None:
    before = threading.active_count()
    events = several_devices.refined(_state(), iter([_moved(frame) for frame in (1, 2, 3, 4)]), _context(2))
    assert isinstance(next(events), Stage)
    for may_end in refinement.may_end.values():
        may_end.set()
    events.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
    assert len(refinement.where) < 4


def test_one_device_refines_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(several_devices, "refine_and_measure", lambda state, moved, context: iter([_result(moved.frame)]))
    found = list(several_devices.refined(_state(), iter([_moved(1), Stage(2, "track"), _moved(2)]), _context(0)))
    assert [type(event) for event in found] == [FrameResult, Stage, FrameResult]


def test_devices_are_named_with_commas_and_one_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [rasterizer.device.type for rasterizer in choose_rasterizers("cpu, cpu")] == ["cpu", "cpu"]
    assert len(choose_rasterizers(None, "portable")) == 1
    monkeypatch.setattr(torch, "cuda", SimpleNamespace(is_available=lambda: False, device_count=lambda: 0))
    with pytest.raises(InputError, match="'cuda:1'"):
        choose_rasterizers("cpu,cuda:1")
    with pytest.raises(InputError, match="There is no device ''"):
        choose_rasterizers("cpu,")
