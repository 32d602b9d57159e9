"""Keys and sealed blocks."""
