"""The store of results, their provenance, and the evaluation of many checkpoints."""
