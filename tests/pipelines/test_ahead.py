"""Making events while others are in use."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from trackersplat.errors import InputError
from trackersplat.events import Event
from trackersplat.pipelines.ahead import one_ahead


@dataclass(frozen=True, eq=False)
class Said(Event):
    text: str


@dataclass(frozen=True, eq=False)
class Found(Event):
    number: int
    values: tuple[Tensor, ...] = ()


def events(made: list[int], values: Tensor) -> Iterator[Event]:
    for number in range(4):
        made.append(number)
        yield Said(f"looking for {number}")
        yield Found(number, (values * number,))


def test_on_a_cpu_nothing_is_made_before_it_is_asked_for() -> None:
    made: list[int] = []
    found = one_ahead(events(made, torch.ones(2)), torch.device("cpu"), Found)
    assert isinstance(next(found), Said)
    assert isinstance(next(found), Found)
    assert made == [0]
    assert len(list(found)) == 6


pytest_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


@pytest.mark.cuda
@pytest_cuda
def test_on_a_gpu_the_next_is_made_while_one_is_in_use_and_all_come_in_order() -> None:
    device, made = torch.device("cuda"), []
    several = threading.Event()

    def watched() -> Iterator[Event]:
        for event in events(made, torch.ones(1 << 20, device=device)):
            yield event
            if len(made) > 1:
                several.set()

    found = one_ahead(watched(), device, Found)
    first = [next(found), next(found)]
    assert several.wait(timeout=20)  # the second is begun though nobody has asked for it
    everything = [*first, *found]
    assert [event.text for event in everything if isinstance(event, Said)] == [f"looking for {number}" for number in range(4)]
    for number, event in enumerate(each for each in everything if isinstance(each, Found)):
        assert event.number == number
        assert float(event.values[0].sum()) == number * (1 << 20)


@pytest.mark.cuda
@pytest_cuda
def test_on_a_gpu_an_error_comes_where_its_event_would_have_come_and_closing_ends_the_work() -> None:
    device, closed = torch.device("cuda"), threading.Event()

    def failing() -> Iterator[Event]:
        yield Found(0)
        raise InputError("no images")

    found = one_ahead(failing(), device, Found)
    assert isinstance(next(found), Found)
    with pytest.raises(InputError, match="no images"):
        next(found)

    def endless() -> Iterator[Event]:
        try:
            while True:
                yield Found(1)
        finally:
            closed.set()

    found = one_ahead(endless(), device, Found)
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert closed.is_set()
