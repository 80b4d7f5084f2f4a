"""Parts of the page that NiceGUI lacks: JavaScript that draws, each with its Python face."""
