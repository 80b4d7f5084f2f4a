"""What menus of the page offer."""

from __future__ import annotations

import pytest

pytest.importorskip("nicegui")

from trackersplat.tracking.registry import TRACKERS
from viewer.panels.parts import tracker_offers


def test_only_trackers_that_a_job_can_use_are_offered_and_one_sentence_tells_of_the_rest() -> None:
    names, missing = tracker_offers()
    assert next(iter(names)) == ""  # the worker chooses by its device
    assert "dis" in names
    assert "file" not in names  # a job names no file
    ready = {facts.name for facts in TRACKERS if TRACKERS.why_unavailable(facts.name) is None}
    assert set(names) - {""} <= ready
    assert not any(TRACKERS.facts(name).three_d for name in names if name)
    lacking = [facts.name for facts in TRACKERS if not facts.three_d and facts.name not in ready]
    expected = f"{len(lacking)} more trackers need code or weights: `trackersplat trackers` says how to get them."
    assert missing == ([expected] if lacking else [])
