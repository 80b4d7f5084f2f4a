"""Parts of the page that are drawn by JavaScript of our own, with their Python faces."""
