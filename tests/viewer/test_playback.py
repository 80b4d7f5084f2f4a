"""The clock of playing."""

from __future__ import annotations

import time

from viewer.playback import Playback
from viewer.state import State, Store


def test_frames_advance_in_real_time_only_while_somebody_looks() -> None:
    store = Store(State(frame_count=1000))
    watched = [False]
    playback = Playback(store, 50.0, lambda: watched[0])
    store.set(playing=True)
    time.sleep(0.2)
    assert store.state.frame == 0
    watched[0] = True
    began = time.monotonic()
    while store.state.frame < 20 and time.monotonic() - began < 5:
        time.sleep(0.005)
    assert 0.35 < time.monotonic() - began < 2.0  # 20 frames at 50 per second
    store.set(playing=False)
    time.sleep(0.05)
    frame = store.state.frame
    time.sleep(0.1)
    assert store.state.frame == frame
    playback.close()


def test_playing_stops_at_the_end_without_loop() -> None:
    store = Store(State(frame_count=5, loop=False))
    playback = Playback(store, 100.0, lambda: True)
    store.set(playing=True)
    deadline = time.monotonic() + 5
    while store.state.playing and time.monotonic() < deadline:
        time.sleep(0.005)
    assert (store.state.frame, store.state.playing) == (4, False)
    playback.close()
