"""A made-up company's access log with planted attacks, for judging a detector its author never saw.

`live` lets the company live for the days to learn and fifteen more, from one integer seed, and returns
its events and the truth about the attacks; `write` puts both into a folder as `events.jsonl` and
`truth.jsonl`. The files: `names` (what the company calls things), `world` (who and what there is),
`diary` (what happens on which day), `records` (events, grants, sizes), `humans`, `oncall`, `machines` (ordinary
work), `history` (what was ordinary), `quick` and `patient` (the attacks), `planting` (who, when), `making`.
"""

from tests.access_bed.making import Log, live, write

__all__ = ["Log", "live", "write"]
