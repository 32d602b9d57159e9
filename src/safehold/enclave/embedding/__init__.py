"""Vectors of what people wrote: made, attacked and used inside a sandbox, sealed in between."""
