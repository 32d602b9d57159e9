"""The columns of every result. What an answer of the keeper holds besides them is not taken over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa

_WORD: Final = pa.string()
_WORDS: Final = pa.list_(pa.string())
_COUNT: Final = pa.int64()
_SHARE: Final = pa.float64()
_YES: Final = pa.bool_()
_DAY: Final = pa.date32()
_MOMENT: Final = pa.timestamp("us", tz="UTC")
_LEFT_OUT: Final = pa.list_(pa.struct([("rule", _WORD), ("people", _COUNT)]))
_MODEL: Final = pa.struct(
    [("name", _WORD), ("top1", _SHARE), ("macro_f1", _SHARE), ("private", _YES)]
)

PURPOSES: Final = pa.schema(
    [
        ("purpose", _WORD),
        ("plain", _WORD),
        ("recipes", _WORDS),
        ("streams", _WORDS),
        ("stages", _WORDS),
        ("epsilon", _SHARE),
        ("delta", _SHARE),
        ("min_people", _COUNT),
        ("minutes", _COUNT),
        ("runs", _COUNT),
        ("approvers", _COUNT),
    ]
)
PRICE: Final = pa.schema(
    [
        ("people", _COUNT),
        ("classes", _WORDS),
        ("days", _COUNT),
        ("models", _WORDS),
        ("reach", _COUNT),
        ("epsilon", _SHARE),
        ("epsilon_left", _SHARE),
    ]
)
REQUESTS: Final = pa.schema(
    [
        ("request", _WORD),
        ("requester", _WORD),
        ("purpose", _WORD),
        ("reason", _WORD),
        ("state", _WORD),
        ("agreed", _COUNT),
        ("needed", _COUNT),
        ("minutes", _COUNT),
        ("reach", _COUNT),
        ("entry", _COUNT),
    ]
)
GRANTS: Final = pa.schema(
    [
        ("id", _WORD),
        ("purpose", _WORD),
        ("recipes", _WORDS),
        ("expires", _MOMENT),
        ("runs", _COUNT),
        ("of", _COUNT),
        ("revoked", _YES),
        ("closed", _YES),
        ("entry", _COUNT),
    ]
)
BUDGET: Final = pa.schema(
    [
        ("purpose", _WORD),
        ("unit", _WORD),
        ("epsilon", _SHARE),
        ("epsilon_left", _SHARE),
        ("delta", _SHARE),
        ("delta_left", _SHARE),
    ]
)
DATASETS: Final = pa.schema(
    [
        ("id", _WORD),
        ("kind", _WORD),
        ("people", _COUNT),
        ("streams", _WORDS),
        ("purposes", _WORDS),
        ("jurisdictions", _WORDS),
        ("expires", _DAY),
        ("first_day", _DAY),
        ("last_day", _DAY),
        ("parents", _WORDS),
    ]
)
ARTIFACTS: Final = pa.schema(
    [("id", _WORD), ("purpose", _WORD), ("size", _COUNT), ("expires", _DAY)]
)
GATES: Final = pa.schema(
    [("dataset", _WORD), ("gate", _WORD), ("must_be", _WORD), ("state", _WORD)]
)
VERIFIED: Final = pa.schema(
    [("verified", _YES), ("size", _COUNT), ("root", _WORD), ("witnesses", _WORDS)]
)
FEATURES: Final = pa.schema(
    [
        ("dataset", _WORD),
        ("people", _COUNT),
        ("rows", _COUNT),
        ("left_out", _LEFT_OUT),
        ("level", _WORD),
        ("entry", _COUNT),
    ]
)
TRAINED: Final = pa.schema(
    [
        ("artifact", _WORD),
        ("people", _COUNT),
        ("epsilon", _SHARE),
        ("delta", _SHARE),
        ("top1", _SHARE),
        ("top1_error", _SHARE),
        ("macro_f1", _SHARE),
        ("models", pa.list_(_MODEL)),
        ("left_out", _LEFT_OUT),
        ("level", _WORD),
        ("intent", _COUNT),
        ("entry", _COUNT),
    ]
)
RAN: Final = pa.schema(
    [
        ("figure", _SHARE),
        ("error", _SHARE),
        ("groups", _COUNT),
        ("counts", pa.list_(pa.struct([("name", _WORD), ("count", _COUNT)]))),
        ("words", _WORDS),
        ("people", _COUNT),
        ("epsilon", _SHARE),
        ("left_out", _LEFT_OUT),
        ("level", _WORD),
        ("script", _WORD),
        ("intent", _COUNT),
        ("entry", _COUNT),
    ]
)
FIGURES: Final = pa.schema(
    [
        ("key", _WORD),
        ("bin", _WORD),
        ("value", _SHARE),
        ("error", _SHARE),
        ("low", _SHARE),
        ("high", _SHARE),
        ("people", _COUNT),
        ("epsilon", _SHARE),
        ("epsilon_left", _SHARE),
        ("entry", _COUNT),
    ]
)
ATTACKED: Final = pa.schema(
    [
        ("dataset", _WORD),
        ("gate", _WORD),
        ("stream", _WORD),
        ("level", _WORD),
        ("people", _COUNT),
        ("top1", _SHARE),
        ("upper", _SHARE),
        ("must_be", _SHARE),
        ("fewest", _COUNT),
        ("state", _WORD),
        ("entry", _COUNT),
    ]
)


def left_out(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return how many people were left out, by rule."""
    return [{"rule": rule, "people": people} for rule, people in sorted(counts.items())]
