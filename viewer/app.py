"""``trackersplat-view``: the workbench of a capture and its reconstructions."""

from __future__ import annotations

import asyncio
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
from typing import TYPE_CHECKING, Any

import tyro

from trackersplat.commands.outcome import exit_code
from trackersplat.commands.shown import printable
from trackersplat.errors import InputError
from trackersplat.registry import Registry
from viewer.arguments import Arguments

if TYPE_CHECKING:
    import uvicorn

    from viewer.entrance import Entrance
    from viewer.stage.stage import Stage
    from viewer.web import Web

PORTS_TRIED = 100
PAGE_FIRST = 2.0  # seconds that loading waits for the workbench: to do both at once makes the page come up later
SWITCH_INTERVAL = 0.001  # seconds that one Python thread holds up the others, such as the one that answers the page
log = logging.getLogger(__name__)


def main() -> None:
    """Entry point of ``trackersplat-view``. Exit code 2 on bad input."""
    sys.exit(exit_code(_serve))


def _serve() -> None:
    """Opens the page and keeps it up until Ctrl-C or SIGTERM. Raises InputError."""
    arguments = tyro.cli(Arguments, prog="trackersplat-view", description=Arguments.__doc__)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    app = App(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: app.stop())
    print(printable(f"{app.capture.name}: {len(app.capture.cameras)} cameras, {app.capture.frame_count} frames"))
    print(f"Open {app.url} in a browser. Ctrl-C ends the program.", flush=True)
    if arguments.browser:
        # A browser that is missing, or blocks until it is closed, must not hold up the page.
        threading.Thread(target=webbrowser.open, args=(app.url,), daemon=True).start()
    loader = threading.Thread(target=app.load, name="load", daemon=True)
    loader.start()
    with contextlib.closing(app):
        app.serve()
    if loader.is_alive():
        sys.stdout.flush()
        os._exit(0)  # imports and compilers in the middle of their work do not survive an orderly exit


class App:
    """Everything behind the page; one per process, as NiceGUI is. ``serve`` answers, ``load`` fetches what takes longer.

    Raises InputError if the path is no capture, ``out`` cannot be a run, the address cannot be bound, or the back end or pipeline
    asked for cannot be used here.
    """

    def __init__(self, arguments: Arguments) -> None:
        from trackersplat.captures.registry import open_capture

        self.arguments = arguments
        self.capture = open_capture(arguments.path)
        _check_allowed(arguments.allow_host)
        if arguments.out is not None:
            _check_out(arguments.out)
        _check_names(arguments)
        self._socket = bind(arguments.host, arguments.port)
        self._stopped = False
        self._server: uvicorn.Server | None = None
        self._built = threading.Event()
        self._web: Web | None = None
        self._stage: Stage | None = None

        from viewer.document import Document
        from viewer.guard import is_loopback, new_token
        from viewer.state import Shared, Store

        self.token = None if is_loopback(arguments.host) else new_token()
        if self.token is not None:
            print(
                f"warning: who can reach {arguments.host} and knows the address below can use this page, see its files and start jobs.",
                file=sys.stderr,
            )
        self.store = Store(Shared(self.capture.frame_count, self.capture.fps, activity="starting the renderer …"))
        self.document = Document(self.capture, self.store, arguments)

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        host = self.arguments.host
        name = socket.gethostname() if host in ("0.0.0.0", "::", "") else host
        shown = f"[{name}]" if ":" in name else name
        return f"http://{shown}:{self.port}" + (f"/?token={self.token}" if self.token is not None else "")

    def load(self) -> None:
        """Opens the run and starts the rasteriser, once the workbench is there. Failures become messages on the page."""
        self._built.wait()
        web = self._web
        if web is None:
            return
        web.opened.wait(PAGE_FIRST)
        self.document.load(lambda text: print(text, flush=True))
        if self.arguments.autoplay and len(self.store.shared.reconstructed) > 1:
            web.play_when_shown()

    def serve(self) -> None:
        """Answers until ``stop``."""
        sys.setswitchinterval(SWITCH_INTERVAL)
        asyncio.run(self._answer())

    async def _answer(self) -> None:
        import uvicorn

        from viewer.entrance import Entrance
        from viewer.guard import Guard, hint

        arguments = self.arguments
        entrance = Entrance(self.capture, self.document.framing.home)
        guarded = Guard(entrance, arguments.host, arguments.allow_host, self.token, hint)
        config = uvicorn.Config(
            guarded, lifespan="off", log_level="warning", access_log=False, ws_max_size=1 << 20, timeout_graceful_shutdown=2,
            server_header=False, ws_per_message_deflate=False,  # most of what is sent are pictures, compressed already
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        # uvicorn would raise the signal once more after it has stopped, in the middle of our own end.
        self._server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
        self._server.should_exit = self._stopped
        serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        try:
            web = self._web = await asyncio.to_thread(self._build, entrance)
            async with web.app.router.lifespan_context(web.app):
                entrance.open(web.app)
                self._built.set()
                await serving
                await web.disconnect()
        finally:
            self._built.set()
            self._server.should_exit = True
            await serving

    def _build(self, entrance: Entrance) -> Web:
        """The workbench; what it imports takes longer than all else until a first page is there."""
        from viewer.stage.server import StageServer
        from viewer.stage.stage import Stage
        from viewer.web import Web

        self._stage = Stage(StageServer(), self.document)
        return Web(self.document, self._stage, entrance.backdrop)

    def stop(self) -> None:
        """May be called at any time, also before ``serve`` and from a signal handler."""
        self._stopped = True
        if self._server is not None:
            self._server.should_exit = True

    def close(self) -> None:
        """Ends the worker process, the threads and the servers."""
        if self._web is not None:
            self._web.close()
        if self._stage is not None:
            self._stage.close()
        self.document.close()
        self._socket.close()


def bind(host: str, port: int) -> socket.socket:
    """A socket on the port or on one of the next free ones. Raises InputError if the host is not an address of this machine."""
    if not 0 <= port <= 65535:
        raise InputError(f"--port must be between 0 and 65535, got {port}.")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind(address)
    except (OSError, UnicodeError) as error:  # a name that is none fails in its encoding
        raise InputError(f"Cannot listen on --host {host} ({error}): give an address of this machine.") from error
    last: OSError | None = None
    for number in range(port, min(port + PORTS_TRIED, 65536)) if port else (0,):
        found = socket.socket(family, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((address[0], number, *address[2:]))
            found.listen(128)
            return found
        except OSError as error:
            found.close()
            last = error
    raise InputError(f"No port from {port} on can be used ({last}): give another one with --port.")


def _check_allowed(names: Sequence[str]) -> None:
    from viewer.guard import is_host_name

    for name in names:
        if not is_host_name(name):
            raise InputError(f"--allow-host {name} is no name of a host: give it alone, such as lab.example.org, without http:// and port.")


def _check_out(out: Path) -> None:
    """Raises InputError if ``out`` exists and is no run: said now, not after the first reconstruction was started.

    Of a run with a ``run.json`` only that is read. The rest needs PyTorch, and the page would come up seconds later.
    """
    from trackersplat.store.begin import INFO, read_info

    try:
        if out.exists() and not out.is_dir():
            raise InputError(f"--out {out} is a file: give the folder of a run, or a new one.")
        if (out / INFO).is_file():
            read_info(out)
        elif out.is_dir() and any(out.iterdir()):
            from trackersplat.store.run import Run

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
