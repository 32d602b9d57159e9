"""Training under a promise about whole persons, for any model; see ``docs/reference/training.md``."""
