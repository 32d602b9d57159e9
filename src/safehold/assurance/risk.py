"""``reidentify.top1`` as a promise: read from the leaves of the gates, never from data.

Holds: the figure is the largest upper bound that stands in the ledger for what the home holds now. A dataset that was
not measured, or whose measurement is stale, leaves no figure.
"""

from __future__ import annotations

from typing import Any

from safehold.charter.value import MICRO
from safehold.keeper.gates import STALE, UNMEASURED


def largest_bound(listing: list[dict[str, Any]]) -> tuple[int | None, str]:
    """Return the largest upper bound in millionths, if every dataset has one, and what was looked at.

    Args:
        listing: How every dataset stands before every gate.
    """
    listing = [one for one in listing if one.get("attack", "reidentify") == "reidentify"]
    if not listing:
        return None, "no dataset of the home stands before a gate on re-identification"
    open_ = sum(one["state"] in {UNMEASURED, STALE} for one in listing)
    if open_:
        return None, f"{open_} of {len(listing)} gates of datasets are not measured, or anew since"
    bounds = [leaf.get("upper") for one in listing for leaf in one["measured"]]
    if None in bounds:
        return None, "of a stream nothing is said: too few people, or it was not attacked"
    return round(max(bounds) * MICRO), (
        f"{len(bounds)} attacks on what datasets were made from; the largest upper bound of them"
    )
