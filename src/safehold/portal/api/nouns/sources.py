"""How telemetry comes in: sources by upload, devices, leases of collectors."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from safehold.portal.api.answers import sources as told
from safehold.portal.api.field import Base64, Given, Permit, Signed, Text, Value, Word
from safehold.portal.api.route import Route


class Uploaded(Given):
    """What a file is called, and how it is read."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    format: Word | None = None
    mapping: Word | None = None
    tolerate_ppm: Annotated[int, Field(ge=0, lt=1_000_000)] | None = None


class Whose(Given):
    """Whose devices; without a name they are counted."""

    person: Word | None = None


class Device(Given):
    """A device of a person."""

    person: Word
    device: Value
    evidence: Text = ""


class Removed(Given):
    """A device of a person."""

    person: Word
    device: Value


class Leased(Given):
    """The proof of a device, over a fresh nonce."""

    person: Word
    device: Value
    nonce: Base64
    proof: Value


class Submitted(Given):
    """An envelope that was sealed to a lease."""

    device: Value
    envelope: Annotated[str, StringConstraints(max_length=48 << 20)]


class Marked(Given):
    """How far a device had counted, signed by it."""

    person: Word
    device: Value
    mark: Signed


ROUTES: Final = (
    Route(method="POST", path="/sources", verb="ingest", given=Uploaded, answer=told.Ingest, upload=True, long=True,
          again=True, says="Take a file in; it is read in a sandbox, minimised, and sealed per person."),
    Route(method="GET", path="/sources/set-aside", verb="ingest.aside", answer=told.IngestAside,
          says="How many malformed messages are set aside, by rule, stream and day."),
    Route(method="POST", path="/sources/repairs", verb="ingest.repair", given=Permit, answer=told.IngestRepair,
          long=True, says="Judge again, under a grant, what was set aside."),
    Route(method="GET", path="/devices", verb="source.list", given=Whose, answer=told.SourceList,
          says="The devices of a person, or how many there are."),
    Route(method="POST", path="/devices", verb="source.add", given=Device, answer=told.SourceAdd, again=True,
          status=201, says="Enrol a device of a person."),
    Route(method="POST", path="/devices/removals", verb="source.remove", given=Removed, answer=told.SourceRemove,
          again=True, says="Remove a device for good."),
    Route(method="POST", path="/leases", verb="lease.obtain", given=Leased, answer=told.LeaseObtain, again=True,
          says="A lease for a device: without one nothing can be sealed."),
    Route(method="POST", path="/leases/envelopes", verb="lease.submit", given=Submitted, answer=told.LeaseSubmit,
          says="Hand in an envelope that was sealed to a lease."),
    Route(method="POST", path="/leases/marks", verb="lease.mark", given=Marked, answer=told.LeaseMark, again=True,
          says="Hand in how far a device had counted."),
)  # fmt: skip
__all__ = ["ROUTES"]
