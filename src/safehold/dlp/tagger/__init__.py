"""Names of people, places and organisations, and dates, by a tagger of our own (tier ``ner``)."""

from safehold.dlp.tagger.tag import Names, findings, tag_names

__all__ = ["Names", "findings", "tag_names"]
