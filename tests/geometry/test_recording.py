"""What is repeated on a GPU is done as it is twice, then recorded once and replayed. A stand-in for CUDA says in which order."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from trackersplat.geometry import recording
from trackersplat.geometry.recording import Recorder


class Graph:
    def __init__(self, told: list[str]) -> None:
        self._told = told

    def capture_begin(self, pool: object, capture_error_mode: str) -> None:
        assert capture_error_mode == "thread_local"
        self._told.append("begin")

    def capture_end(self) -> None:
        self._told.append("end")
        if "out of memory" in self._told:
            raise RuntimeError("the capture was invalidated")

    def replay(self) -> None:
        self._told.append("replay")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []
    stream = SimpleNamespace(wait_stream=lambda other: None)
    cuda = SimpleNamespace(
        Stream=lambda device: stream, current_stream=lambda device: stream, stream=lambda used: nullcontext(),
        graph_pool_handle=object, CUDAGraph=lambda: Graph(told),
    )  # fmt: skip
    monkeypatch.setattr(recording, "torch", SimpleNamespace(cuda=cuda))
    return told


def test_the_first_calls_are_done_as_they_are_and_the_others_replay_one_recording(told: list[str]) -> None:
    again = Recorder(torch.device("cuda")).repeatable(lambda: told.append("work"))
    for _ in range(5):
        again()
    assert told == ["work", "work", "begin", "work", "end", "replay", "replay", "replay"]


def test_work_of_the_kernels_of_the_last_recording_is_recorded_at_once(told: list[str]) -> None:
    recorder = Recorder(torch.device("cuda"))
    first = ["work", "work", "begin", "work", "end", "replay"]
    for kernels, expected in (("a", first), ("a", ["begin", "work", "end", "replay", "replay", "replay"]), ("b", first), ("a", first)):
        again = recorder.repeatable(lambda: told.append("work"), kernels)
        for _ in range(3):
            again()
        assert told == expected
        told.clear()
    recorder.repeatable(lambda: told.append("work"))()  # nothing is known of its kernels
    assert told == ["work"]


def test_after_a_recording_that_broke_the_first_calls_are_done_as_they_are(told: list[str]) -> None:
    recorder = Recorder(torch.device("cuda"))
    again = recorder.repeatable(lambda: told.append("work"), "a")
    for _ in range(3):
        again()

    def work() -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        recorder.repeatable(work, "a")()
    told.clear()
    recorder.repeatable(lambda: told.append("work"), "a")()
    assert told == ["work"]


def test_what_breaks_a_recording_is_what_is_raised(told: list[str]) -> None:
    def work() -> None:
        if "begin" in told:
            told.append("out of memory")
            raise MemoryError("out of memory")

    again = Recorder(torch.device("cuda")).repeatable(work)
    again()
    again()
    with pytest.raises(MemoryError, match="out of memory"):
        again()
    assert told == ["begin", "out of memory", "end"]
