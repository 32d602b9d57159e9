"""What must never be stored, or not as it was."""
