"""viser's client as files that a browser compiles while they arrive, and keeps between visits.

viser comes as one page that holds its styles and its code compressed and written in 88 signs, and unpacks itself in each browser that opens
it, on the thread that draws, every time anew. Here that is done once, by the server.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from dataclasses import dataclass

import numpy as np
import zstandard

FOLDER = "client"  # beside the tabs, under /stage/; no id of a tab is that short
LARGEST = 64 << 20  # bytes, of styles and code
LEVEL = 6  # of gzip
LINGER_MS = 60  # that the stage is drawn on after its last change
SIGNS = rb"!#$%()*+,-./0123456789:;=?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_abcdefghijklmnopqrstuvwxyz{|}~"
_BASE = len(SIGNS)
_PACKED = re.compile(rb'<script data-p="([^"]*)"\s+data-ss="(\d{1,9})"\s+data-cs="(\d{1,9})">(.*?)</script>', re.DOTALL)
_WASM = re.compile(rb'const gzWasm="((?:[^"\\]|\\\\)*)";')
# What a stage that is one picture with lines and handles in plain colours does not need.
_UNNEEDED = (
    # viser goes on drawing for 250 ms after each change, 15 frames of one picture. What it waits for comes with a change of its own.
    (re.compile(rb"var Bfe=250,Vfe=1e3;"), b"var Bfe=%d,Vfe=1e3;" % LINGER_MS),
    # The map of light that is decoded and filtered at the start, until the server has said that there is none.
    (re.compile(rb"\bbfe=`data:image/jpeg;base64,[^`]*`"), b"bfe=null"),
)
_LOADER = """<link rel="stylesheet" href="../{folder}/{name}.css">
<link rel="modulepreload" href="../{folder}/{name}.js">
<script type="module">
globalThis.__viserZstdWasm = await WebAssembly.compileStreaming(fetch("../{folder}/{name}.wasm"));
await import("../{folder}/{name}.js");
</script>"""


@dataclass(frozen=True)
class ClientFile:
    content: bytes
    gzipped: bytes
    media_type: str


def unpack(page: bytes) -> tuple[bytes, dict[str, ClientFile]] | None:
    """The page with links in place of what was packed into it, and the files by their names; None if it is not packed as we know it."""
    found = _PACKED.search(page)
    wasm = _WASM.search(found[4]) if found is not None else None
    if found is None or wasm is None:
        return None
    styles, code = int(found[2]), int(found[3])
    try:
        if styles + code > LARGEST:
            return None
        both = zstandard.ZstdDecompressor().decompress(_bytes_of(found[1]), max_output_size=styles + code)
        decoder = gzip.decompress(_bytes_of(wasm[1].replace(rb"\\", b"\\")))
    except (ValueError, zstandard.ZstdError, OSError, EOFError, zlib.error):
        return None
    if len(both) != styles + code:
        return None
    style, script = both[:styles], without_unneeded(both[styles:])
    name = "viser-" + hashlib.sha256(style + script).hexdigest()[:32]
    kinds = (("css", style, "text/css"), ("js", script, "text/javascript"), ("wasm", decoder, "application/wasm"))
    files = {f"{name}.{ending}": ClientFile(content, gzip.compress(content, LEVEL, mtime=0), kind) for ending, content, kind in kinds}
    loader = _LOADER.format(folder=FOLDER, name=name).encode()
    return page[: found.start()] + loader + page[found.end() :], files


def without_unneeded(code: bytes) -> bytes:
    """The client's code, changed in the places of `_UNNEEDED` that are found exactly once."""
    for place, instead in _UNNEEDED:
        found = list(place.finditer(code))
        if len(found) == 1:
            code = code[: found[0].start()] + instead + code[found[0].end() :]
    return code


def _bytes_of(text: bytes) -> bytes:
    """What was written in `SIGNS`: five of them, most significant first, are four bytes; the last n are n - 1.

    Raises ValueError if a sign is none of them, or the last ones say more than their bytes can hold.
    """
    digits = np.full(256, _BASE, np.uint64)
    digits[np.frombuffer(SIGNS, np.uint8)] = np.arange(_BASE, dtype=np.uint64)
    values = digits[np.frombuffer(text, np.uint8)]
    if (values == _BASE).any():
        raise ValueError("a sign that is not used")
    whole = len(values) // 5 * 5
    powers = _BASE ** np.arange(4, -1, -1, dtype=np.uint64)
    words = values[:whole].reshape(-1, 5) @ powers
    if (words >> np.uint64(32)).any():
        raise ValueError("a word of more than 32 bits")
    rest = values[whole:]
    number = 0
    for value in rest.tolist():
        number = number * _BASE + int(value)
    try:
        return bytes(words.astype(">u4").tobytes()) + number.to_bytes(max(len(rest) - 1, 0), "big")
    except OverflowError as error:
        raise ValueError("more than the last bytes can hold") from error
