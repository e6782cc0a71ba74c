"""Profile to features to score."""
