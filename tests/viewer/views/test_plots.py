"""Curves as options of ECharts."""

from __future__ import annotations

import json
import math

from viewer.views.plots import SYMBOLS_UP_TO, Line, by_frame, chart


def test_frames_count_from_one_and_a_missing_one_is_a_gap() -> None:
    assert by_frame({0: 1.0, 1: 2.0, 4: 3.0}) == [(1, 1.0), (2, 2.0), (4, None), (5, 3.0)]


def test_the_scale_holds_all_values_with_round_ends() -> None:
    axis = chart([Line("a", [(1, 27.13), (2, 29.9)])], "frame", "PSNR (dB)")["yAxis"]
    assert axis["min"] <= 27.13
    assert axis["max"] >= 29.9
    assert round(axis["min"] / axis["interval"], 6).is_integer()


def test_what_is_not_finite_is_a_gap_and_all_is_json() -> None:
    options = chart([Line("a", [(1, math.nan), (2, math.inf), (3, 1.0)])], "frame", "x")
    assert options["series"][0]["data"] == [[1, None], [2, None], [3, 1.0]]
    json.dumps(options, allow_nan=False)
    json.dumps(chart([], "frame", "x"), allow_nan=False)


def test_the_present_frame_is_a_line_and_many_points_have_no_marks() -> None:
    options = chart([Line("a", [(x, 1.0) for x in range(SYMBOLS_UP_TO + 1)]), Line("b", [(1, 2.0)])], "frame", "x", mark=3)
    assert options["series"][0]["markLine"]["data"] == [{"xAxis": 3}]
    assert "markLine" not in options["series"][1]
    assert [series["showSymbol"] for series in options["series"]] == [False, True]


def test_a_name_from_a_file_is_drawn_and_never_read_as_html() -> None:
    assert chart([Line("<img src=x>", [(1, 1.0)])], "frame", "x")["tooltip"]["renderMode"] == "richText"
