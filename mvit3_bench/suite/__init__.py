"""Suites of runs: configs, backbones and seeds, on this machine or on a cluster."""
