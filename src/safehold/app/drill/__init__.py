"""The drill: the incident as 25 attacks really tried, on a deployment, on a twin of it, and on a plain lake."""
