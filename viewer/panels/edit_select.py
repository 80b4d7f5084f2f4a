"""Ways of selecting by numbers: the range of an attribute, the selected tracks, a box or a sphere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from nicegui import background_tasks, run, ui

from trackersplat.errors import InputError
from viewer.panels.panel import Panel
from viewer.panels.parts import button, named, note, select
from viewer.state import Zone

BINS = 60
TAIL = 0.995  # share of the values that the histogram spreads out; the last bin holds the rest
WHAT = (
    ("replace", "Select", "Selects these"), ("add", "+", "Adds these to the selection"),
    ("subtract", "−", "Takes these out of the selection"), ("intersect", "∩", "Keeps of the selection only what is in these"),
)  # fmt: skip


@dataclass(frozen=True)
class Histogram:
    """``edges`` (BINS + 1,) of the bins and how many Gaussians are in each; the first and last bin reach to all values beyond."""

    edges: np.ndarray
    counts: np.ndarray
    unit: str


def histogram(values: np.ndarray, unit: str) -> Histogram | None:
    """None if no value is known."""
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    low, high = float(known.min()), float(np.quantile(known, TAIL))
    high = high if high > low else low + 1.0
    edges = np.linspace(low, high, BINS + 1)
    return Histogram(edges, np.histogram(np.clip(known, low, high), edges)[0], unit)


class SelectSection(Panel):
    def build(self) -> None:
        self._asked = 0
        self._histogram: Histogram | None = None
        with ui.element("div").classes("w-full ts-stack").style("gap:8px"):
            self._build_attribute()
            with ui.row().classes("ts-row w-full no-wrap"):
                ui.label("Carriers of the selected tracks").classes("col")
                self._of_tracks = _modes(lambda mode: self.tab.do("select.tracks", mode=mode))
            self._build_zone()

    def _build_attribute(self) -> None:
        self._name = select("Attribute", "What is measured of every Gaussian of this frame", {"": "Choose one"}, "", self._want)
        self._words = note("").classes("ts-small")
        with ui.column().classes("w-full ts-stack").style("gap:0") as self._range_box:
            self._plot = ui.echart(_bars(None, 0, BINS)).style("height:90px;width:100%")
            self._range = ui.range(min=0, max=BINS, step=1, value={"min": 0, "max": BINS}, on_change=lambda: self._ranged())
            named(self._range.props('dense style="padding:0 6px"'), "Range of the attribute", "Drag both ends: what is between is selected")
            with ui.row().classes("ts-row w-full no-wrap"):
                self._bounds = ui.label("").classes("ts-small col")
                _modes(self._by_attribute)
        self._range_box.set_visibility(False)

    def _build_zone(self) -> None:
        with ui.row().classes("ts-row w-full no-wrap"):
            ui.label("Box or sphere").classes("col")
            self._shape = ui.toggle(
                {"": "None", "box": "Box", "sphere": "Sphere"}, value="", on_change=lambda event: self._shaped(event.value)
            )
            self._shape.props('dense no-caps unelevated aria-label="Box or sphere"').classes("ts-toggle")
            with self._shape:
                where = "Drawn on the stage in yellow, around the selection, or in the middle of the scene."
                ui.tooltip(f"{where} Squares there move it, arrows its sides")
        with ui.column().classes("w-full ts-stack").style("gap:6px") as self._zone_box:
            self._center = self._triple("Centre", ("x", "y", "z"), "Middle of the box or sphere, scene units")
            self._size = self._triple(
                "Size", ("width", "height", "depth"), "Whole lengths, scene units; of a sphere the first is its diameter"
            )
            with ui.row().classes("ts-row w-full no-wrap"):
                button(
                    "Fit",
                    "fit_screen",
                    "Around the centres of what is selected, without strays",
                    lambda: self.tab.do("zone.fit", shape=self._shape.value or "box"),
                )
                ui.space()
                _modes(lambda mode: self.tab.do("select.zone", mode=mode))
            with ui.row().classes("ts-row w-full no-wrap"):
                button(
                    "Keep inside",
                    "crop",
                    "Crop: deletes all that is outside, in the frames chosen above",
                    partial(self.tab.do, "zone.crop"),
                )
                button(
                    "Keep outside",
                    "crop_free",
                    "Deletes all that is inside, in the frames chosen above",
                    partial(self.tab.do, "zone.crop", keep="outside"),
                )
        self._zone_box.set_visibility(False)

    def _triple(self, title: str, names: tuple[str, ...], hint: str) -> list[ui.number]:
        found = []
        with ui.row().classes("ts-row w-full no-wrap"):
            for name in names:
                made = ui.number(f"{title}: {name}", step=0.05, format="%.4g", on_change=lambda: self._placed())
                made.props("dense outlined stack-label hide-bottom-space debounce=300").classes("ts-half")
                found.append(named(made, f"{title}: {name}", hint))
        return found

    # -- following ----------------------------------------------------------------------------------------------------

    def on_state(self, changed: frozenset[str]) -> None:
        if self.view.inspector != "edit":
            return
        if changed & {"inspector", "ready"} and len(self._name.options) == 1 and self.shared.ready:
            from trackersplat.document.attributes import ATTRIBUTES

            self._name.set_options({"": "Choose one"} | {facts.name: f"{facts.name}: {facts.title}" for facts in ATTRIBUTES}, value="")
        if changed & {"tracks", "inspector"}:
            for made in self._of_tracks:
                made.set_enabled(bool(self.view.tracks))
        if changed & {"frame", "scene", "playing", "run"} and not self.view.playing:
            self._want()
        if changed & {"zone", "inspector"}:
            self._show_zone(self.view.zone)

    def _want(self) -> None:
        self._asked += 1
        name = str(self._name.value or "")
        if name:
            background_tasks.create(self._ask(self._asked, name, self.view.frame), name="attribute of Gaussians")
        else:
            self._range_box.set_visibility(False)
            self._words.set_text("")

    async def _ask(self, number: int, name: str, frame: int) -> None:
        from trackersplat.document.attributes import ATTRIBUTES

        facts = ATTRIBUTES.facts(name)
        self._words.set_text("Rendering all cameras …" if facts.rendered else "")
        answer = await run.io_bound(self._measure, name, frame, facts.unit)
        if number != self._asked or answer is None:  # None: the page's program ends
            return
        found, words = answer
        self._words.set_text(words)
        self._histogram = found
        self._range_box.set_visibility(found is not None)
        self._ranged()

    def _measure(self, name: str, frame: int, unit: str) -> tuple[Histogram | None, str]:
        """Not for the event loop."""
        from trackersplat.document.attributes import values_of

        source = self.shared.source_of(frame)
        try:
            if source is None:
                raise InputError("Nothing is reconstructed yet.")
            found = histogram(values_of(name, self.tab.document.editing.document().seen, source), unit)
        except InputError as error:
            return None, str(error)
        return found, "" if found is not None else "It is not known of any Gaussian of this frame."

    def _between(self) -> tuple[int, int]:
        value = self._range.value
        return int(value["min"]), int(value["max"])

    def _ranged(self) -> None:
        found = self._histogram
        if found is None:
            return
        first, last = self._between()
        self._plot.options.update(_bars(found, first, last))
        self._plot.update()
        low = f"from {found.edges[first]:.3g}" if first else ""
        high = f"to {found.edges[last]:.3g}" if last < BINS else ""
        words = " ".join(part for part in (low, high, found.unit if low or high else "all") if part)
        self._bounds.set_text(f"{words}: {int(found.counts[first:last].sum()):,}")

    def _by_attribute(self, mode: str) -> None:
        found = self._histogram
        if found is None:
            return
        first, last = self._between()
        low, high = found.edges[first] if first else None, found.edges[last] if last < BINS else None
        self.tab.do("select.attribute", attribute=str(self._name.value), low=low, high=high, mode=mode)

    # -- box and sphere -----------------------------------------------------------------------------------------------

    def _show_zone(self, zone: Zone | None) -> None:
        self._zone_box.set_visibility(zone is not None)
        if self._shape.value != ("" if zone is None else zone.shape):
            self._shape.set_value("" if zone is None else zone.shape)
        if zone is None:
            return
        for field, value in zip((*self._center, *self._size), (*zone.center, *zone.size), strict=True):
            if field.value is None or abs(field.value - value) > 1e-9 * max(abs(value), 1.0):
                field.set_value(value)

    def _shaped(self, shape: str | None) -> None:
        zone = self.view.zone
        if (shape or "") == ("" if zone is None else zone.shape):
            return
        if not shape:
            self.tab.do("zone.set", zone=None)
        elif zone is not None:
            self.tab.do("zone.set", zone=Zone("sphere" if shape == "sphere" else "box", zone.center, zone.size))
        elif self.view.selected is not None:
            self.tab.do("zone.fit", shape=shape)
        else:
            self.tab.do("zone.begin", shape=shape)

    def _placed(self) -> None:
        """A number was typed."""
        zone = self.view.zone
        values = [field.value for field in (*self._center, *self._size)]
        if zone is None or any(value is None or abs(value) > 1e9 for value in values) or min(values[3:]) <= 0:
            return
        x, y, z, a, b, c = (float(value) for value in values)
        if zone.shape == "sphere":
            b = c = a
        new = Zone(zone.shape, (x, y, z), (a, b, c))
        if any(
            abs(old - now) > 1e-9 * max(abs(old), 1.0)
            for old, now in zip((*zone.center, *zone.size), (*new.center, *new.size), strict=True)
        ):
            self.tab.do("zone.set", zone=new)

    def close(self) -> None:
        self._asked += 1


def _modes(chosen: Any) -> list[ui.button]:
    made = []
    for mode, label, hint in WHAT:
        one = ui.button(label, on_click=partial(chosen, mode)).props("outline dense no-caps size=sm").style("min-width:28px")
        one._props["aria-label"] = hint
        with one:
            ui.tooltip(hint)
        made.append(one)
    return made


def _bars(found: Histogram | None, first: int, last: int) -> dict[str, Any]:
    """Options of the chart: as heights the square roots of the counts, so that small bins are seen."""
    counts = [] if found is None else found.counts.tolist()
    data = [
        {"value": float(np.sqrt(count)), "itemStyle": {"color": "#ffd24a" if first <= index < last else "#4a5462"}}
        for index, count in enumerate(counts)
    ]
    return {
        "animation": False,
        "grid": {"left": 6, "right": 6, "top": 4, "bottom": 2},
        "xAxis": {"type": "category", "show": False, "data": list(range(len(counts)))},
        "yAxis": {"type": "value", "show": False},
        "series": [{"type": "bar", "data": data, "barCategoryGap": "10%"}],
    }
