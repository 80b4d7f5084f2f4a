from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackersplat.captures.formats.object_arrays import read_object
from trackersplat.errors import InputError


def save(path: Path, value: Any, protocol: int = 4) -> Path:
    """As ``numpy.save`` does, with any protocol of pickle (NumPy has used 3 and 4)."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"shape": (), "fortran_order": False, "descr": "|O"})
    array = np.empty((), dtype=object)
    array[()] = value
    path.write_bytes(buffer.getvalue() + pickle.dumps(array, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_tables_of_times_and_matrices_are_read_whatever_the_protocol(tmp_path: Path, protocol: int):
    times = {"color": [1690000000123, 1690000000223], "depth": [], "rate": 10.5, "ok": True, "none": None, "pair": (1, -2)}
    assert read_object(save(tmp_path / "a.npy", times, protocol)) == {**times, "pair": [1, -2]}
    matrices = {"0431": np.arange(12.0).reshape(3, 4), "0432": np.arange(6, dtype=np.int32).reshape(2, 3).T}
    read = read_object(save(tmp_path / "b.npy", matrices, protocol))
    assert list(read) == list(matrices)
    for key, matrix in matrices.items():
        np.testing.assert_array_equal(read[key], matrix)
        assert read[key].dtype == matrix.dtype


def test_what_numpy_writes_is_read(tmp_path: Path):
    value = {"color": list(range(1000)), "a": [np.eye(4)], "s": np.float64(2.5), "i": np.int64(7)}
    np.save(tmp_path / "a.npy", value, allow_pickle=True)
    read = read_object(tmp_path / "a.npy")
    assert read["color"] == value["color"]
    assert (read["s"], read["i"]) == (2.5, 7)
    np.testing.assert_array_equal(read["a"][0], np.eye(4))


class Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


def test_code_in_the_file_is_refused_and_not_run(tmp_path: Path):
    path = save(tmp_path / "a.npy", {"color": Hostile(tmp_path / "touched")})
    with pytest.raises(InputError, match=r"a\.npy does not hold the plain data that was expected \(a call of"):
        read_object(path)
    assert not (tmp_path / "touched").exists()
    with pytest.raises(InputError, match="a reference to code"):
        read_object(save(tmp_path / "b.npy", {"color": print}))


@pytest.mark.parametrize("value", [np.zeros(3), np.array([{"a": 1}], dtype=object)])
def test_other_arrays_are_refused(tmp_path: Path, value: np.ndarray):
    np.save(tmp_path / "a.npy", value, allow_pickle=True)
    with pytest.raises(InputError, match="an array of shape"):
        read_object(tmp_path / "a.npy")


@given(data=st.data())
def test_any_damage_gives_an_input_error_or_data(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject):
    path = save(tmp_path_factory.mktemp("damage") / "a.npy", {"color": [1, 2, 3], "m": np.eye(3)}, data.draw(st.sampled_from([2, 3, 4])))
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    message = str(path)
    try:
        read_object(path)
    except InputError as error:
        message = str(error)
    assert str(path) in message
