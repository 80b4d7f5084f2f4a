"""The page of the bundled demo with a made diagnosis, as a program: ``python track_page.py RUN TRACKS`` prints its address and serves.

RUN is a copy of the bundled run; TRACKS the number of tracks per camera. No renderer is started: the panels about tracks need none.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "scenes")]

from made_diagnosis import made_diagnosis  # noqa: E402

from viewer.app import App  # noqa: E402
from viewer.arguments import Arguments  # noqa: E402
from viewer.edit_log import RunEdits  # noqa: E402

BAD_CAMERA = 4


def main(run: Path, per_camera: int) -> None:
    app = App(Arguments("demo", port=0, browser=False, autoplay=False, out=run))
    capture = app.capture
    made = made_diagnosis(capture.cameras, capture.frame_count, per_camera, bad_camera=BAD_CAMERA)
    app.document.diagnosing.put(run, made, "made")
    app.document.edits.close()
    app.document.edits = RunEdits(app.store)  # edits are allowed whatever the run says about its frames
    app.document.runs.find()
    app.store.set(activity="")
    print(app.url, flush=True)
    try:
        app.serve()
    finally:
        app.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
