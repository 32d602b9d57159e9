"""The one process that holds the root, and the only door to a key."""
