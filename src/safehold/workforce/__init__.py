"""Made-up people with planted secrets and known truth.

Seeded test data, so numpy randomness with a seed is right here and only here. ``roster`` says who
they are, ``lives`` what happens to them, ``person_day`` makes the streams of one person on one day,
``truth`` says what was planted where, ``traces`` who used all that, misuse labelled.
"""

from safehold.workforce.day import person_day
from safehold.workforce.files import write_files
from safehold.workforce.life import Life, life, lives
from safehold.workforce.misuse import traces
from safehold.workforce.people import Person, roster
from safehold.workforce.spec import Spec
from safehold.workforce.truth import truth

__all__ = [
    "Life",
    "Person",
    "Spec",
    "life",
    "lives",
    "person_day",
    "roster",
    "traces",
    "truth",
    "write_files",
]
