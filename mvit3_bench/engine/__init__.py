"""What makes a run: command lines, checks before the start, the miniature form of a config, pictures."""
