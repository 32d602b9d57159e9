"""What exists, what it came from, and when it ends."""
