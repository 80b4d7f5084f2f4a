"""What the panes show, as data: pure functions of what is known about the run. No toolkit."""
