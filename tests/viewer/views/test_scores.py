"""The scores of a run as columns."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from trackersplat.events import FrameDone
from trackersplat.metrics.registry import METRICS
from viewer.views.scores import columns, missing


def done(frame: int, scores: dict[str, float], unavailable: dict[str, str] | None = None) -> FrameDone:
    return FrameDone(frame, None, scores, unavailable or {}, 100, 0.5, 0.5, {"refine": 1.0, "write": 0.25})


FIRST = done(0, {"psnr": 28.0, "ssim": 0.9})
MOVED = done(1, {"ssim": 0.875, "psnr": 27.0, "masked_psnr": 30.0, "unmoved_psnr": 22.0, "moved_psnr": math.nan})


def test_columns_are_the_scores_that_occur_in_the_order_of_the_metrics() -> None:
    assert [column.score for column in columns([FIRST])] == ["psnr", "ssim"]
    found = columns([FIRST, MOVED])
    assert [column.score for column in found] == ["unmoved_psnr", "moved_psnr", "psnr", "masked_psnr", "ssim"]
    assert columns([]) == ()
    assert columns([done(0, {"moved_": 1.0, "smell": 2.0})]) == ()  # of no metric of this version
    assert len({column.title for column in found}) == 5


def test_units_and_digits_are_those_of_the_metric() -> None:
    unmoved, moved, psnr, _, ssim = columns([FIRST, MOVED])
    assert psnr.title == "PSNR (dB)"
    assert psnr.unit == unmoved.unit == METRICS.facts("psnr").unit
    assert [column.cell(MOVED) for column in (unmoved, moved, psnr)] == ["22.00", "–", "27.00"]
    assert unmoved.cell(FIRST) == "–"
    assert ssim.cell(MOVED) == f"{0.875:.{METRICS.facts('ssim').digits}f}"


def test_a_metric_that_was_not_computed_says_why() -> None:
    sentences = missing([FIRST, done(1, {}, {"lpips": "old"}), done(2, {}, {"lpips": "no weights"})])
    assert sentences == ("LPIPS not available: no weights",)


def test_a_metric_of_another_package_has_its_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(METRICS, "_entries", {**METRICS._entries})
    METRICS.add(replace(METRICS.facts("psnr"), name="sharpness", label="Sharpness", unit="%", digits=1))
    assert [column.title for column in columns([done(0, {"sharpness": 3.25, "psnr": 20.0})])][-1] == "Sharpness (%)"
