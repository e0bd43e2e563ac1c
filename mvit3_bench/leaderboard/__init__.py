"""The leaderboard of light backbones: published accuracy, measured latency, and the fronts of both."""
