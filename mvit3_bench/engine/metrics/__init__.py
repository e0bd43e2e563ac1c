"""Metrics of the tests: COCO's on clipped boxes, and the outcome of each image."""
