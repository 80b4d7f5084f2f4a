"""The clock of playing, with a clock of the test's: no time passes but what the player sleeps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from viewer.playback import ARREARS, POLL, Player, Transport, advance, play


@pytest.mark.parametrize(
    ("transport", "frame"),
    [
        (Transport(3, first=0, last=9), 3),
        (Transport(9, loop=False, first=0, last=9), 0),  # Play at the last frame begins anew
        (Transport(9, loop=True, first=0, last=9), 0),
        (Transport(2, first=4, last=6), 4),
        (Transport(8, first=4, last=6), 4),
        (Transport(6, loop=False, first=4, last=6), 4),
    ],
)
def test_play_goes_on_within_the_range_and_begins_anew_at_its_end(transport: Transport, frame: int) -> None:
    assert play(transport) == replace(transport, frame=frame, playing=True)


def test_a_range_of_one_frame_does_not_play() -> None:
    assert play(Transport(7, first=4, last=4)) == Transport(4, playing=False, first=4, last=4)


@pytest.mark.parametrize(
    ("frame", "ticks", "loop", "expected"),
    [
        (4, 1, True, (5, True)),
        (6, 1, True, (4, True)),
        (6, 7, True, (4, True)),  # more than once round
        (5, 9, True, (5, True)),
        (4, 1, False, (5, True)),
        (5, 1, False, (6, False)),  # the last frame is shown, then playing is over
        (5, 9, False, (6, False)),
        (9, 1, True, (4, True)),  # from outside the range
        (0, 3, False, (4, True)),
        (5, 0, False, (5, True)),
    ],
)
def test_frames_advance_within_the_range(frame: int, ticks: int, loop: bool, expected: tuple[int, bool]) -> None:
    after = advance(Transport(frame, True, 1.0, loop, 4, 6), ticks)
    assert (after.frame, after.playing) == expected


def test_nothing_advances_that_does_not_play() -> None:
    assert advance(Transport(4, False, first=0, last=9), 3) == Transport(4, False, first=0, last=9)


@dataclass
class Page:
    """A page whose pictures come so many seconds after they were asked for, and the clock."""

    state: Transport
    delay: float | None = 0.0  # None: nobody waits for pictures
    watched: bool = True
    now: float = 0.0
    asked: list[tuple[float, int, bool]] = field(default_factory=list)
    on_screen: int = 0
    due: float = 0.0
    at: list[tuple[float, Callable[[], None]]] = field(default_factory=list)  # what happens when
    naps: int = 0

    def transport(self) -> Transport:
        return self.state

    def show(self, frame: int, playing: bool) -> None:
        assert self.acknowledged_frame() in (None, self.state.frame), "ran ahead of the page"
        self.asked.append((round(self.now, 6), frame, playing))
        self.state = replace(self.state, frame=frame, playing=playing)
        self.due = self.now + (self.delay or 0.0)

    def acknowledged_frame(self) -> int | None:
        if self.delay is None:
            return None
        if self.now >= self.due:
            self.on_screen = self.state.frame
        return self.on_screen

    def is_watched(self) -> bool:
        return self.watched

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds
        self.naps += 1
        while self.at and self.at[0][0] <= self.now + 1e-9:
            self.at.pop(0)[1]()
        await asyncio.sleep(0)


def run(page: Page, seconds: float, fps: float = 10.0) -> list[tuple[float, int, bool]]:
    """Plays until the page's clock is there."""

    async def play_on() -> None:
        player = Player(page, fps, lambda: page.now, page.sleep)
        task = asyncio.create_task(player.run())
        while page.now < seconds and page.state.playing and not task.done():
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(play_on())
    return page.asked


def test_frames_follow_in_real_time() -> None:
    page = Page(Transport(0, True, first=0, last=99))
    assert [(round(t, 3), frame) for t, frame, _ in run(page, 0.45)][:4] == [(0.1, 1), (0.2, 2), (0.3, 3), (0.4, 4)]


@pytest.mark.parametrize(("speed", "frames"), [(0.25, 1), (1.0, 4), (4.0, 16)])
def test_the_speed_multiplies_the_rate(speed: float, frames: int) -> None:
    page = Page(Transport(0, True, speed, first=0, last=99))
    assert [frame for t, frame, _ in run(page, 0.4001) if t <= 0.4001] == list(range(1, frames + 1))


def test_the_next_frame_waits_for_the_picture_of_the_last_and_skips_to_real_time() -> None:
    page = Page(Transport(0, True, first=0, last=99), delay=0.28)
    asked = run(page, 2.0)
    assert [frame for _, frame, _ in asked[:5]] == [1, 3, 6, 9, 12]  # 10 per second


def test_a_picture_that_never_comes_holds_the_frame() -> None:
    page = Page(Transport(0, True, first=0, last=99), delay=1e9)
    assert [frame for _, frame, _ in run(page, 30.0)] == [1]


def test_a_late_picture_does_not_make_the_frame_jump() -> None:
    page = Page(Transport(0, True, first=0, last=999), delay=60.0)
    assert [frame for _, frame, _ in run(page, 100.0)] == [1, 1 + int(ARREARS * 10)]


def test_without_pictures_to_wait_for_the_clock_alone_counts() -> None:
    page = Page(Transport(0, True, first=0, last=99), delay=None)
    assert [frame for t, frame, _ in run(page, 0.3001) if t <= 0.3001] == [1, 2, 3]


def test_nothing_moves_while_nobody_looks_and_nothing_is_made_up_for() -> None:
    page = Page(Transport(0, True, first=0, last=99), watched=False)
    page.at = [(5.0, lambda: setattr(page, "watched", True))]
    asked = run(page, 5.3)
    assert asked[0][0] >= 5.09
    assert [frame for _, frame, _ in asked][:2] == [1, 2]


def test_playing_stops_on_the_last_frame_without_loop() -> None:
    page = Page(Transport(7, True, loop=False, first=0, last=9))
    assert [(frame, playing) for _, frame, playing in run(page, 9.0)] == [(8, True), (9, False)]


def test_a_frame_that_the_user_moved_is_kept_its_full_time() -> None:
    page = Page(Transport(0, True, first=0, last=99))
    page.at = [(0.15, lambda: setattr(page, "state", replace(page.state, frame=50)))]  # noticed at 0.2 s
    assert [(round(t, 3), frame) for t, frame, _ in run(page, 0.5)][:3] == [(0.1, 1), (0.3, 51), (0.4, 52)]


def test_the_player_sleeps_until_it_is_woken_and_does_not_poll_meanwhile() -> None:
    page = Page(Transport(0, False, first=0, last=99))

    async def wake_later() -> None:
        player = Player(page, 10.0, lambda: page.now, page.sleep)
        task = asyncio.create_task(player.run())
        for _ in range(50):
            await asyncio.sleep(0)
        assert page.naps == 0
        page.state = play(page.state)
        player.wake()
        while not page.asked:
            await asyncio.sleep(0)
        task.cancel()

    asyncio.run(wake_later())
    assert page.asked[0][:2] == (0.1, 1)
    assert POLL < 0.1
