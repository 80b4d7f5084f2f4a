"""How busy the GPUs of this machine are, as nvidia-smi says. Nothing where there is none."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

PATIENCE = 5.0  # seconds for an answer
_FIELDS = "name,memory.used,memory.total,utilization.gpu"


@dataclass(frozen=True)
class GpuUse:
    name: str
    used: float | None  # MiB
    total: float | None
    busy: float | None  # percent; None where the driver does not say, as on a part of a GPU

    def words(self) -> str:
        memory = "" if self.used is None or self.total is None else f"{self.used / 1024:.1f} of {self.total / 1024:.0f} GiB"
        busy = "" if self.busy is None else f"{self.busy:.0f} % busy"
        return f"{self.name}: {', '.join(part for part in (memory, busy) if part) or 'not known'}"


def gpu_use() -> tuple[GpuUse, ...]:
    """Of every GPU; takes up to some seconds."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        done = subprocess.run(
            [program, f"--query-gpu={_FIELDS}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):  # a driver that does not answer: there is nothing to show
        return ()
    return parse(done.stdout)


def parse(text: str) -> tuple[GpuUse, ...]:
    """Of the lines of nvidia-smi; what is no number ("[N/A]") is not known."""
    rows = [[cell.strip() for cell in line.split(",")] for line in text.splitlines()]
    return tuple(GpuUse(row[0], _number(row[1]), _number(row[2]), _number(row[3])) for row in rows if len(row) == 4)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
