"""Measuring latency, throughput and memory of models, beside other implementations."""
