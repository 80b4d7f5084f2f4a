from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from trackersplat.captures.arrays import ArrayFile, ArrayLayout, read_arrays
from trackersplat.errors import InputError

LAYOUT: ArrayLayout = {"frames": ("iu", ("K",)), "flow": ("f", ("K", 4, 2))}


def test_arrays_come_back_as_they_were_written(tmp_path: Path) -> None:
    flow = np.random.default_rng(0).random((3, 4, 2)).astype(np.float16)
    np.savez_compressed(tmp_path / "a.npz", frames=np.arange(3), flow=flow, other=np.zeros(9))
    arrays = read_arrays(tmp_path / "a.npz", LAYOUT)
    assert set(arrays) == {"frames", "flow"}
    assert np.array_equal(arrays["flow"], flow)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_of_any_order_size_and_type_come_back(tmp_path: Path, save: Callable[..., None]) -> None:
    numbers = np.random.default_rng(0).random((3, 4, 2))
    written = {
        "rows": numbers, "columns": np.asfortranarray(numbers), "big_endian": numbers.astype(">f4"), "none": np.zeros((0, 3), np.float16),
        "one": np.array(7), "bits": numbers > 0.5, "words": np.array(["cam01", "ü"]),
    }  # fmt: skip
    save(tmp_path / "a.npz", **written)
    with ArrayFile(tmp_path / "a.npz") as file:
        for name, array in written.items():
            read = file.read({name: (array.dtype.kind, array.shape)})[name]
            assert read.dtype == array.dtype, name
            assert np.array_equal(read, array), name
            assert read.flags.writeable, name


def test_all_arrays_come_from_the_file_that_was_opened(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", frames=np.arange(3), flow=np.zeros((3, 4, 2)))
    np.savez(tmp_path / "b.npz", frames=np.arange(5), flow=np.ones((5, 4, 2)))
    with ArrayFile(tmp_path / "a.npz") as file:
        frames = file.read({"frames": LAYOUT["frames"]})["frames"]
        (tmp_path / "b.npz").replace(tmp_path / "a.npz")
        flow = file.read({"flow": LAYOUT["flow"]})["flow"]
    assert len(frames) == len(flow) == 3
    assert not flow.any()


def test_a_stored_array_is_read_in_parts_also_when_its_file_was_closed_and_replaced(tmp_path: Path) -> None:
    flow = np.random.default_rng(0).random((3, 4, 2)).astype(np.float16)
    np.savez(tmp_path / "a.npz", frames=np.arange(3), flow=flow)
    np.savez(tmp_path / "b.npz", flow=np.zeros((1, 1, 1)))
    with ArrayFile(tmp_path / "a.npz") as file:
        stored = file.stored("flow")
        with pytest.raises(InputError, match=r"a\.npz cannot be read .*expected an \.npz with motion"):
            file.stored("motion")
    assert stored is not None
    (tmp_path / "b.npz").replace(tmp_path / "a.npz")
    assert (stored.shape, stored.dtype) == ((3, 4, 2), np.float16)
    assert all(np.array_equal(stored[row,], flow[row]) for row in range(3))
    assert np.array_equal(stored[2, 3], flow[2, 3])
    with pytest.raises(ValueError, match="invalid entry"):
        stored[3,]


def test_a_file_that_has_become_shorter_is_one_sentence(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", flow=np.zeros((3, 4, 2)))
    with ArrayFile(tmp_path / "a.npz") as file:
        stored = file.stored("flow")
    assert stored is not None
    with (tmp_path / "a.npz").open("r+b") as other:
        other.truncate(200)
    with pytest.raises(InputError, match=r"a\.npz has become shorter"):
        stored[2,]


def test_a_packed_array_has_to_be_read_whole(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", flow=np.zeros((3, 4, 2)))
    np.savez(tmp_path / "b.npz", flow=np.asfortranarray(np.zeros((3, 4, 2))))
    for name in ("a", "b"):
        with ArrayFile(tmp_path / f"{name}.npz") as file:
            assert file.stored("flow") is None


@pytest.mark.parametrize("at", [0.1, 0.5, 0.9])
def test_a_number_that_was_changed_in_the_file_is_noticed(tmp_path: Path, at: float) -> None:
    np.savez(tmp_path / "a.npz", frames=np.arange(3), flow=np.zeros((3, 1000, 2)))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[int(at * len(content))] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.npz cannot be read \(Bad CRC-32"):
        read_arrays(tmp_path / "a.npz", {"flow": ("f", ("K", 1000, 2))})


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"frames": np.arange(3)}, "flow"),
        ({"frames": np.arange(3), "flow": np.zeros((2, 4, 2))}, r"\(3, 4, 2\)"),
        ({"frames": np.arange(3), "flow": np.zeros((3, 5, 2))}, r"\(3, 4, 2\)"),
        ({"frames": np.arange(3), "flow": np.zeros((3, 4))}, "flow is float64"),
        ({"frames": np.arange(3.0), "flow": np.zeros((3, 4, 2))}, "frames is float64"),
        ({"frames": np.arange(3), "flow": np.full((3, 4, 2), None)}, "cannot be read"),
    ],
)
def test_arrays_that_are_missing_or_do_not_fit_are_one_sentence(tmp_path: Path, arrays: dict[str, np.ndarray], words: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=words):
        read_arrays(tmp_path / "a.npz", LAYOUT)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 and then nothing"])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        read_arrays(tmp_path / "a.npz", LAYOUT)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is missing"):
        read_arrays(tmp_path / "a.npz", LAYOUT)


@pytest.mark.parametrize("count", [10**6, 10**17])
def test_an_array_that_claims_more_than_it_holds_is_refused(tmp_path: Path, count: int) -> None:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({count},), }}".encode().ljust(117) + b"\n"
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("flow.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(InputError, match=r"a\.npz cannot be read \(\w"):
        read_arrays(tmp_path / "a.npz", {"flow": ("f", ("N",))})
