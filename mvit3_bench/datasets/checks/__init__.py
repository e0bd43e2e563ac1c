"""Checks of data sets before a training or a test starts, and of samples while they are loaded."""
