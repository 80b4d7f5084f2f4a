"""PLY files as other programs write them, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

WORDS = {"i1": "char", "u1": "uchar", "i2": "short", "u2": "ushort", "i4": "int", "u4": "uint", "f4": "float", "f8": "double"}


def write_other_ply(
    path: Path, tables: dict[str, np.ndarray], form: str = "binary_little_endian", faces: list[list[int]] | None = None
) -> None:
    """Elements in order, then or, where there are ``faces``, after a list element. ``form`` as in the header: "ascii" and so on."""
    lines = ["ply", f"format {form} 1.0", "comment of another program"]
    body = b""
    if faces is not None:
        lines += [f"element face {len(faces)}", "property list uchar int vertex_indices", "property float weight"]
        order = ">" if form == "binary_big_endian" else "<"
        for face in faces:
            if form == "ascii":
                body += (" ".join(map(str, [len(face), *face])) + " 0.5\n").encode()
            else:
                body += bytes([len(face)]) + np.array(face, order + "i4").tobytes() + np.array(0.5, order + "f4").tobytes()
    for name, table in tables.items():
        names = table.dtype.names or ()
        lines += [f"element {name} {len(table)}", *(f"property {WORDS[table.dtype[column].str[1:]]} {column}" for column in names)]
        if form == "ascii":
            body += "".join(" ".join(repr(value.item()) for value in row) + "\n" for row in table).encode()
        else:
            order = ">" if form == "binary_big_endian" else "<"
            body += table.astype([(column, order + table.dtype[column].str[1:]) for column in names]).tobytes()
    path.write_bytes("".join(f"{line}\n" for line in [*lines, "end_header"]).encode() + body)
