"""A charter in plain words, in more than one language, and how easy they are to read."""

from safehold.charter.explain.readability import reading_ease
from safehold.charter.explain.tell import LANGUAGES, Explanation, Section, explain

__all__ = ["LANGUAGES", "Explanation", "Section", "explain", "reading_ease"]
