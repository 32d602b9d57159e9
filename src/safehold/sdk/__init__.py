"""Safehold from Python: connect, ask, wait, open; figures come back, rows and keys never do.

>>> import safehold
>>> with safehold.connect("home") as session:  # doctest: +SKIP
...     request = session.request("train_ui_agent", reason="ticket ML-12").wait()
...     with request.open() as use:
...         figures = use.train().to_arrow()

Holds: what a result shows is what the egress gate let out, or what the keeper says of itself, and only fields that are
named here. No ``repr`` and no error shows a value, a token or a key.
Does not hold: whoever runs this process is the requester; the keeper knows them by their user id and their holder's
key alone, and what they print of a result is theirs to keep to themselves.
"""

from safehold.sdk.connection import connect
from safehold.sdk.request import Request
from safehold.sdk.result import Result
from safehold.sdk.session import Session
from safehold.sdk.use import Use

__all__ = ["Request", "Result", "Session", "Use", "connect"]
