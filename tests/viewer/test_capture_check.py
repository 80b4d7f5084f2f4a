"""The check of the capture, with a small script in the place of the worker."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from waiting import wait_for

from trackersplat.checks.events import Checked, Step
from trackersplat.checks.events import to_json as check_json
from trackersplat.checks.findings import Report
from trackersplat.events import Failed, Finished, to_json
from viewer import capture_check, jobs
from viewer.capture_check import CaptureCheck
from viewer.state import Shared, Store

REPORT = Report("c", "n3dv", (0, 1), (), (), 2.0)


def says(monkeypatch: pytest.MonkeyPatch, folder: Path, *events: dict[str, object], code: int = 0, wait: bool = False) -> None:
    lines = "\n".join(json.dumps(event) for event in events)
    (folder / "said").write_text(lines + "\n")
    rest = "signal.pause()" if wait else f"sys.exit({code})"
    script = f"import signal, sys; print(open({str(folder / 'said')!r}).read(), flush=True); {rest}"
    monkeypatch.setattr(capture_check, "check_command", lambda source: [sys.executable, "-c", script])
    monkeypatch.setattr(jobs, "NICENESS", 0)


def test_a_check_reports_to_all_who_look(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    says(monkeypatch, tmp_path, check_json(Step("matching points", 1, 2)), check_json(Checked(REPORT)), to_json(Finished(2.0)))
    store = Store(Shared())
    check = CaptureCheck(store, "demo")
    check.start()
    assert check.state.running
    wait_for(lambda: not check.state.running, "the check")
    assert check.state.report == REPORT
    assert store.shared.job >= 4


def test_a_failed_check_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    says(monkeypatch, tmp_path, to_json(Failed("cam03.mp4 is no video.")), code=2)
    check = CaptureCheck(Store(Shared()), "demo")
    check.start()
    wait_for(lambda: not check.state.running, "the check")
    assert (check.state.text, check.state.failed, check.state.report) == ("cam03.mp4 is no video.", True, None)


def test_a_check_can_be_cancelled_and_only_one_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    says(monkeypatch, tmp_path, check_json(Step("reading frames", 1, 2)), wait=True)
    check = CaptureCheck(Store(Shared()), "demo")
    check.start()
    wait_for(lambda: check.state.share == pytest.approx(0.3), "the first step")
    before = check._job
    check.start()
    assert check._job is before
    check.cancel()
    wait_for(lambda: not check.state.running, "the end")
    assert "cancelled" in check.state.text
    assert not check.state.failed
