"""The shipped terms against the published vocabulary."""

from __future__ import annotations

import json
from pathlib import Path

from safehold.charter import terms

PUBLISHED = Path(__file__).parent / "vectors" / "charter" / "fideslang_3.1.4.json"


def test_fideslang_terms_and_parents_are_as_published():
    published = {
        f"fides:{key}": (kind, (f"fides:{parent}",) if parent else ())
        for kind, key, parent in json.loads(PUBLISHED.read_text("utf-8"))["terms"]
    }
    ours = {name: term for name, term in terms.catalogue().items() if name.startswith("fides:")}
    assert len(ours) > 40
    for name, term in ours.items():
        assert published[name] == (term.kind, term.under)
