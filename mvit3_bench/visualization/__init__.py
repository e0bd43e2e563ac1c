"""Pictures of predictions, features and attention."""
