import json
import math

import pytest

from trackersplat.events import (
    Event,
    Failed,
    Finished,
    FrameDone,
    Note,
    Preview,
    Remark,
    Stage,
    Started,
    StepDone,
    from_json,
    to_json,
)

EVENTS: list[Event] = [
    Started((0, 1, 2), "CPU, 2 cores (portable)", "base-propagate", 600, 60),
    Remark("cam03 is left out."),
    Stage(1, "track", "11 views"),
    StepDone(1, 20, 60, 0.031, 21000, 27.5),
    Preview(0, "output/demo/preview.ply"),
    FrameDone(1, 0, {"psnr": 27.25, "unmoved_psnr": 24.0}, {"lpips": "no weights"}, 21000, 0.25, 0.5, {"track": 1.5, "refine": 4.0}),
    FrameDone(0, None, {}, {}, 21000, 0.0, 0.0, {"optimise": 60.0}, ("odd",), ("chosen, because",)),
    Note(0, "chosen, because"),
    Finished(63.5),
    Failed("The video cam03.mp4 cannot be decoded.", 3),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: type(e).__name__)
def test_an_event_survives_a_line_of_json(event: Event) -> None:
    assert from_json(json.loads(json.dumps(to_json(event)))) == event


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"event": "Nonsense"},
        {"event": "Stage"},
        {"event": "FrameDone"},
        {"event": "FitDone"},
        {"event": "Finished", "seconds": 1, "more": 2},
    ],
)
def test_what_is_no_event_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not an event"):
        from_json(data)


def test_a_step_without_a_loss_is_json_that_any_program_reads() -> None:
    line = json.dumps(to_json(StepDone(1, 20, 20, math.nan, 21000)), allow_nan=False)
    again = from_json(json.loads(line))
    assert isinstance(again, StepDone)
    assert math.isnan(again.loss)


def test_the_seconds_of_a_frame_are_those_of_its_stages() -> None:
    assert FrameDone(1, 0, {}, {}, 5, 0.0, 0.0, {"track": 1.5, "refine": 4.0}).total_seconds == 5.5
