"""The table of targets: what came of every model of each task in every format, and its page."""
