"""A mill of made-up access logs with attacks in them, written without sight of any detector.

`live` makes one log in memory from a seed, `write` puts it in a folder as `events.jsonl` and
`truth.jsonl`; `python -m tests.access_mill SEED FOLDER --learn-days 25` does the same.
"""

from tests.access_mill.mill import live, write

__all__ = ["live", "write"]
