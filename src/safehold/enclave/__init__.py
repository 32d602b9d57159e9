"""Where code meets data."""
