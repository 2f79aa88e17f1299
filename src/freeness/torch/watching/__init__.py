"""A training as it runs."""
