"""Carries out a tab's flights: moves viser's camera of its stage."""

from __future__ import annotations

import logging
import threading

import numpy as np
import viser

from viewer.stage.flights import Pose, between, destination
from viewer.state import Flight
from viewer.tab import Tab

STEPS, PACE = 9, 0.035  # of a flight, and seconds between them

log = logging.getLogger(__name__)


class Pilot:
    """One thread per stage; a new flight ends the one under way."""

    def __init__(self, client: viser.ClientHandle, tab: Tab, start: Flight) -> None:
        """``start``: where the stage is at first, unless the tab has flown somewhere already; without a way there."""
        self._client = client
        self._tab = tab
        self._wanted: Flight | None = None
        self._wake = threading.Event()
        self._closed = False
        tab.store.subscribe(self._on_change)  # before the state is read: nothing that is asked for meanwhile is lost
        self._go(self._end_of(tab.view.flight or start))
        threading.Thread(target=self._run, name=f"pilot-{client.client_id}", daemon=True).start()

    def close(self) -> None:
        self._closed = True
        self._tab.store.unsubscribe(self._on_change)
        self._wake.set()

    def _on_change(self, tab: str | None, changed: frozenset[str]) -> None:
        if tab == self._tab.id and "flight" in changed:
            self._wanted = self._tab.view.flight
            self._wake.set()

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait()
            self._wake.clear()
            flight = self._wanted
            if flight is None or self._closed:
                continue
            try:
                start, end = self._now(), self._end_of(flight)
                for step in range(1, STEPS + 1):
                    if self._closed or self._wake.is_set():
                        break
                    self._go(between(start, end, step / STEPS))
                    self._wake.wait(PACE)
            except (KeyError, RuntimeError) as error:  # the tab is closed
                log.debug("a flight ended: %s", error)
                return
            except ValueError as error:  # viser refuses a pose that looks nowhere
                log.warning("a flight was not possible: %s", error)

    def _end_of(self, flight: Flight) -> Pose:
        canvas = self._tab.view.canvas
        camera = self._client.camera
        width, height = (canvas[0], canvas[1]) if canvas is not None else (camera.image_width, camera.image_height)
        return destination(flight, self._now(), max(width, 1) / max(height, 1))

    def _now(self) -> Pose:
        camera = self._client.camera
        return Pose(np.array(camera.position), np.array(camera.look_at), np.array(camera.up_direction), float(camera.fov))

    def _go(self, pose: Pose) -> None:
        camera = self._client.camera
        with self._client.atomic():
            camera.fov = pose.fov
            camera.up_direction = pose.up
            camera.position = pose.position  # takes the point that is looked at along
            camera.look_at = pose.look_at
