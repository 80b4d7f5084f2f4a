"""Damaged captures, files and runs are opened with sane contents or refused, within limits. The longer run: ``python tests/fuzz.py``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import trying_mutants
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mutant_readers import NonsenseError, Reader, readers
from trying_mutants import FAILURES, Outcome, try_mutant

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limits of a process are set as on Linux")

MUTANTS = 12  # of each reader: 17 of them take half a minute on 2 cores
READERS = readers()


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_mutant_is_opened_sane_or_refused(reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "whole").mkdir()
    whole = reader.make(tmp_path / "whole")
    monkeypatch.setattr(trying_mutants, "SECONDS", 60)  # of a machine that runs other tests beside
    outcomes: list[Outcome] = []

    # Without shrinking: a seed is no smaller for being a smaller number.
    @settings(
        max_examples=MUTANTS,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(seed=st.integers(0, 2**32))
    def try_one(seed: int) -> None:
        outcome = try_mutant(reader, whole, seed)
        outcomes.append(outcome)
        assert outcome.kind not in FAILURES, f"{outcome.what}\n{outcome.said}\npython tests/fuzz.py --only '{reader.name}' --seed {seed}"

    try_one()
    print(f"{reader.name}: {len(outcomes)} mutants, {sum(outcome.kind == 'opened' for outcome in outcomes)} opened")
    assert len(outcomes) == MUTANTS


def test_each_kind_of_failure_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Of a reader that does nothing but fail, one way per seed."""

    def make(folder: Path) -> Path:
        (folder / "a.txt").write_text("a")
        return folder

    def hang(folder: Path) -> None:
        while True:
            pass

    def nonsense(folder: Path) -> None:
        raise NonsenseError("accepted")

    def traceback(folder: Path) -> None:
        raise ValueError("no answer")

    def memory(folder: Path) -> None:
        bytearray(3 << 30)

    monkeypatch.setattr(trying_mutants, "SECONDS", 1)
    ways = {"traceback": traceback, "memory": memory, "nonsense": nonsense, "hang": hang, "opened": lambda folder: None}
    for kind, way in ways.items():
        (tmp_path / kind / "whole").mkdir(parents=True)
        reader = Reader(kind, make, way)
        assert try_mutant(reader, reader.make(tmp_path / kind / "whole"), 0).kind == kind
