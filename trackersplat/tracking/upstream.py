"""Code of others that a tracker runs: a clone or an installed package, found without importing it, and imported without traces.

Most trackers are published as a repository only. A clone lies below `clones_folder` under its name. Nothing is fetched from here.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import shlex
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import ModuleType
from typing import Any

from trackersplat.errors import InputError

CLONES_VARIABLE = "TRACKERSPLAT_CODE"  # of the environment: the folder of the clones
_COMMIT = re.compile(r"[0-9a-f]{40}")
_OFFLINE = "HF_HUB_OFFLINE"  # of the environment and in huggingface_hub
_LOCK = threading.RLock()
_LOADED: dict[Path, dict[str, ModuleType]] = {}  # of each clone: its modules, which nobody else sees


def clones_folder() -> Path:
    """The folder named by ``TRACKERSPLAT_CODE``, or ``~/.cache/trackersplat/code``."""
    named = os.environ.get(CLONES_VARIABLE, "")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "trackersplat" / "code"


@dataclass(frozen=True)
class Upstream:
    """A repository that a tracker needs, at the commit that our adapter was run with."""

    clone: str  # name of the folder of a clone
    url: str
    commit: str
    licence: str
    package: str = ""  # importable name if pip can install it; "" if only a clone works
    distribution: str = ""  # its name for pip
    path: str = ""  # where its modules start, below the clone
    needs: tuple[tuple[str, str], ...] = ()  # packages it imports: (module, name for pip)
    clone_works: bool = True  # otherwise only the installed package does
    install: str = ""  # what pip installs instead of the repository, for example a name on PyPI

    def root(self) -> Path | None:
        """Where the modules of its clone start; None if there is no clone."""
        folder = clones_folder() / self.clone
        return (folder / self.path).absolute() if self.clone_works and (folder / self.path).is_dir() else None

    def is_there(self) -> bool:
        return self.root() is not None or (bool(self.package) and importlib.util.find_spec(self.package) is not None)

    def missing(self) -> str | None:
        """What is missing, in words; None if all is there. Imports nothing."""
        lacking = [module for module, _ in self.needs if importlib.util.find_spec(module) is None]
        if not self.is_there():
            return f"its code is not here ({self.url})"
        return f"package{'s' if len(lacking) > 1 else ''} {', '.join(lacking)} not installed" if lacking else None

    def commands(self) -> tuple[str, ...]:
        """How to get what is missing; every line is a command for a shell."""
        found = []
        lacking = [name for module, name in self.needs if importlib.util.find_spec(module) is None]
        if not self.is_there():
            if self.clone_works:
                folder = shlex.quote(str(clones_folder() / self.clone))
                found += [f"git clone {self.url} {folder}", f"git -C {folder} checkout {self.commit}"]
            elif self.install:
                found.append(f"pip install {self.install}")
        if lacking:
            found.append(f"pip install {' '.join(lacking)}")
        return tuple(found)

    def version(self) -> str:
        """The commit of the clone, or the version of the installed package; "" if neither is known."""
        if self.root() is not None:
            return _commit(clones_folder() / self.clone)
        try:
            return distribution(self.distribution or self.package).version
        except PackageNotFoundError:
            return ""

    @contextmanager
    def imported(self) -> Iterator[None]:
        """Inside, its modules can be imported and call each other; outside, none of them is seen, and no search path is changed.

        Modules of a clone may have names as common as ``models`` and ``utils``: what others have under these names is put aside
        meanwhile. Random states are put back, because some of the modules seed them.
        """
        root = self.root()
        with _LOCK, undisturbed_random_states(), _offline():
            if root is None:
                yield
                return
            mine = _LOADED.setdefault(root, {})
            names = {entry.stem for entry in root.iterdir() if entry.suffix == ".py" or entry.is_dir()}
            aside = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in names}
            for name in aside:
                del sys.modules[name]
            sys.modules.update(mine)
            sys.path.insert(0, str(root))
            importlib.invalidate_caches()
            try:
                yield
            finally:
                sys.path.remove(str(root))
                for name in [name for name, module in sys.modules.items() if name.partition(".")[0] in names and _is_below(module, root)]:
                    mine[name] = sys.modules.pop(name)
                sys.modules.update(aside)

    def attribute(self, place: str) -> Any:
        """What ``place``, "package.module:attribute", names; to be called inside `imported`.

        Raises InputError if this version of the code has it not, or an import in it fails.
        """
        module, _, name = place.partition(":")
        where = self.root() or f"the package {self.package}"
        try:
            return getattr(importlib.import_module(module), name)
        except AttributeError as error:
            raise InputError(f"{where} has no {name} in {module}: the adapter was made for commit {self.commit} of {self.url}.") from error
        except (ImportError, OSError, RuntimeError) as error:  # the last two: libraries that do not fit
            raise InputError(
                f"{where} cannot be imported ({type(error).__name__}: {str(error).partition(chr(10))[0][:200]}): install what it needs, "
                f"or check that it is commit {self.commit} of {self.url}."
            ) from error


@contextmanager
def undisturbed_random_states() -> Iterator[None]:
    """Random states of Python, NumPy and PyTorch are afterwards as before."""
    import random

    import numpy as np
    import torch

    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - that of code that is not ours
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


@contextmanager
def _offline() -> Iterator[None]:
    """Hugging Face's libraries, which some code asks for weights, look only at what was downloaded before."""
    before = os.environ.get(_OFFLINE)
    os.environ[_OFFLINE] = "1"
    constants = sys.modules.get("huggingface_hub.constants")
    known = getattr(constants, _OFFLINE, None)
    if constants is not None:
        setattr(constants, _OFFLINE, True)
    try:
        yield
    finally:
        if constants is not None:
            setattr(constants, _OFFLINE, known)
        if before is None:
            del os.environ[_OFFLINE]
        else:
            os.environ[_OFFLINE] = before


def _is_below(module: ModuleType, root: Path) -> bool:
    places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
    return any(place is not None and Path(place).absolute().is_relative_to(root) for place in places)


def _commit(clone: Path) -> str:
    """What HEAD of a clone is, read without git; "" if that is not known."""
    head = _line(clone / ".git" / "HEAD")
    if head.startswith("ref: "):
        name = head.removeprefix("ref: ")
        packed = [line.split()[0] for line in _text(clone / ".git" / "packed-refs").splitlines() if line.endswith(f" {name}")]
        head = _line(clone / ".git" / name) or next(iter(packed), "")
    return head if _COMMIT.fullmatch(head) else ""


def _line(path: Path) -> str:
    return next(iter(_text(path).splitlines()), "").strip()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")[:1_000_000]
    except OSError:
        return ""
