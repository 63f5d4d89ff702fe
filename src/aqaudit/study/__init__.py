"""A study: its file, the questions it asks, and the plan of its requests."""
