"""The ledger, keys, and how a home stands."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from safehold.portal.api.answers import ledger as told
from safehold.portal.api.field import Flag, Given, Paper, Value, Word
from safehold.portal.api.route import Route


class Audited(Given):
    """An auditor's opening key."""

    auditor: Value


class Rotated(Given):
    """Which step: sign beside the old key, or alone."""

    step: Word


class KeyRotated(Given):
    """Which level; the root is changed on the keeper's machine alone."""

    level: Literal["segment", "mint"]
    segment: Word | None = None
    destroy: Flag | None = None


class Drilled(Given):
    """What a run came to."""

    run: Word
    results: Annotated[list[Paper], Field(min_length=1, max_length=175)]


ROUTES: Final = (
    Route(method="GET", path="/status", verb="status", answer=told.Status,
          says="What is in force, how much there is, and what is limited."),
    Route(method="GET", path="/keeper", verb="hello", answer=told.Hello, says="Which home, and how well it is kept."),
    Route(method="GET", path="/ledger/entries/{entry}", verb="ledger.show", renamed={"entry": "index"},
          answer=told.LedgerShow, says="One entry with its side-car opened by the keeper."),
    Route(method="POST", path="/ledger/heads", verb="ledger.publish", answer=told.LedgerPublish, again=True,
          says="Have the newest head cosigned and published."),
    Route(method="POST", path="/ledger/epochs", verb="ledger.close-epoch", answer=told.LedgerCloseEpoch, long=True,
          says="Close the present epoch: everybody's list of entries gets its root."),
    Route(method="POST", path="/ledger/epochs/{epoch}/audits", verb="ledger.audit", given=Audited,
          answer=told.LedgerAudit, long=True,
          says="What an auditor needs to compute an epoch again, sealed to them; no names are in it."),
    Route(method="POST", path="/ledger/keys", verb="ledger.rotate", given=Rotated, answer=told.LedgerRotate,
          says="Let a new log key sign, beside the old one or alone."),
    Route(method="GET", path="/keys", verb="key.list", answer=told.KeyList,
          says="Every level of keys: how it is kept, since when, what changes it."),
    Route(method="POST", path="/keys/rotations", verb="key.rotate", given=KeyRotated, answer=told.KeyRotate,
          long=True, says="Change the keys of one level; releases go on meanwhile."),
    Route(method="POST", path="/drills", verb="drill.record", given=Drilled, answer=told.DrillRecord,
          says="Hand in what a drill came to: all of it, or nothing."),
    Route(method="GET", path="/federation/identity", verb="federate.identity", answer=told.FederateIdentity,
          says="The public key by which other houses know this one."),
)  # fmt: skip
__all__ = ["ROUTES"]
