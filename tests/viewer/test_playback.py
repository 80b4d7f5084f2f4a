"""The clock of playing."""

from __future__ import annotations

from waiting import wait_for

from viewer.playback import Playback
from viewer.state import State, Store


class Watcher:
    """Says whether somebody looks, and counts how often that was asked: once per turn of the clock."""

    def __init__(self) -> None:
        self.looks = False
        self.asked = 0

    def __call__(self) -> bool:
        self.asked += 1
        return self.looks

    def wait_turns(self, turns: int) -> None:
        until = self.asked + turns
        wait_for(lambda: self.asked >= until, "the turns of the clock")


def test_frames_advance_in_real_time_only_while_somebody_looks() -> None:
    store, watcher, now = Store(State(frame_count=1000)), Watcher(), [0.0]
    playback = Playback(store, 50.0, watcher, lambda: now[0])
    store.set(playing=True)
    watcher.wait_turns(3)
    now[0] += 10.0
    watcher.wait_turns(3)
    assert store.state.frame == 0
    watcher.looks = True
    now[0] += 0.41  # 20 frames at 50 per second
    wait_for(lambda: store.state.frame, "the first step")
    watcher.wait_turns(3)
    assert store.state.frame == 20
    playback.close()


def test_a_pause_and_a_machine_that_slept_do_not_make_the_frame_jump() -> None:
    store, watcher, now = Store(State(frame_count=1000)), Watcher(), [0.0]
    watcher.looks = True
    playback = Playback(store, 50.0, watcher, lambda: now[0])
    store.set(playing=True)
    watcher.wait_turns(3)
    now[0] += 3600.0
    watcher.wait_turns(3)
    assert store.state.frame == 25  # half a second
    playback.close()


def test_playing_stops_at_the_end_without_loop() -> None:
    store, now = Store(State(frame_count=5, loop=False)), [0.0]

    def clock() -> float:
        now[0] += 0.01
        return now[0]

    playback = Playback(store, 100.0, lambda: True, clock)
    store.set(playing=True)
    wait_for(lambda: not store.state.playing, "the end")
    assert store.state.frame == 4
    playback.close()
