"""What a panel is built from, and what the page asks of it."""

from __future__ import annotations

from dataclasses import dataclass

import viser

from trackersplat.captures.capture import Capture
from viewer.arguments import Arguments
from viewer.frame_cache import FrameCache
from viewer.runs import Runs
from viewer.state import Store


@dataclass(frozen=True)
class PanelContext:
    """All that a panel may need."""

    gui: viser.GuiApi
    capture: Capture
    store: Store
    runs: Runs
    frame_cache: FrameCache
    arguments: Arguments
    worker_options: tuple[str, ...] = ()  # more of the worker's command line, for reconstructions


class Panel:
    """Widgets that follow the store. They are added to the container that is open when the panel is built."""

    def __init__(self, context: PanelContext) -> None:
        self._store = context.store
        self._capture = context.capture

    def close(self) -> None:
        """Ends what the panel has started."""
