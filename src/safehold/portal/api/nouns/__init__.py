"""The lines of the API, by noun."""
