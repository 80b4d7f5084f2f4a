"""``trackersplat-view``: the page of a capture and its reconstructions."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tyro

from trackersplat.commands.outcome import exit_code
from trackersplat.commands.shown import printable
from trackersplat.errors import InputError
from trackersplat.registry import Registry
from viewer.arguments import Arguments

log = logging.getLogger(__name__)


def main() -> None:
    """Entry point of ``trackersplat-view``. Exit code 2 on bad input."""
    sys.exit(exit_code(_serve))


def _serve() -> None:
    """Opens the page and keeps it up until Ctrl-C or SIGTERM. Raises InputError."""
    arguments = tyro.cli(Arguments, prog="trackersplat-view", description=Arguments.__doc__)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # The handler only sets a flag: an exception raised from it can be lost inside an import or a compiler's callback.
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    app = App(arguments)
    print(printable(f"{app.capture.name}: {len(app.capture.cameras)} cameras, {app.capture.frame_count} frames"))
    print(f"Open {app.url} in a browser. Ctrl-C ends the program.", flush=True)
    if arguments.browser:
        # A browser that is missing, or blocks until it is closed, must not hold up the page.
        threading.Thread(target=webbrowser.open, args=(app.url,), daemon=True).start()
    loader = threading.Thread(target=app.load, name="load", daemon=True)
    with contextlib.suppress(KeyboardInterrupt), contextlib.closing(app):
        loader.start()
        stop.wait()
    if loader.is_alive():
        sys.stdout.flush()
        os._exit(0)  # imports and compilers in the middle of their work do not survive an orderly exit


class App:
    """Everything behind the page. The page answers as soon as the constructor returns; ``load`` fetches the rest.

    Raises InputError if the path is no capture, ``out`` cannot be a run, the address cannot be bound, or the back end or pipeline
    asked for cannot be used here. ``worker_options``: more of the command line of reconstructions.
    """

    def __init__(self, arguments: Arguments, worker_options: Sequence[str] = ()) -> None:
        from trackersplat.captures.registry import open_capture

        self.arguments = arguments
        self.capture = open_capture(arguments.path)
        _check_address(arguments.host, arguments.port)
        _check_allowed(arguments.allow_host)
        if arguments.out is not None:
            _check_out(arguments.out)
        _check_names(arguments)

        from viewer.frame_cache import FrameCache
        from viewer.page import Page
        from viewer.playback import Playback
        from viewer.runs import Runs
        from viewer.scene.painter import Painter
        from viewer.server import PageServer, is_loopback
        from viewer.state import State, Store

        if not is_loopback(arguments.host):
            print(f"warning: everybody who can reach {arguments.host} can use this page, see its files and start jobs.", file=sys.stderr)

        self.store = Store(State(frame_count=self.capture.frame_count, activity="starting the renderer …"))
        runs = Runs(self.capture, self.store, arguments.out)
        self.frame_cache = FrameCache(self.store, runs)
        self.painter = Painter(self.capture, self.frame_cache)
        self.server = PageServer(arguments.host, arguments.port, "TrackerSplat", arguments.allow_host)
        self.page = Page(self.server, self.capture, self.store, runs, self.frame_cache, self.painter, arguments, worker_options)
        self.playback = Playback(self.store, self.capture.fps, lambda: bool(self.server.get_clients()))

    @property
    def url(self) -> str:
        return self.server.url

    def load(self) -> None:
        """Starts the rasteriser and shows the run that is found. Failures become messages on the page."""
        for source, what, step in (
            ("run", "The run could not be opened", self.page.find_run),
            ("renderer", "The renderer could not be started", self._start_rasterizer),
        ):
            try:
                step()
            except InputError as error:
                self.store.problem(source, str(error))
            except Exception as error:
                log.exception(what)
                self.store.problem(source, f"{what} ({type(error).__name__}: {error}); the terminal shows where.")
        self.store.set(activity="")

    def _start_rasterizer(self) -> None:
        from trackersplat.rendering.registry import choose_rasterizer

        rasterizer = choose_rasterizer(backend=self.arguments.backend)
        self.store.set(renderer=rasterizer.describe())
        if not rasterizer.is_prepared():
            rasterizer.prepare(self._compiling)
        self.painter.use(rasterizer)
        self.store.set(activity="")
        self.store.set(ready=True, playing=self.arguments.autoplay and len(self.store.state.reconstructed) > 1)

    def _compiling(self, kernel: str, done: int, total: int) -> None:
        if done < total:
            message = f"compiling kernels, once per machine: {kernel} ({done + 1} of {total}) …"
            print(message, flush=True)
            self.store.set(activity=message)

    def close(self) -> None:
        """Ends the worker process, the threads and the server."""
        self.playback.close()
        self.page.close()
        self.frame_cache.close()
        self.server.stop()
        self.capture.close()


def _check_address(host: str, port: int) -> None:
    """Raises InputError if the host is not an address of this machine: viser would try a thousand ports in vain."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind(address)
    except (OSError, UnicodeError) as error:  # a name that is none fails in its encoding
        raise InputError(f"Cannot listen on --host {host} ({error}): give an address of this machine.") from error
    if not 0 <= port <= 65535:
        raise InputError(f"--port must be between 0 and 65535, got {port}.")


def _check_allowed(names: Sequence[str]) -> None:
    from viewer.server import is_host_name

    for name in names:
        if not is_host_name(name):
            raise InputError(f"--allow-host {name} is no name of a host: give it alone, such as lab.example.org, without http:// and port.")


def _check_out(out: Path) -> None:
    """Raises InputError if ``out`` exists and is no run: said now, not after the first reconstruction was started."""
    from trackersplat.store.run import Run

    try:
        if out.exists() and not out.is_dir():
            raise InputError(f"--out {out} is a file: give the folder of a run, or a new one.")
        if out.is_dir() and any(out.iterdir()):
            Run.open(out)
    except OSError as error:
        raise InputError(f"--out {out} cannot be read ({error.strerror}): check the folder and its permissions.") from error


def _check_names(arguments: Arguments) -> None:
    """Raises InputError if there is no such back end or pipeline, or it cannot be used here."""
    if arguments.backend is not None:
        from trackersplat.rendering.registry import BACKENDS

        _check_available(BACKENDS, "--backend", arguments.backend)
    if arguments.pipeline is not None:
        from trackersplat.pipelines.registry import PIPELINES

        _check_available(PIPELINES, "--pipeline", arguments.pipeline)


def _check_available(registry: Registry[Any], option: str, name: str) -> None:
    if (why := registry.why_unavailable(name)) is not None:
        raise InputError(f"{option} {name} cannot be used: {why}.")


if __name__ == "__main__":
    main()
