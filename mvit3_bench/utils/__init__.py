"""Helpers of every room, which know nothing of models or frameworks."""
