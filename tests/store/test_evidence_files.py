"""Evidence on the disk: states exactly, residuals nearly, or an error that names the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trackersplat.errors import InputError, ShapeError
from trackersplat.motion.evidence import Evidence, ViewState
from trackersplat.store.evidence_files import EVIDENCE_FILE, read_evidence, write_evidence


def some_evidence(views: int = 3, count: int = 200, seed: int = 0) -> Evidence:
    rng = torch.Generator().manual_seed(seed)
    state = torch.randint(0, 4, (views, count), generator=rng).byte()
    valid = state >= ViewState.REJECTED
    residual = 10 ** (torch.rand(views, count, generator=rng) * 4 - 2)
    return Evidence(
        cameras=tuple(f"cam{view}" for view in range(views)),
        residual_px=torch.where(valid, residual, torch.nan),
        variance_px2=torch.where(valid, 0.1, torch.inf),
        weight=torch.where(valid, torch.rand(views, count, generator=rng), 0.0),
        state=state,
    )


def assert_equal(one: Evidence, other: Evidence) -> None:
    assert one.cameras == other.cameras
    assert torch.equal(one.state, other.state)
    for name in ("residual_px", "variance_px2", "weight"):
        assert torch.equal(getattr(one, name).nan_to_num(-1), getattr(other, name).nan_to_num(-1)), name


@pytest.mark.parametrize(("views", "count"), [(3, 200), (1, 1), (2, 0), (0, 0)])
def test_states_are_kept_exactly_and_residuals_to_half_a_step(tmp_path: Path, views: int, count: int) -> None:
    evidence = some_evidence(views, count)
    path = tmp_path / EVIDENCE_FILE
    write_evidence(path, evidence)
    assert [entry.name for entry in tmp_path.iterdir()] == [EVIDENCE_FILE]
    found = read_evidence(path)
    assert found.cameras == evidence.cameras
    assert torch.equal(found.state, evidence.state)
    valid = evidence.state >= ViewState.REJECTED
    assert torch.equal(found.residual_px.isnan(), ~valid)
    expected = evidence.residual_px[valid].clamp_max(64.0)
    assert ((found.residual_px[valid] - expected).abs() <= 0.003 + 0.06 * expected).all()
    assert torch.equal(found.weight, (evidence.state == ViewState.INLIER).float())
    assert torch.equal(found.variance_px2.isinf(), ~valid)
    assert torch.equal(found.variance_px2.isnan(), valid)


def test_what_was_read_is_written_alike(tmp_path: Path) -> None:
    path = tmp_path / EVIDENCE_FILE
    write_evidence(path, some_evidence())
    once = read_evidence(path)
    write_evidence(path, once)
    assert_equal(read_evidence(path), once)


def test_no_residual_and_the_largest_are_exact(tmp_path: Path) -> None:
    state = torch.full((1, 3), int(ViewState.INLIER), dtype=torch.uint8)
    residual = torch.tensor([[0.0, 64.0, 1e9]])
    write_evidence(tmp_path / EVIDENCE_FILE, Evidence(("a",), residual, torch.ones(1, 3), torch.ones(1, 3), state))
    assert read_evidence(tmp_path / EVIDENCE_FILE).residual_px[0].tolist() == pytest.approx([0.0, 64.0, 64.0], abs=1e-5)


def test_a_camera_that_others_reject_still_stands_out(tmp_path: Path) -> None:
    evidence = some_evidence()
    evidence.state[1] = ViewState.REJECTED
    write_evidence(tmp_path / EVIDENCE_FILE, evidence)
    shares = read_evidence(tmp_path / EVIDENCE_FILE).rejected_share()
    assert shares["cam1"] == 1.0
    assert shares == evidence.rejected_share()


def test_a_state_that_is_none_is_a_defect_of_ours(tmp_path: Path) -> None:
    evidence = some_evidence()
    evidence.state[0, 0] = 4
    with pytest.raises(ShapeError, match="4"):
        write_evidence(tmp_path / EVIDENCE_FILE, evidence)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Evidence]:
    path = tmp_path_factory.mktemp("evidence") / EVIDENCE_FILE
    write_evidence(path, some_evidence())
    return path.read_bytes(), read_evidence(path)


@given(share=st.floats(0, 1, exclude_max=True))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, whole: tuple[bytes, Evidence], share: float) -> None:
    path = tmp_path / EVIDENCE_FILE
    path.write_bytes(whole[0][: int(share * len(whole[0]))])
    with pytest.raises(InputError, match=EVIDENCE_FILE):
        read_evidence(path)


@given(flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), min_size=1, max_size=3))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_flipped_bits_are_noticed_or_change_nothing(tmp_path: Path, whole: tuple[bytes, Evidence], flips: list[tuple[float, int]]) -> None:
    data = bytearray(whole[0])
    for place, bit in flips:
        data[int(place * len(data))] ^= 1 << bit
    path = tmp_path / EVIDENCE_FILE
    path.write_bytes(bytes(data))
    try:
        found = read_evidence(path)
    except InputError as error:
        said = str(error)
    else:
        assert_equal(found, whole[1])
        return
    assert str(path) in said


@pytest.mark.parametrize(
    "facts", [{"format": 0}, {"cameras": ["a"]}, {"cameras": None}, {"gaussians": 199}, {"gaussians": -1}, {"gaussians": 10**12}], ids=str
)
def test_facts_that_cannot_be_are_refused(tmp_path: Path, whole: tuple[bytes, Evidence], facts: dict[str, Any]) -> None:
    path = tmp_path / EVIDENCE_FILE
    path.write_bytes(whole[0])
    with np.load(path) as file:
        codes, known = file["codes"], json.loads(file["facts"].tobytes())
    np.savez_compressed(path, facts=np.frombuffer(json.dumps({**known, **facts}).encode(), np.uint8), codes=codes)
    with pytest.raises(InputError, match=EVIDENCE_FILE):
        read_evidence(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing"):
        read_evidence(tmp_path / EVIDENCE_FILE)
