"""The columns of the "Quality" tab."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from trackersplat.events import FrameDone
from trackersplat.metrics.registry import METRICS
from viewer.panels.quality import QualityPanel, scores_html
from viewer.panels.scores import columns, missing
from viewer.state import State, Store

NASTY = "<img src=x onerror=alert(1)>"


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


def test_the_table_marks_the_frame_and_escapes_what_comes_from_a_file() -> None:
    page = scores_html([FIRST, done(1, {"psnr": 20.0}, {"lpips": NASTY})], columns([FIRST]), frame=1)
    assert "<img" not in page
    assert "not available: &lt;img" in page
    assert "1.2" in page  # seconds in all
    rows = page.split("<tr")[2:]
    assert ["background" in row.split(">")[0] for row in rows] == [False, True]
    assert "No frame has been measured yet" in scores_html([], (), 0)


def test_a_metric_of_another_package_has_its_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(METRICS, "_entries", {**METRICS._entries})
    METRICS.add(replace(METRICS.facts("psnr"), name="sharpness", label="Sharpness", unit="%", digits=1))
    assert [column.title for column in columns([done(0, {"sharpness": 3.25, "psnr": 20.0})])][-1] == "Sharpness (%)"


class Widgets:
    """The parts of viser's gui that the panel uses."""

    def __init__(self) -> None:
        self.html: list[SimpleNamespace] = []
        self.plots: list[SimpleNamespace] = []

    def add_html(self, content: str) -> SimpleNamespace:
        self.html.append(SimpleNamespace(content=content))
        return self.html[-1]

    def add_uplot(self, data: object, series: object, **options: object) -> SimpleNamespace:
        self.plots.append(SimpleNamespace(data=data, series=series, **options))
        return self.plots[-1]


def test_the_panel_follows_the_records_and_plots_the_first_metric() -> None:
    gui, store = Widgets(), Store(State(frame_count=3, frame=1))
    QualityPanel(SimpleNamespace(gui=gui, store=store, capture=SimpleNamespace(held_out=("a", "b"))))  # type: ignore[arg-type]
    table, plot = gui.html[-1], gui.plots[0]
    assert "No frame has been measured yet" in table.content
    assert not plot.visible
    store.set(records={0: FIRST, 1: MOVED})
    assert "27.00" in table.content
    assert plot.visible
    labels = [series["label"] for series in plot.series]
    assert labels == ["frame", "PSNR, unmoved (dB)", "PSNR, moved (dB)", "PSNR (dB)", "PSNR masked (dB)"]
    nan = math.nan
    expected = [[1, 2], [nan, 22], [nan, nan], [28, 27], [nan, 30]]
    assert np.array_equal(np.stack(plot.data), expected, equal_nan=True)
    store.set(records={})
    assert not plot.visible
