"""A process that can only compute."""
