"""The "Quality" tab: how good each reconstructed frame is on the held-out cameras."""

from __future__ import annotations

import viser

from trackersplat.captures.capture import Capture
from trackersplat.events import FrameDone
from viewer.panels.html import note, table
from viewer.panels.plots import Plot
from viewer.state import State, Store


class QualityPanel:
    """A table and a curve of what the run recorded; the row of the present frame is marked."""

    def __init__(self, gui: viser.GuiApi, capture: Capture, store: Store) -> None:
        self._store = store
        self._records: dict[int, FrameDone] = {}
        names = ", ".join(c for c in capture.held_out)
        self._what = gui.add_html(
            note(
                f"Mean over the held-out cameras ({names}), all pixels."
                if names
                else "This capture holds out no camera, so there is nothing to measure on."
            )
        )
        self._plot = Plot(gui, "frame", ("do nothing", "moved", "refined"), ("#8b949e", "#4c9be8", "#5fb37a"), height=170)
        self._table = gui.add_html("")
        store.subscribe(self._on_change)
        self.show({})

    def show(self, records: dict[int, FrameDone]) -> None:
        """Replaces what is known about the frames."""
        self._records = records
        frames = sorted(records)
        scores = [records[f].scores for f in frames]
        self._plot.show([f + 1 for f in frames], [(s.still_psnr, s.moved_psnr, s.psnr) for s in scores])
        self._draw(self._store.state)

    def _on_change(self, state: State, changed: frozenset[str]) -> None:
        if ("frame" in changed and not state.playing) or "playing" in changed:
            self._draw(state)

    def _draw(self, state: State) -> None:
        if not self._records:
            self._table.content = note("No frame has been measured yet: reconstruct one in the next tab.")
            return
        frames = sorted(self._records)
        rows = [_row(self._records[frame]) for frame in frames]
        marked = frames.index(state.frame) if state.frame in self._records else None
        self._table.content = table(("Frame", "Do nothing", "Moved", "Refined", "SSIM", "s"), rows, marked)


def _row(done: FrameDone) -> tuple[str, ...]:
    scores = done.scores
    return (
        str(done.frame + 1), _number(scores.still_psnr, 2), _number(scores.moved_psnr, 2),
        _number(scores.psnr, 2), _number(scores.ssim, 3), f"{done.seconds:.1f}",
    )  # fmt: skip


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
