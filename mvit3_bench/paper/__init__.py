"""What the papers published, and what is rendered from it."""
