"""Damaged and hostile files of tracks: whatever a file holds, reading it works or gives one sentence."""

from __future__ import annotations

import tempfile
from pathlib import Path

import making_track_files as made
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from trackersplat.errors import InputError
from trackersplat.tracking.files.registry import TRACK_FORMATS, read_tracks_of

FORMS = TRACK_FORMATS.names()
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read_or_say(path: Path) -> None:
    said = ""
    try:
        file = read_tracks_of(path)
    except InputError as error:
        said = str(error)
    if said:
        assert path.name in said
        assert "\n" not in said
    elif file.tracks3d is not None:
        assert np.isfinite(file.tracks3d.query).all()
        assert not np.isinf(file.tracks3d.positions).any()


@quick
@given(form=st.sampled_from(FORMS), data=st.data())
def test_cut_and_changed_bytes_are_read_or_refused(form: str, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = made.write(Path(folder) / "a.npz", form)
        content = bytearray(path.read_bytes())
        for place, value in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=4)):
            content[place] = value
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
        read_or_say(path)


ARRAYS = npst.arrays(
    dtype=st.one_of(npst.floating_dtypes(), npst.integer_dtypes(), npst.boolean_dtypes(), npst.unicode_string_dtypes(max_len=3)),
    shape=npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
)


@quick
@given(form=st.sampled_from(FORMS), data=st.data())
def test_arrays_of_any_type_and_shape_are_read_or_refused(form: str, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(made.arrays(form))))
    with tempfile.TemporaryDirectory() as folder:
        read_or_say(made.write(Path(folder) / "a.npz", form, **{name: data.draw(ARRAYS)}))


@quick
@given(form=st.sampled_from(FORMS), data=st.data())
def test_numbers_that_are_nan_or_infinite_are_read_as_gaps_or_refused(form: str, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([key for key, value in made.arrays(form).items() if value.dtype.kind == "f"]))
    values = made.arrays(form)[name].copy()
    place = tuple(data.draw(st.integers(0, length - 1)) for length in values.shape)
    values[place] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf, 1e30, -1e30]))
    with tempfile.TemporaryDirectory() as folder:
        read_or_say(made.write(Path(folder) / "a.npz", form, **{name: values}))


@quick
@given(content=st.binary(max_size=200), suffix=st.sampled_from([".npz", ".pt"]))
def test_any_bytes_at_all_are_refused(content: bytes, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        path.write_bytes(content)
        with pytest.raises(InputError):
            read_tracks_of(path)


@quick
@given(data=st.data())
def test_damaged_tensors_are_read_or_refused(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = made.write_tensors(Path(folder) / "a.pt")
        content = bytearray(path.read_bytes())
        for place, value in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=4)):
            content[place] = value
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
        read_or_say(path)
