"""The state of a tab in its address."""

from __future__ import annotations

from types import SimpleNamespace
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viewer import urls
from viewer.state import CHANNELS, COMPARES, Pane, View

CAPTURE = SimpleNamespace(cameras=tuple(range(6)), frame_count=30)

panes = st.builds(Pane, camera=st.integers(0, 5), compare=st.sampled_from(COMPARES), channel=st.sampled_from(CHANNELS))
views = st.builds(
    View,
    frame=st.integers(0, 29),
    panes=st.lists(panes, min_size=1, max_size=4).map(tuple),
    tracks=st.lists(st.integers(0, 1 << 45), max_size=50).map(tuple),
    inspector=st.sampled_from(("tracks", "quality", "capture")),
)


@given(views)
def test_what_is_written_is_read(view: View) -> None:
    found = urls.read(dict(parse_qsl(urls.write(view))), CAPTURE)  # type: ignore[arg-type]
    read = View(**found)
    assert (read.frame, read.panes, read.tracks, read.inspector) == (view.frame, view.panes, view.tracks, view.inspector)


@given(st.dictionaries(st.sampled_from(("frame", "cameras", "mode", "tracks", "panel")), st.text(max_size=60)))
def test_any_address_gives_a_view_of_this_capture(query: dict[str, str]) -> None:
    view = View(**urls.read(query, CAPTURE))  # type: ignore[arg-type]
    assert 0 <= view.frame < 30
    assert 1 <= len(view.panes) <= 4
    assert all(0 <= pane.camera < 6 and pane.compare in COMPARES and pane.channel in CHANNELS for pane in view.panes)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"frame": "31"}, {"frame": 29}),
        ({"frame": "0"}, {"frame": 0}),
        ({"frame": "-1"}, {}),
        ({"cameras": "9,2"}, {"panes": (Pane(2),)}),
        ({"cameras": "2", "mode": "wipe.nonsense"}, {"panes": (Pane(2, "wipe"),)}),
        ({"panel": "<b>"}, {}),
    ],
)
def test_nonsense_is_left_out(query: dict[str, str], found: dict[str, object]) -> None:
    assert urls.read(query, CAPTURE) == found  # type: ignore[arg-type]
