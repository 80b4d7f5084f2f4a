"""The worker process of `viewer.diagnosing`: diagnoses the tracks of a run, prints its events as JSON lines, writes the result."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from trackersplat.captures.registry import open_capture
from trackersplat.diagnosis.diagnosis import DiagnosisDone, FrameExamined
from trackersplat.errors import InputError
from trackersplat.events import Event, Failed, Finished, Stage, to_json


def main(run: str, capture: str, out: str, key: str, backend: str | None = None) -> int:
    """Returns the exit code."""
    from trackersplat.jobs.diagnose import diagnose
    from trackersplat.rendering.registry import choose_rasterizer
    from trackersplat.store.run import Run

    started = time.monotonic()
    try:
        opened = open_capture(capture)
        for event in diagnose(Run.open(Path(run)), opened, rasterizer=choose_rasterizer(backend=backend)):
            if isinstance(event, DiagnosisDone):
                event.diagnosis.to_npz(Path(out), key)
            elif isinstance(event, FrameExamined):
                _print(Stage(event.frame, "diagnose", f"{event.done} of {event.total}"))
        opened.close()
    except InputError as error:
        _print(Failed(str(error)))
        return 2
    _print(Finished(time.monotonic() - started))
    return 0


def _print(event: Event) -> None:
    print(json.dumps(to_json(event)), flush=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
