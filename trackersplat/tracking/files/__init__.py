"""Tracks from the files of other programs, and to them: one module per format in `formats`."""
