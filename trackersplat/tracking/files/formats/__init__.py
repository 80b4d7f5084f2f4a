"""One module per format: what names it, how it is read and written."""
