"""One tab: the arrangement of stage, panes, inspector and timeline, and the pump that brings changes of the store to the panels."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import fields

from nicegui import background_tasks, context, ui
from nicegui.events import KeyEventArguments

from viewer import theme, urls
from viewer.commands.registry import by_hotkey
from viewer.deferred import Deferred
from viewer.panels.panel import Panel
from viewer.panels.registry import PANELS, PanelFacts
from viewer.stage.stage import Stage
from viewer.state import Shared, View
from viewer.tab import Tab

URL_AFTER = 0.5  # seconds of rest until the address follows
INSPECTOR_WIDTH, TIMELINE_HEIGHT = 424, 200  # pixels, at first
REFUSAL_MS = 7000  # that the reason stays on the page why something was not done

# A click leaves the keys to the page: a button that keeps the focus would take the next Space for itself. Tab still reaches every button.
_KEYS_STAY = """<script>addEventListener('mousedown', (event) => {
  if (event.target.closest('button, [role=tab]')) { event.preventDefault(); document.activeElement?.blur(); } }, true);
addEventListener('click', (event) => { // a switch takes the focus when it was clicked; event.detail is 0 if a key did it
  if (event.detail && event.target.closest?.('[role=switch], [role=checkbox]'))
    setTimeout(() => document.activeElement?.blur(), 0); }, true);
// A tooltip goes when its element is used: what it lies over has just been opened, or is gone before the pointer leaves.
const noTooltip = () => { for (const element of document.querySelectorAll(':hover')) element.dispatchEvent(new MouseEvent('mouseleave')); };
addEventListener('click', (event) => { if (event.target.closest?.('button, [role=tab], [role=button], .q-field')) noTooltip(); }, true);
addEventListener('keydown', (event) => { // undo is the page's, not that of a field which was typed into before
  if ((event.ctrlKey || event.metaKey) && 'zkiZKI'.includes(event.key) && !event.target.closest?.('input, textarea, select'))
    event.preventDefault();
  noTooltip(); }, true);</script>"""

_EVERYTHING = frozenset(f.name for f in (*fields(View), *fields(Shared)))

log = logging.getLogger(__name__)


class Workbench:
    """What one tab shows. Everything here runs on the event loop."""

    def __init__(self, tab: Tab, stage: Stage) -> None:
        self._tab = tab
        self._stage = stage
        self._panels: list[Panel] = []
        self._inspector: list[Panel] = []  # those that follow the time only once it rests
        self._deferred = Deferred()
        self._changed: set[str] = set()
        self._event = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._refusals = tab.view.refusal[0]  # that were told
        self._client = context.client
        self._written, self._rested_since = "", time.monotonic()  # the address, and when something changed last

    # -- building -----------------------------------------------------------------------------------------------------

    def build(self) -> None:
        ui.add_css(theme.css())
        ui.query("body").props('lang="en"')
        ui.add_body_html(_KEYS_STAY)
        with ui.element("div").style("display:flex;flex-direction:column;width:100vw;height:100vh"):
            with ui.element("header").classes("ts-bar").props('role="banner"'):
                self._place("top")
            with (
                ui.splitter(horizontal=True, reverse=True, value=TIMELINE_HEIGHT, limits=(90, 420))
                .props("unit=px")
                .classes("w-full")
                .style("flex:1;min-height:0") as outer
            ):
                self._remembers(outer, "timeline", f"Math.max({TIMELINE_HEIGHT}, 0.185 * innerHeight)")
                with (
                    outer.before,
                    ui.splitter(reverse=True, value=INSPECTOR_WIDTH, limits=(260, 720)).props("unit=px").classes("fit") as right,
                ):
                    self._remembers(right, "inspector", f"Math.max({INSPECTOR_WIDTH}, Math.min(0.22 * innerWidth, 640))")
                    with right.before, ui.element("div").style("display:flex;width:100%;height:100%"):
                        self._place("tools")
                        with ui.splitter(value=50, limits=(0, 100)).style("flex:1;min-width:0;height:100%") as middle:
                            self._remembers(middle, "stage")
                            with middle.before:
                                self._place("stage")
                            with middle.after:
                                self._place("panes")
                    with right.after:
                        self._build_inspector()
                with (
                    outer.after,
                    ui.element("section").props('aria-label="Timeline"').style("height:100%;width:100%;background:var(--surface)"),
                ):
                    self._place("below")
        ui.keyboard(self._key, ignore=["input", "select", "textarea"])
        self._keys = by_hotkey()
        self._tab.store.subscribe(self._on_store)
        self._changed.update(_EVERYTHING)
        self._event.set()
        background_tasks.create(self._pump(), name=f"pump {self._tab.id}")

    def _remembers(self, splitter: ui.splitter, name: str, at_first: str = "NaN") -> None:
        """Its place is kept by the browser once it was moved. ``at_first``: until then, a number in JavaScript; nan: as it was built."""
        key = f"trackersplat.{name}"
        splitter.on("update:model-value", js_handler=f"(value) => localStorage.setItem('{key}', value)")
        ui.timer(
            0.01,
            lambda: ui.run_javascript(
                f"const kept = parseFloat(localStorage.getItem('{key}')); const e = getElement({splitter.id});"
                f"const v = Number.isFinite(kept) ? kept : Math.round({at_first});"
                f"if (Number.isFinite(v)) e.$emit('update:model-value', v); if (!Number.isFinite(kept)) localStorage.removeItem('{key}')"
            ),
            once=True,
        )

    def _build_inspector(self) -> None:
        entries = [facts for facts in PANELS if facts.place == "inspector"]
        names = [facts.name for facts in entries]
        opened = self._tab.view.inspector
        first = opened if opened in names else names[0]
        with ui.element("section").props('aria-label="Inspector"').style("display:flex;height:100%;width:100%;background:var(--surface)"):
            with ui.element("div").style("flex:1;min-width:0;height:100%"):
                self._pages = ui.tab_panels(value=first, animated=False, keep_alive=True).classes("fit").style("background:transparent")
                with self._pages:
                    self._slots = {facts.name: ui.tab_panel(facts.name).style("height:100%") for facts in entries}
            with ui.element("nav").props('aria-label="Panels"').classes("ts-rail"):
                self._tabs = (
                    ui.tabs(on_change=lambda event: self._tab.set(inspector=str(event.value)))
                    .props("vertical dense no-caps inline-label=false indicator-color=primary active-color=primary")
                    .classes("w-full")
                )
                self._tabs.set_value(first)
                with self._tabs:
                    for facts in entries:
                        with ui.tab(facts.name, label=facts.title, icon=facts.icon):
                            ui.tooltip(facts.hint).props('anchor="center left" self="center right"')

    def _open_panel(self, name: str) -> None:
        """Builds a panel of the inspector when it is opened for the first time: a page with all of them takes twice as long to come up."""
        slot = self._slots.pop(name, None)
        if slot is not None:
            with slot:
                panel = self._build_panel(PANELS.facts(name))
            if panel is not None:
                self._tell(panel, _EVERYTHING)

    def _place(self, place: str) -> None:
        for facts in PANELS:
            if facts.place == place:
                self._build_panel(facts)

    def _build_panel(self, facts: PanelFacts) -> Panel | None:
        panel: Panel = PANELS.load(facts.name)(self._tab)
        try:
            panel.build()
        except Exception:
            log.exception("the panel %s could not be built", facts.name)
            ui.label(f"The panel {facts.title} could not be built; the terminal shows why.").classes("ts-problem")
            return None
        (self._inspector if facts.place == "inspector" else self._panels).append(panel)
        return panel

    # -- following the store ------------------------------------------------------------------------------------------

    def _on_store(self, tab: str | None, changed: frozenset[str]) -> None:
        """On any thread."""
        if tab in (None, self._tab.id) and not self._closed:
            self._loop.call_soon_threadsafe(self._note, changed)

    def _note(self, changed: frozenset[str]) -> None:
        self._changed |= changed
        self._event.set()

    async def _pump(self) -> None:
        with self._client:
            while not self._closed:
                with contextlib.suppress(asyncio.TimeoutError):  # not TimeoutError before Python 3.11
                    await asyncio.wait_for(self._event.wait(), min(URL_AFTER, max(0.0, self._deferred.wait(time.monotonic()))))
                if self._closed:
                    return
                self._event.clear()
                try:
                    followed = self._catch_up()
                except Exception:  # a page that stops following is lost, whatever the change was
                    log.exception("the page could not follow a change")
                    followed = True
                if followed:
                    await asyncio.sleep(0)

    def _catch_up(self) -> bool:
        """Tells the panels what has changed since the last time, or else writes the address. Returns whether anything was told."""
        changed = frozenset(self._changed)
        self._changed.clear()
        later = self._deferred.now_or_later(changed, time.monotonic(), self._tab.view.dragging)
        if changed:
            self._rested_since = time.monotonic()
            self._follow(changed)
        if later:
            self._follow_rest(later)
        if not changed and not later and time.monotonic() - self._rested_since >= URL_AFTER:
            address = urls.write(self._tab.view)
            if address != self._written and not self._tab.view.playing and not self._tab.view.dragging:
                self._written = address
                ui.run_javascript(f"history.replaceState(null, '', '?{address}')")
        return bool(changed or later)

    def _follow(self, changed: frozenset[str]) -> None:
        number, sentence = self._tab.view.refusal
        if number != self._refusals:
            self._refusals = number
            ui.notify(sentence, position="top", timeout=REFUSAL_MS, close_button="Close", icon="info", classes="ts-notice")
        if "inspector" in changed and self._tabs.value != self._tab.view.inspector:
            self._tabs.set_value(self._tab.view.inspector)
        if "inspector" in changed and self._pages.value != self._tab.view.inspector:
            self._pages.set_value(self._tab.view.inspector)
        for panel in tuple(self._panels):
            self._tell(panel, changed)
        if "inspector" in changed:
            self._open_panel(self._tab.view.inspector)

    def _follow_rest(self, changed: frozenset[str]) -> None:
        for panel in tuple(self._inspector):
            self._tell(panel, changed)
        for panel in tuple(self._panels):
            self._tell(panel, changed, at_rest=True)

    def _tell(self, panel: Panel, changed: frozenset[str], at_rest: bool = False) -> None:
        try:
            (panel.on_rest if at_rest else panel.on_state)(changed)
        except Exception:
            log.exception("the panel %s could not follow a change", type(panel).__name__)

    # -- keys ---------------------------------------------------------------------------------------------------------

    def _key(self, event: KeyEventArguments) -> None:
        if not event.action.keydown:
            return
        name = key_name(event)
        command = self._keys.get(name)
        if command is not None and (command.repeats or not event.action.repeat):
            self._tab.do(command.name)

    def close(self) -> None:
        self._closed = True
        self._event.set()
        self._tab.store.unsubscribe(self._on_store)
        for panel in (*self._panels, *self._inspector):
            panel.close()


def key_name(event: KeyEventArguments) -> str:
    """As in `Command.hotkey`: modifiers in the order ctrl, alt, shift, then the key in lower case.

    What a key prints counts, and which keys it takes is the keyboard's affair: "?" is Shift and / on an American keyboard, Shift and ß on
    a German one, and French keyboards need Shift for digits. Letters of other scripts stand for the Latin ones of their keys.
    """
    key = str(event.key.name).lower()
    code = event.key.code
    if code.startswith("Key") and not key.isascii():
        key = code[3:].lower()
    elif code.startswith("Digit") and (event.modifiers.alt or not key.isascii()):
        key = code[5:]
    printed = len(key) == 1 and key != " " and not key.isalpha()
    key = {" ": "space"}.get(key, key)
    parts = [
        name
        for name, on in (
            ("ctrl", event.modifiers.ctrl or event.modifiers.meta),
            ("alt", event.modifiers.alt),
            ("shift", event.modifiers.shift and not printed),
        )
        if on
    ]
    return "+".join((*parts, key))
