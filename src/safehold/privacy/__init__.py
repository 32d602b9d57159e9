"""What may leave, and what it reveals."""
