"""Reads ``.npy`` files that hold a pickled object without unpickling them: the opcodes are read, nothing is imported or called.

Dictionaries, lists, tuples, strings, numbers and arrays of numbers are read, as ``numpy.save`` writes them.
"""

from __future__ import annotations

import io
import pickletools
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError  # from a damaged header
from typing import Any

import numpy as np
from numpy.lib import format as npy

from trackersplat.errors import InputError
from trackersplat.files import read_file

MAX_BYTES = 64 * 2**20

_RECONSTRUCT = ("numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct")
_SCALAR = ("numpy.core.multiarray scalar", "numpy._core.multiarray scalar")
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_IGNORED = ("PROTO", "FRAME", "STOP")
_VALUES = (
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE", "BINSTRING", "SHORT_BINSTRING", "STRING"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "BINFLOAT", "FLOAT"),
)


@dataclass(frozen=True)
class _Name:
    """A function or class that the file refers to."""

    path: str


@dataclass
class _Array:
    value: Any = None


@dataclass
class _Type:
    code: str
    order: str = "="

    def numbers(self) -> np.dtype:
        if self.code[:1] not in "fiub" or not self.code[1:].isdigit():
            raise ValueError(f"an array of type {self.code[:20]!r}")
        return np.dtype((self.order if self.order in "<>=" else "=") + self.code)


_MARK = object()


def read_object(path: Path) -> Any:
    """The one object in the file. Raises InputError if it is no such file, or holds anything else than plain data."""
    try:
        file = io.BytesIO(read_file(path, MAX_BYTES))
        version = npy.read_magic(file)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = header(file)
        if shape != () or dtype.kind != "O":
            raise ValueError(f"an array of shape {shape} and type {dtype}")
        return _settled(_run(file.read()))
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, SyntaxError, TokenError) as error:
        raise InputError(f"{path} does not hold the plain data that was expected ({str(error)[:100]}): copy it again.") from error


def _run(data: bytes) -> Any:
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for opcode, given, _ in pickletools.genops(data):
        argument: Any = given
        name = opcode.name
        if name in _VALUES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in ("EMPTY_DICT", "EMPTY_LIST"):
            stack.append({} if name == "EMPTY_DICT" else [])
        elif name == "MARK":
            stack.append(_MARK)
        elif name in ("BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE"):
            memo[len(memo) if name == "MEMOIZE" else int(argument)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(memo[int(argument)])
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(name[-1])
            stack[-count:] = [tuple(stack[-count:])]
        elif name in ("TUPLE", "LIST", "APPENDS", "SETITEMS"):
            items = _since_mark(stack)
            if name in ("TUPLE", "LIST"):
                stack.append(tuple(items) if name == "TUPLE" else items)
            elif name == "APPENDS":
                stack[-1].extend(items)
            else:
                stack[-1].update(zip(items[::2], items[1::2], strict=True))
        elif name == "APPEND":
            item = stack.pop()
            stack[-1].append(item)
        elif name == "SETITEM":
            value, key = stack.pop(), stack.pop()
            stack[-1][key] = value
        elif name == "GLOBAL":
            stack.append(_Name(argument))
        elif name == "STACK_GLOBAL":
            what, module = stack.pop(), stack.pop()
            stack.append(_Name(f"{module} {what}"))
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(_made(function, arguments))
        elif name == "BUILD":
            state = stack.pop()
            _fill(stack[-1], state)
        elif name not in _IGNORED:
            raise ValueError(f"the operation {name}")
    if len(stack) != 1:
        raise ValueError("more than one object")
    return stack[0]


def _since_mark(stack: list[Any]) -> list[Any]:
    position = next((i for i in range(len(stack) - 1, -1, -1) if stack[i] is _MARK), None)
    if position is None:
        raise ValueError("a list without a start")
    items = stack[position + 1 :]
    del stack[position:]
    return items


def _made(function: Any, arguments: tuple[Any, ...]) -> Any:
    """The result of the few functions that NumPy's pickles call."""
    path = function.path
    if path in _RECONSTRUCT:
        return _Array()
    if path == "numpy dtype":
        return _Type(str(arguments[0]))
    if path in _SCALAR:
        return np.frombuffer(_bytes(arguments[1]), arguments[0].numbers())[0].item()
    if path == "_codecs encode" and arguments[1] == "latin1":
        return arguments[0].encode("latin1")
    raise ValueError(f"a call of {path[:60]}")


def _fill(target: Any, state: tuple[Any, ...]) -> None:
    if isinstance(target, _Type):
        target.order = state[1]
    elif isinstance(target, _Array):
        _, shape, kind, fortran, content = state
        if kind.code[:1] == "O":
            target.value = content[0] if shape == () else list(content)
        else:
            target.value = np.frombuffer(_bytes(content), kind.numbers()).reshape(shape, order="F" if fortran else "C")
    else:
        raise ValueError("the state of an unknown object")


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else value.encode("latin1")


def _settled(value: Any) -> Any:
    """The value with NumPy arrays in place of every `_Array`."""
    if isinstance(value, _Array):
        return _settled(value.value)
    if isinstance(value, dict):
        return {key: _settled(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_settled(item) for item in value]
    if isinstance(value, (_Name, _Type)):
        raise ValueError("a reference to code")
    return value
