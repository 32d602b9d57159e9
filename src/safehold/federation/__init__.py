"""Several houses compute together, and each keeps its own."""
