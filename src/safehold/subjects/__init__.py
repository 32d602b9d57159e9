"""The people: consent, pause, withdrawal."""
