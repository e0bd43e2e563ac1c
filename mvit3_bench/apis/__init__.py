"""Predictions in Python, for images, folders and videos."""
