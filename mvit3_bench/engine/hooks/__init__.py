"""Hooks of training and test, one a file."""
