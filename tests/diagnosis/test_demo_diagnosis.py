"""The demo comes with its diagnosis, so that the page does not make it anew at every start."""

from __future__ import annotations

from dataclasses import dataclass, field, make_dataclass

from trackersplat.captures.demo import demo_run
from trackersplat.diagnosis.diagnosis import DIAGNOSIS_FILE, Diagnosis
from trackersplat.diagnosis.settings import DiagnosisSettings
from trackersplat.jobs.diagnose import chosen_values, key_of
from trackersplat.store.run import Run


def test_the_diagnosis_of_the_demo_is_of_its_run_and_of_the_settings_as_they_are() -> None:
    run = Run.open(demo_run())
    kept = Diagnosis.from_npz(demo_run() / DIAGNOSIS_FILE, key_of(run, DiagnosisSettings()))
    assert kept is not None, "make it anew: a setting of the diagnosis or the run has changed"
    assert kept.frames == run.frames()


def test_another_value_of_a_setting_makes_another_key_also_where_it_is_the_default() -> None:
    run = Run.open(demo_run())
    before, now = (make_dataclass("Settings", [("least", float, value)]) for value in (1.0, 2.0))
    assert key_of(run, before()) == key_of(run, now(1.0))
    assert key_of(run, before()) != key_of(run, now()) == key_of(run, before(2.0))


def test_a_field_that_is_new_and_not_used_leaves_a_diagnosis_valid_and_a_value_that_changes_does_not() -> None:
    @dataclass(frozen=True)
    class Before:
        count: int
        part: tuple[int, ...] = ()

    @dataclass(frozen=True)
    class Now(Before):
        inner: Before = field(default_factory=lambda: Before(3))

    assert chosen_values(Now(1)) == chosen_values(Before(1)) == {"count": 1}
    assert chosen_values(Now(1, inner=Before(3, (2,)))) == {"count": 1, "inner": {"count": 3, "part": (2,)}}
