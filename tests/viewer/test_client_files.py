"""viser's client, unpacked by the server."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
import viser
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from viewer.stage import client_files
from viewer.stage.client_files import LINGER_MS, SIGNS, unpack, without_unneeded

PAGE = b'<html><head><script data-p="%b" data-ss="%d" data-cs="%d">(async()=>{const gzWasm="%b";})();</script></head><body></body></html>'


def written(content: bytes) -> bytes:
    """As viser writes bytes: four as five signs, the last n as n + 1."""
    text = b""
    for start in range(0, len(content), 4):
        part = content[start : start + 4]
        number = int.from_bytes(part, "big")
        signs = []
        for _ in range(len(part) + 1):
            number, sign = divmod(number, len(SIGNS))
            signs.append(SIGNS[sign])
        text += bytes(reversed(signs))
    return text


def page(styles: bytes, code: bytes, decoder: bytes) -> bytes:
    both = zstandard.ZstdCompressor().compress(styles + code)
    return PAGE % (written(both), len(styles), len(code), written(gzip.compress(decoder)).replace(b"\\", rb"\\"))


@given(st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=60))
@settings(max_examples=60, deadline=None)
def test_what_was_packed_into_a_page_comes_out_as_it_was(styles: bytes, code: bytes, decoder: bytes) -> None:
    unpacked = unpack(page(styles, code, decoder))
    assert unpacked is not None
    rest, files = unpacked
    by_kind = {file.media_type: file for file in files.values()}
    assert by_kind["text/css"].content == styles
    assert by_kind["text/javascript"].content == code
    assert by_kind["application/wasm"].content == decoder
    assert all(gzip.decompress(file.gzipped) == file.content for file in files.values())
    assert b"data-p" not in rest
    assert {name.decode() for name in re.findall(rb'\.\./client/([^"]+)"', rest)} == set(files)


@given(st.binary(max_size=200), st.integers(0, 10**9 - 1), st.integers(0, 10**9 - 1), st.binary(max_size=80))
@settings(max_examples=200, deadline=None)
def test_a_page_that_is_packed_in_no_way_we_know_is_left_to_the_browser(packed: bytes, styles: int, code: int, decoder: bytes) -> None:
    assert unpack(PAGE % (packed, styles, code, decoder)) is None
    assert unpack(packed) is None


def test_a_page_that_says_another_length_or_is_cut_off_is_left_to_the_browser() -> None:
    whole = page(b"a{}", b"let b = 1;", b"wasm")
    assert unpack(whole) is not None
    assert unpack(whole.replace(b'data-ss="3"', b'data-ss="4"')) is None
    assert unpack(whole.replace(b'data-cs="10"', b'data-cs="9"')) is None
    assert unpack(whole[: len(whole) // 2]) is None


def test_more_than_any_client_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = page(b"", bytes(1000), b"wasm")
    assert unpack(whole) is not None
    monkeypatch.setattr(client_files, "LARGEST", 999)
    assert unpack(whole) is None


def test_the_client_that_is_installed_is_packed_as_we_know_it() -> None:
    unpacked = unpack((Path(viser.__file__).parent / "client" / "build" / "index.html").read_bytes())
    assert unpacked is not None
    files = {name.rpartition(".")[2]: file.content for name, file in unpacked[1].items()}
    assert files["wasm"].startswith(b"\x00asm")
    assert b"BackgroundImageMessage" in files["js"]
    files["css"].decode()
    code = files["js"].decode()
    assert f"var Bfe={LINGER_MS},Vfe=1e3;" in code
    assert "bfe=null" in code
    assert "bfe=`data:" not in code


def test_only_what_is_found_once_is_changed() -> None:
    linger, light = b"var Bfe=250,Vfe=1e3;", b"let bfe=`data:image/jpeg;base64,/9j/4Q+=`,xfe=1;"
    assert without_unneeded(b"a" + linger + light + b"z") == b"avar Bfe=%d,Vfe=1e3;let bfe=null,xfe=1;z" % LINGER_MS
    for code in (linger + linger, light + light, b"var Bfe=251,Vfe=1e3;", b"bfe=`data:image/png;base64,a`"):
        assert without_unneeded(code) == code
