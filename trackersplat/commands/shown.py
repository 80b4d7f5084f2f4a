"""Text from files and users, such as the name of a capture, made safe for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """On one line, with control characters as escapes: "\\x1b[2J" then appears as these letters and does not clear the screen.

    Bytes that are no text, and characters that change the direction of writing, become escapes too.
    """
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text)


def escape(text: str) -> str:
    """`printable`, and rich does not read markup in it."""
    from rich.markup import escape as without_markup

    return without_markup(printable(text))
