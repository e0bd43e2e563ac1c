"""Measuring models: how fast they are, against what, and on which machine."""
