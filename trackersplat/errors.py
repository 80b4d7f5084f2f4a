"""The two kinds of error: what a user can cause, and what only a defect of ours can."""

from __future__ import annotations


class InputError(Exception):
    """Bad input: one sentence that names what is wrong, where, what was expected and what to do.

    The command line prints it alone and exits with code 2; the viewer shows it as a message.
    """


class ShapeError(ValueError):
    """A tensor or array at a border between modules has the wrong shape, dtype or device: a defect in the calling code.

    Code that reads a user's file checks it and raises InputError before such an array travels on. The command line exits with
    code 1 and keeps the traceback in a log.
    """
