"""Curves as options of ECharts. Pure functions: numbers in, plain data out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Of Okabe and Ito, told apart by the colour-blind too.
PALETTE = ("#56b4e9", "#e69f00", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#0072b2", "#b0b7c1")
TEXT, MUTED, LINE, RAISED, ACCENT = "#e6e9ee", "#9aa4b2", "#323a46", "#232932", "#5aa9f0"
SYMBOLS_UP_TO = 120  # points that are drawn with marks to click


@dataclass(frozen=True)
class Line:
    """Points in ascending order of x; None is a gap."""

    label: str
    points: Sequence[tuple[float, float | None]]
    colour: str = ""
    faint: bool = False


def chart(
    lines: Sequence[Line],
    x_name: str,
    y_name: str,
    *,
    digits: int = 2,
    mark: float | None = None,
    whole: bool = True,
    clickable: bool = True,
    bounds: tuple[float, float] | None = None,
) -> dict[str, Any]:
    """``mark``: an x with a line; ``whole``: x are whole numbers; ``clickable``: points have marks; ``bounds``: ends of the x axis."""
    values = [y for line in lines for _, y in line.points if y is not None and math.isfinite(y)]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    margin = 0.06 * (high - low) or max(abs(high) * 0.01, 10.0**-digits)
    bottom, top = low - margin, high + margin
    if low >= 0:
        bottom = max(bottom, 0.0)
    step = _step((top - bottom) / 4)
    legend = len(lines) > 1
    axis = {
        "axisLine": {"lineStyle": {"color": LINE}},
        "axisLabel": {"color": MUTED, "fontSize": 11, "hideOverlap": True},
        "axisTick": {"show": False},
    }
    x_axis: dict[str, Any] = {
        **axis,
        "type": "value",
        "name": x_name,
        "nameLocation": "middle",
        "nameGap": 20,
        "nameTextStyle": {"color": MUTED, "fontSize": 11},
        "splitLine": {"show": False},
        "minInterval": 1 if whole else 0,
        "min": "dataMin" if bounds is None else bounds[0],
        "max": "dataMax" if bounds is None else bounds[1],
    }
    return {
        "animation": False,
        "textStyle": {"fontFamily": "inherit", "color": TEXT},
        "grid": {"left": 46, "right": 12, "top": 26 if not legend else 44, "bottom": 36},
        "legend": {
            "show": legend, "type": "scroll", "top": 18, "left": 0, "itemWidth": 14, "itemHeight": 8, "icon": "roundRect",
            "textStyle": {"color": MUTED, "fontSize": 11}, "pageIconColor": MUTED, "pageTextStyle": {"color": MUTED},
        },
        "title": {"text": y_name, "left": 0, "top": 0, "textStyle": {"fontSize": 11, "fontWeight": 500, "color": MUTED}},
        "tooltip": {
            "trigger": "axis", "confine": True, "renderMode": "richText", "backgroundColor": RAISED, "borderColor": LINE, "padding": 6,
            "textStyle": {"fontSize": 11, "color": TEXT}, "axisPointer": {"lineStyle": {"color": MUTED}},
            ":valueFormatter": f"(v) => typeof v === 'number' ? v.toFixed({digits}) : '–'",
        },
        "xAxis": x_axis,
        "yAxis": {
            **axis, "type": "value", "min": math.floor(bottom / step) * step, "max": math.ceil(top / step) * step, "interval": step,
            "splitLine": {"lineStyle": {"color": LINE, "opacity": 0.5}},
            "axisLabel": {"color": MUTED, "fontSize": 11, ":formatter": f"(v) => v.toFixed({_digits(step)})"},
        },
        "series": [_series(line, index, mark if index == 0 else None, clickable) for index, line in enumerate(lines)],
    }  # fmt: skip


def _series(line: Line, index: int, mark: float | None, clickable: bool) -> dict[str, Any]:
    colour = line.colour or PALETTE[index % len(PALETTE)]
    series: dict[str, Any] = {
        "type": "line",
        "name": line.label,
        "data": [[x, y if y is not None and math.isfinite(y) else None] for x, y in line.points],
        "showSymbol": clickable and len(line.points) <= SYMBOLS_UP_TO,
        "symbolSize": 4 if not line.faint else 3,
        "lineStyle": {"width": 1 if line.faint else 2, "opacity": 0.7 if line.faint else 1.0},
        "itemStyle": {"color": colour},
        "emphasis": {"disabled": True},
    }
    if mark is not None:
        style = {"color": ACCENT, "width": 1, "type": "solid"}
        series["markLine"] = {
            "silent": True, "symbol": "none", "animation": False, "data": [{"xAxis": mark}], "lineStyle": style, "label": {"show": False}
        }  # fmt: skip
    return series


def by_frame(values: Mapping[int, float | None]) -> list[tuple[float, float | None]]:
    """Points over frames counted from 1; a frame that is missing between two others is a gap."""
    points: list[tuple[float, float | None]] = []
    for frame in sorted(values):
        if points and points[-1][0] < frame:
            points.append((frame, None))
        points.append((frame + 1, values[frame]))
    return points


def _step(least: float) -> float:
    """The least of 1, 2, 2.5 and 5 times a power of ten that is not below."""
    if least <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(times * power for times in (1.0, 2.0, 2.5, 5.0, 10.0) if times * power >= least * (1 - 1e-9))


def _digits(step: float) -> int:
    """Decimals that tell marks at this distance apart."""
    return next((digits for digits in range(7) if abs(round(step, digits) - step) < step * 1e-6), 7)
