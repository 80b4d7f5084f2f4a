"""The page goes on following what changes, whatever one change does."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from viewer.deferred import Deferred
from viewer.workbench import Workbench


def test_a_change_that_cannot_be_followed_is_logged_and_the_next_one_is_followed(caplog: pytest.LogCaptureFixture) -> None:
    followed: list[frozenset[str]] = []

    def follow(changed: frozenset[str]) -> None:
        followed.append(changed)
        page._closed = len(followed) > 2 or "broken" not in changed
        if "broken" in changed:
            page._note(frozenset({"frame"}))
            raise ValueError("a panel that was not looked after")

    async def run() -> None:
        page._event = asyncio.Event()
        page._note(frozenset({"broken"}))
        await asyncio.wait_for(page._pump(), 60)

    page = object.__new__(Workbench)
    page._client, page._deferred, page._closed, page._changed = nullcontext(), Deferred(), False, set()  # type: ignore[assignment]
    page._tab = SimpleNamespace(view=SimpleNamespace(dragging=False, playing=False))  # type: ignore[assignment]
    page._written, page._rested_since = "", time.monotonic()
    page._follow = follow  # type: ignore[method-assign]
    with caplog.at_level(logging.ERROR):
        asyncio.run(run())
    assert followed == [{"broken"}, {"frame"}]  # each once
    assert "not looked after" in caplog.text
