"""The compact form of the frames of a run: in the folder of each, what changed since the frame before, or a key frame."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from trackersplat.errors import InputError
from trackersplat.files import write_durable
from trackersplat.gaussians.codes import Codes, CodeSettings, decode, encode
from trackersplat.gaussians.compact_file import KEY_FRAME_EVERY, Base, Header, hash_of, packed, read_codes, read_header, read_unchecked
from trackersplat.gaussians.gaussians import Gaussians

COMPACT_FILE = "gaussians.tsgf"  # in the folder of a frame
_KEPT_BYTES = 256 << 20  # of codes that were read or written last: the next frame builds on them


class CompactFrames:
    """Reads and makes them. A frame builds on another one by number and hash, so that one whose base is gone or another one is told.

    May be used by several threads.
    """

    def __init__(self, settings: CodeSettings | None = None) -> None:
        self._settings = settings or CodeSettings()
        self._paths: dict[int, Path] = {}
        self._headers: dict[int, tuple[tuple[int, int, int], Header]] = {}  # with what tells whether the file is still the same
        self._broken: dict[int, int] = {}
        self._kept: OrderedDict[str, Codes] = OrderedDict()  # by hash
        self._lock = threading.RLock()

    def update(self, paths: Mapping[int, Path]) -> None:
        """The files that are there, by frame. Their headers are read where they are new."""
        with self._lock:
            self._paths = dict(sorted(paths.items()))
            self._headers = {frame: known for frame, known in self._headers.items() if frame in paths}
            self._broken = {}
            for frame in self._paths:  # ascending: the base of each comes first
                with suppress(InputError):  # a damaged header is said when the frame is read
                    header = self.header(frame)
                    if header.base is not None and not (header.base not in self._broken and self._fits(header)):
                        self._broken[frame] = header.base

    def add(self, frame: int, path: Path | None) -> None:
        """A frame that has just been written, in the compact form or (None) not."""
        with self._lock:
            paths = {other: known for other, known in self._paths.items() if other != frame}
            if path is not None:
                paths[frame] = path
            if path is None or self._broken:
                self.update(paths)
            else:
                self._paths = paths  # it fits its base, and what had changed since another one in its place was detached

    @property
    def broken(self) -> Mapping[int, int]:
        """Frames that cannot be read, because the frame that they build on is gone or another one: frame -> that one."""
        return self._broken

    def read(self, frame: int) -> Gaussians:
        """On the CPU. Raises InputError if a file is damaged."""
        codes = self.codes(frame)
        try:
            return decode(codes)
        except ValueError as error:
            raise InputError(f"{self._paths[frame]} is damaged ({error}); remove its folder to reconstruct the frame anew.") from error

    def header(self, frame: int) -> Header:
        """Raises KeyError if there is no file; InputError if it is damaged."""
        path = self._paths[frame]
        try:
            state = path.stat()
            same = state.st_ino, state.st_mtime_ns, state.st_size
        except OSError as error:
            raise InputError(f"Cannot read {path}: {error.strerror}.") from error
        known = self._headers.get(frame)
        if known is None or known[0] != same:
            known = self._headers[frame] = (same, read_header(path))
        return known[1]

    def codes(self, frame: int) -> Codes:
        """Raises InputError if a file on the way from its key frame is damaged, gone, or another one."""
        with self._lock:
            chain = list(self._chain(frame))
            known = next((place for place, (_, header) in enumerate(chain) if header.codes in self._kept), len(chain))
            try:
                return self._walk(chain[: known + 1], read_unchecked)
            except InputError:
                for _, header in chain:
                    self._kept.pop(header.codes, None)
                return self._walk(chain, read_codes)  # which says the file that is damaged

    def _walk(self, chain: list[tuple[int, Header]], read: Callable[[Path, Header, Codes | None], Codes]) -> Codes:
        """The codes of the first of a chain. Its own hash is compared; it holds only if those of all others do."""
        codes: Codes | None = None
        for at, header in reversed(chain):
            if header.codes in self._kept:
                codes = self._keep(header.codes, None)
            else:
                codes = self._keep(header.codes, (read_codes if at == chain[0][0] else read)(self._paths[at], header, codes))
        assert codes is not None, "a chain has at least its frame"
        return codes

    def make(self, frame: int, gaussians: Gaussians, *, moved: bool) -> bytes:
        """The file of a frame that is to be written. ``moved``: from another one; if not, it is a key frame."""
        with self._lock:
            base = self._base_for(frame, gaussians) if moved else None
            codes = encode(gaussians, None if base is None else base.codes, self._settings)
            name = hash_of(codes)
            self._keep(name, codes)
            return packed(codes, base, name)

    def read_back(self, frame: int) -> None:
        """Raises InputError if the file on disk is not what was written."""
        with self._lock:
            self._kept.pop(self.header(frame).codes, None)
            self.codes(frame)

    def detach(self, frame: int) -> None:
        """Makes key frames of all that build on this one, which is going to be another one. Their codes stay the same.

        Raises InputError if they cannot be written.
        """
        with self._lock:
            for other, path in self._paths.items():
                if other <= frame or other in self._broken:
                    continue
                try:
                    header = self.header(other)
                    content = packed(self.codes(other), None, header.codes) if header.base == frame else None
                except InputError:
                    continue  # it is damaged, or this frame is: it is lost with it
                if content is not None:
                    write_durable(path, content)

    def _base_for(self, frame: int, gaussians: Gaussians) -> Base | None:
        """The frame before, if it has equally many Gaussians, can be read, and not too many frames are to be read before it."""
        earlier = max((other for other in self._paths if other < frame), default=None)
        if earlier is None or earlier in self._broken:
            return None
        try:
            header = self.header(earlier)
            fits = (header.gaussians, header.sh_coefficients) == (len(gaussians), gaussians.sh.shape[1])
            return Base(earlier, self.codes(earlier), header) if fits and header.depth + 1 < KEY_FRAME_EVERY else None
        except InputError:
            return None  # said when it is read

    def _chain(self, frame: int) -> Iterator[tuple[int, Header]]:
        """The frame, the one that it builds on, and so on to a key frame."""
        header = self.header(frame)
        yield frame, header
        while header.base is not None:
            if not self._fits(header):
                why = "another one" if header.base in self._paths else "gone"
                raise InputError(f"{self._paths[frame]} holds changes since frame {header.base + 1}, which is {why} now: make it again.")
            frame, header = header.base, self.header(header.base)
            yield frame, header

    def _fits(self, header: Header) -> bool:
        """Whether the base that a header tells of is there, and still the one that it was."""
        if header.base is None or header.base not in self._paths:
            return False
        before = self.header(header.base)
        sizes = (before.gaussians, before.sh_coefficients) == (header.gaussians, header.sh_coefficients)
        return sizes and before.codes == header.base_codes and before.depth < header.depth

    def _keep(self, name: str, codes: Codes | None) -> Codes:
        codes = self._kept.pop(name) if codes is None else codes
        self._kept[name] = codes
        while len(self._kept) > 1 and sum(map(_bytes, self._kept.values())) > _KEPT_BYTES:
            self._kept.popitem(last=False)
        return codes


def _bytes(codes: Codes) -> int:
    return sum(tensor.nbytes for tensor in codes.tensors.values())
