from __future__ import annotations

import numpy as np
import pytest

from trackersplat.errors import InputError
from trackersplat.metrics.tracks.compared import ComparedTracks
from trackersplat.metrics.tracks.registry import PROTOCOLS, create_protocol


@pytest.mark.parametrize("name", PROTOCOLS.names())
def test_every_protocol_scores_exact_tracks_perfectly_and_names_what_a_table_shows(name: str) -> None:
    facts = PROTOCOLS.facts(name)
    truth = np.random.default_rng(0).normal(size=(6, 5, facts.dimensions)) + 5
    seen = np.ones((6, 5), bool)
    scores = create_protocol(name).scores(ComparedTracks(np.zeros(5, int), truth, seen, truth, seen, focal_px=100.0))
    assert scores.values["OA"] == 100
    assert set(facts.main) <= set(scores.values)
    assert scores.label


def test_an_unknown_protocol_is_bad_input() -> None:
    with pytest.raises(InputError, match="tapvid-first"):
        create_protocol("tapvid-mv")
