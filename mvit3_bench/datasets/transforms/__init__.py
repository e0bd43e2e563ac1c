"""Transforms of the published recipes, where no framework has one that does the same."""
