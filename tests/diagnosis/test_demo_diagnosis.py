"""The demo comes with its diagnosis, so that the page does not make it anew at every start."""

from __future__ import annotations

from trackersplat.captures.demo import demo_run
from trackersplat.diagnosis.diagnosis import DIAGNOSIS_FILE, Diagnosis
from trackersplat.diagnosis.settings import DiagnosisSettings
from trackersplat.jobs.diagnose import key_of
from trackersplat.store.run import Run


def test_the_diagnosis_of_the_demo_is_of_its_run_and_of_the_settings_as_they_are() -> None:
    run = Run.open(demo_run())
    kept = Diagnosis.from_npz(demo_run() / DIAGNOSIS_FILE, key_of(run, DiagnosisSettings()))
    assert kept is not None, "make it anew: a setting of the diagnosis or the run has changed"
    assert kept.frames == run.frames()
