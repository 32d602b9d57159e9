"""Made-up people with planted secrets and known truth."""
