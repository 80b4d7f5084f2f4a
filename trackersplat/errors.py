"""The errors a user can cause. Everything else that is raised is a defect of ours and keeps its traceback."""

from __future__ import annotations


class InputError(Exception):
    """Bad input: one sentence that names what is wrong, where, what was expected and what to do.

    The command line prints it alone and exits with code 2; the viewer shows it as a message.
    """


class ShapeError(InputError, ValueError):
    """A tensor or array at a public border has the wrong shape, dtype or device."""
