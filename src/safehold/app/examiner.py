"""The keeper's examiner, made of the attacks' parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from safehold.assurance.canary.plant import count_for, draw_planted
from safehold.enclave.feature import write_actions
from safehold.enclave.vocabulary import Vocabulary


class ModelExaminer:
    """Knows what attacks on next-action models are made of."""

    def plant(self, settings: Mapping[str, Any], key: bytes, count: int) -> list[pa.Table]:
        """Return the sequences to plant in a training, one a made-up person."""
        words = Vocabulary.from_spec(settings)
        drawn = draw_planted(key, count, tokens=len(words.tokens), apps=len(words.apps))
        return [
            pa.ipc.open_stream(pa.py_buffer(write_actions(one, words))).read_all() for one in drawn
        ]

    def count(self, people: int) -> int:
        """Return how many sequences are planted among so many people."""
        return count_for(people)
