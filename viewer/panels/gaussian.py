"""The Gaussian that was picked on the stage: what it is, where it comes from, what moved it, who sees it, and its error."""

from __future__ import annotations

import asyncio
import logging

from nicegui import background_tasks, run, ui

from trackersplat.errors import InputError
from viewer.panels.panel import Panel
from viewer.stage.gaussian_facts import facts, views_of
from viewer.views.gaussian import Facts, Seen, step_words, total_error

REST = 0.25  # seconds without a change until all cameras are rendered
FIELDS = frozenset({"gaussian", "frame", "run", "reconstructed", "revision", "ready", "inspector"})

log = logging.getLogger(__name__)


class GaussianPanel(Panel):
    def build(self) -> None:
        self._asked = 0  # counts the questions; the answer to an older one is dropped
        self._shown: tuple[object, ...] | None = None
        with ui.element("div").classes("ts-panel"):
            self._hint = ui.label("Click the stage: the Gaussian that makes most of that pixel is picked.").classes("ts-muted")
            self._body = ui.column().classes("w-full").style("gap:8px")

    def on_state(self, changed: frozenset[str]) -> None:
        if not changed & FIELDS:
            return
        view, shared = self.view, self.shared
        if view.gaussian is None:
            self._asked += 1
            self._shown = None
            self._body.clear()
            self._hint.set_visibility(True)
            return
        key = (view.gaussian, view.frame, shared.run, shared.revision, shared.ready)
        if view.inspector == "gaussian" and key != self._shown and not view.playing:
            self._shown = key
            self._asked += 1
            background_tasks.create(self._ask(self._asked, view.gaussian, view.frame), name="about a Gaussian")

    async def _ask(self, number: int, index: int, frame: int) -> None:
        try:
            found = await run.io_bound(facts, self.tab, index, frame)
            if number != self._asked or found is None:
                return
            self._show(found, None)
            await asyncio.sleep(REST)
            if number != self._asked:
                return
            seen = await run.io_bound(views_of, self.tab, index, frame)
            if number == self._asked and seen is not None:
                self._show(found, seen)
        except InputError as error:
            if number == self._asked:
                self._say(str(error))
        except KeyError:
            return  # the tab is closed
        except Exception as error:
            log.exception("nothing can be said about a Gaussian")
            if number == self._asked:
                self._say(f"This failed ({type(error).__name__}: {error}); the terminal shows where.")

    def _say(self, text: str) -> None:
        self._hint.set_visibility(False)
        self._body.clear()
        with self._body:
            ui.label(text).classes("ts-problem w-full")

    def _show(self, found: Facts, seen: tuple[Seen, ...] | None) -> None:
        self._hint.set_visibility(False)
        self._body.clear()
        with self._body:
            about = found.attributes
            with ui.row().classes("w-full items-center no-wrap").style("gap:8px"):
                red, green, blue = about.colour
                swatch = ui.element("span").style(
                    f"width:18px;height:18px;border-radius:3px;border:1px solid var(--line);background:rgb({red},{green},{blue})"
                )
                with swatch:
                    ui.tooltip("Its colour, without the part that changes with the viewpoint")
                ui.label(f"Gaussian {about.index:,}").classes("ts-title")
                ui.label(f"of {about.count:,} in frame {found.frame + 1}").classes("ts-muted")
                ui.space()
                ui.button(icon="center_focus_strong", on_click=lambda: self.tab.do("stage.selection")).props(
                    'flat dense size=sm aria-label="Fly to it"'
                ).tooltip("Fly to it (F)")
            _table(
                ("Position", "  ".join(f"{value:.4g}" for value in about.position), "scene units"),
                ("Scales", " × ".join(f"{value:.3g}" for value in about.scales), "σ, scene units"),
                ("Opacity", f"{about.opacity:.3f}", ""),
                ("Colour", "  ".join(map(str, about.colour)), "RGB"),
            )
            ui.label(found.origin.words() if found.origin is not None else "The run does not say where it comes from.")
            ui.label(step_words(found.step))
            self._section("Tracks that moved it")
            ui.label(found.motion).classes("ts-muted")
            if found.opinions:
                _grid(
                    ("Camera", "says", "residual px", "weight"),
                    [
                        (view.camera, view.state, "–" if view.residual is None else f"{view.residual:.2f}", f"{view.weight:.2f}")
                        for view in found.opinions
                    ],
                )
            self._section("Views that see it")
            if seen is None:
                ui.label("Rendering all cameras …").classes("ts-muted")
                return
            if not seen:
                ui.label("No camera sees it in this frame.").classes("ts-muted")
                return
            error = total_error(seen)
            held_out = set(self.tab.document.capture.held_out)
            if error is not None:
                ui.label(
                    f"It is in an error of {error:.1f} grey levels of 255: the mean over the pixels that it makes, by its weight in them."
                )
            _grid(
                ("Camera", "weight in pixels", "error, grey levels"),
                [
                    (
                        one.camera + (" (held out)" if one.camera in held_out else ""),
                        f"{one.weight:.1f}",
                        "–" if one.error is None else f"{one.error:.1f}",
                    )
                    for one in seen
                ],
            )

    @staticmethod
    def _section(title: str) -> None:
        ui.label(title).classes("ts-title").style("margin-top:4px")

    def close(self) -> None:
        self._asked += 1


def _table(*rows: tuple[str, str, str]) -> None:
    with ui.element("div").style("display:grid;grid-template-columns:auto 1fr auto;gap:2px 12px;width:100%"):
        for name, value, unit in rows:
            ui.label(name).classes("ts-muted")
            ui.label(value).style("white-space:pre")
            ui.label(unit).classes("ts-muted ts-small")


def _grid(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """A small table: text to the left, the other columns to the right."""
    columns = " ".join(["minmax(0,1fr)", *(["auto"] * (len(heads) - 1))])
    with ui.element("div").classes("ts-small").style(f"display:grid;grid-template-columns:{columns};gap:1px 14px;width:100%"):
        for place, head in enumerate(heads):
            ui.label(head).classes("ts-muted").style("text-align:right" if place else "")
        for row in rows:
            for place, value in enumerate(row):
                ui.label(value).classes("ts-ellipsis").style("text-align:right" if place else "")
