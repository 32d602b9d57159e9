"""A made-up company's access log with planted attacks, for judging a detector its author never saw.

`live` lets the company live for the days to learn and fifteen more, from one integer seed, and returns
its events and the truth about the attacks; `write` puts both into a folder as `events.jsonl` and
`truth.jsonl`. The files: `names` (what the company calls things), `world` (who and what there is),
`diary` (what happens on which day), `records` (events, grants, sizes), `humans`, `tasks`, `oncall`, `machines`
(ordinary work), `history` (what was ordinary), `takings`, `strayings` and `patient` (the attacks), `planting`
(who attacks when), `making`.

What to know before judging by it: only the planted events are called attacks, and each differs from what its
principal did in the whole log (most variants are chosen from the log so that they must). Quick attacks stop after
twelve events, runaways too, so a loop of calls is shorter here than a real one would be. A benign log holds
cousins of every attack: nights on call, approved exports, models fetched under a lent grant, access asked for and
given, projects, moves, joiners, deadlines, a change of the clocks, a week spent at another office.
"""

from tests.access_bed.making import Log, live, write

__all__ = ["Log", "live", "write"]
