"""One module per strategy of `points.registry`."""
