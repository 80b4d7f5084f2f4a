"""Weights of learned trackers: where they are looked for, how they are read, and what identifies them. Nothing is downloaded."""

from __future__ import annotations

import hashlib
import os
import pickle
import shlex
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trackersplat.errors import InputError
from trackersplat.files import JSON_LIMIT, NPZ_DAMAGE, READ_STEP, has_file, read_json, write_json

if TYPE_CHECKING:  # listed without PyTorch
    from torch import Tensor
    from torch.nn import Module

WEIGHTS_VARIABLE = "TRACKERSPLAT_WEIGHTS"  # of the environment: a folder that is looked into first


@dataclass(frozen=True)
class Weights:
    """A file of weights that the user fetches."""

    file: str
    url: str  # of the file, or of the page that has it
    licence: str
    size: int = 0  # bytes, about; 0 if not known
    direct: bool = True  # whether the address is that of the file itself
    hub: str = ""  # the repository of Hugging Face in whose cache alone the code that uses it looks, for example "owner/name"

    def path(self, named: str = "") -> Path | None:
        """The file ``named`` in the settings, or the first of its name in the `folders`; None if there is none."""
        if self.hub:
            snapshots = hub_cache() / f"models--{self.hub.replace('/', '--')}" / "snapshots"
            places = sorted(snapshots.glob(f"*/{self.file}"))
        else:
            places = [Path(named).expanduser()] if named else [folder / self.file for folder in folders()]
        return next((place for place in places if place.is_file()), None)

    def missing(self, named: str = "") -> str | None:
        """What is missing, in words; None if it is there."""
        if self.path(named) is not None:
            return None
        if self.hub:
            return f"the weights {self.hub} are not in {hub_cache()}"
        return f"the weights {named} are not there" if named else f"the weights {self.file} are not in {folders()[0]}"

    def commands(self) -> tuple[str, ...]:
        """How to get it; a command for a shell where the file has an address of its own."""
        path = folders()[0] / self.file
        folder = shlex.quote(str(path.parent))
        if self.hub:
            return (f"python -c \"from huggingface_hub import snapshot_download; snapshot_download('{self.hub}')\"",)
        if self.direct:
            return (f"mkdir -p {folder} && curl -L -o {shlex.quote(str(path))} {self.url}",)
        return (f"mkdir -p {folder}  # and put {self.file} there, from {self.url}",)


def folders() -> tuple[Path, ...]:
    """Where weights are looked for, in this order: ``TRACKERSPLAT_WEIGHTS``, our folder of weights, what torch.hub has fetched."""
    named = os.environ.get(WEIGHTS_VARIABLE, "")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    hub = Path(os.environ.get("TORCH_HOME") or cache / "torch") / "hub" / "checkpoints"
    ours = cache / "trackersplat" / "weights"
    return (*([Path(named).expanduser()] if named else []), ours, hub)


def hub_cache() -> Path:
    """Where Hugging Face's libraries keep what they have fetched."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = Path(os.environ.get("HF_HOME") or cache / "huggingface").expanduser()
    return Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()


def sha256(path: Path) -> str:
    """Of the file. Remembered by path, size and time of change, because weights are large."""
    status = path.stat()
    key = f"{path.absolute()} {status.st_size} {status.st_mtime_ns}"
    memory = _hashes_file()
    known: dict[str, Any] = {}
    with suppress(InputError, OSError):  # a damaged memory is made anew
        if has_file(memory) and memory.stat().st_size <= JSON_LIMIT:
            known = read_json(memory)
    if isinstance(known.get(key), str):
        return str(known[key])
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(READ_STEP):
            digest.update(part)
    with suppress(InputError, OSError):  # a folder that cannot be written costs time only
        memory.parent.mkdir(parents=True, exist_ok=True)
        write_json(memory, {**known, key: digest.hexdigest()})
    return digest.hexdigest()


def _hashes_file() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trackersplat" / "weights-sha256.json"


def read_state(path: Path, *inside: str, prefix: str = "") -> dict[str, Tensor]:
    """The tensors of a file by name: of ``torch.save`` (nothing is unpickled but tensors), safetensors or npz.

    ``inside`` names dictionaries of the file that may hold them, for example "state_dict"; a ``prefix`` is taken off their names.

    Raises InputError if the file cannot be read or holds no tensors by name.
    """
    state: Any = _read(path)
    for name in inside:
        if isinstance(state, Mapping) and isinstance(state.get(name), Mapping):
            state = state[name]
    import torch

    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()) or not state:
        raise InputError(f"{path} holds no weights by name: it is another file than expected; download it again.")
    return {str(name).removeprefix(prefix): value for name, value in state.items()}


def _read(path: Path) -> Any:
    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        if path.suffix == ".npz":
            import numpy as np

            with np.load(path, allow_pickle=False) as file:
                return {name: torch.from_numpy(np.array(file[name])) for name in file.files}
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}): check the file and its permissions.") from error
    except (RuntimeError, pickle.UnpicklingError, LookupError, AttributeError, struct.error, *NPZ_DAMAGE) as error:
        sentence = str(error).partition("\n")[0].partition(". ")[0]
        reason = sentence[:120] if isinstance(error, RuntimeError | pickle.UnpicklingError) and sentence else type(error).__name__
        raise InputError(f"{path} is not a file of weights ({reason}): download it again.") from error


def put_into(model: Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Gives the model the weights that were read from ``path``. Raises InputError if they are those of another model, or not finite."""
    import torch

    if broken := [name for name, value in state.items() if value.is_floating_point() and not bool(torch.isfinite(value).all())]:
        raise InputError(f"{path} has weights that are not finite ({broken[0]}): download it again.")
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} holds weights of another model ({reason}): use the file that `trackersplat trackers` names.") from error
