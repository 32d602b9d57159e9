"""The shipped terms against the real package, where it is installed."""

from __future__ import annotations

import pytest

from safehold.charter import terms


def test_fideslang_terms_and_parents_are_as_published():
    taxonomy = pytest.importorskip(
        "fideslang.default_taxonomy", reason="fideslang is not installed"
    )
    published = {}
    for kind, items in (
        ("use", taxonomy.DEFAULT_TAXONOMY.data_use),
        ("category", taxonomy.DEFAULT_TAXONOMY.data_category),
        ("subject", taxonomy.DEFAULT_TAXONOMY.data_subject),
    ):
        for item in items:
            parent = getattr(item, "parent_key", None)
            published[f"fides:{item.fides_key}"] = (kind, (f"fides:{parent}",) if parent else ())
    ours = {name: term for name, term in terms.catalogue().items() if name.startswith("fides:")}
    assert len(ours) > 40
    for name, term in ours.items():
        assert published[name] == (term.kind, term.under)
