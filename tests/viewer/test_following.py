"""The page goes on following what changes, whatever one change does."""

from __future__ import annotations

import asyncio
import logging
from contextlib import nullcontext

import pytest

from viewer.deferred import Deferred
from viewer.workbench import Workbench


def test_a_change_that_cannot_be_followed_is_logged_and_the_next_one_is_followed(caplog: pytest.LogCaptureFixture) -> None:
    followed: list[frozenset[str]] = []

    def catch_up() -> bool:
        changed = frozenset(page._changed)
        page._changed.clear()
        if "broken" in changed:
            page._note(frozenset({"frame"}))
            raise ValueError("a panel that was not looked after")
        followed.append(changed)
        page._closed = True
        return True

    async def run() -> None:
        page._event = asyncio.Event()
        page._note(frozenset({"broken"}))
        await asyncio.wait_for(page._pump(), 60)

    page = object.__new__(Workbench)
    page._client, page._deferred, page._closed, page._changed = nullcontext(), Deferred(), False, set()  # type: ignore[assignment]
    page._catch_up = catch_up  # type: ignore[method-assign]
    with caplog.at_level(logging.ERROR):
        asyncio.run(run())
    assert followed == [{"frame"}]
    assert "not looked after" in caplog.text
