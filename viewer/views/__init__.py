"""What the panes show, as data: pure functions of explicit inputs. Nothing here knows the page's state or its toolkit."""
