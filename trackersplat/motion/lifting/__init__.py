"""From 2D tracks of several views to 3D tracks."""
