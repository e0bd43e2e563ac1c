"""What makes a run: hooks, loops, schedules, resuming, several processes, the miniature form of a config."""
