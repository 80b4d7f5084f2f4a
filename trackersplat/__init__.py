"""Dynamic 3D Gaussian scenes from multi-view video, moved by point tracks before any optimisation."""

__version__ = "0.1.0"
