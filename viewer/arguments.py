"""What the user asks for on the command line of ``trackersplat-view``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Arguments:
    """Opens a page on this machine that shows a capture, its reconstruction in motion, and reconstructs more of it."""

    path: Annotated[str, tyro.conf.Positional]
    """Folder of the capture, or "demo" for the bundled one."""
    out: Path | None = None
    """Folder of the run to show and to write to. Default: output/NAME in the working folder, or output/NAME-HASH if that holds
    something else."""
    backend: str | None = None
    """Rendering back end of the page and of its reconstructions; the best one of this machine if absent."""
    pipeline: str | None = None
    """Pipeline of the reconstructions, as of `trackersplat reconstruct`."""
    host: str = "127.0.0.1"
    """Address to listen on. Anything but the default lets other machines use the page."""
    allow_host: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Name of a proxy, or of this machine in its network, under which browsers may use the page. Repeat it for several."""
    port: int = 8080
    """Port to listen on; the next free one is taken."""
    browser: bool = True
    """Open the page in the browser."""
    autoplay: bool = True
    """Start playing once a run is loaded."""
