"""What is wrong with packages, data, config and disk before a run starts."""
