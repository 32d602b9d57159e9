"""Setting aside: what a device sent in a form that cannot be taken, kept for repair where the charter says so.

Rules, in this order; the first that fails ends it, and the message is refused and gone, as without the clause:
1. the charter has the clause, and its purpose covers the stream;
2. the message opened under a live lease, and was refused for its form alone: nothing in it broke another rule;
3. it is small, and its person has not used up the day;
4. at this moment the person takes part, in this stream, here; they chose nothing since the lease was given; nothing is
   stopped or contained;
5. it is sealed under the person's own key for the one purpose, the leaf about them is durable, and then it is known.

Nothing here opens one. It ends with its day, with a withdrawal, an objection or a move, and with an erasure.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from safehold import canonical
from safehold.catalog.aside import source_of
from safehold.charter import Charter
from safehold.errors import ConsentError, DeniedError, SafeholdError
from safehold.keeper.desk import ENGINEER
from safehold.keeper.resting import come_to_rest
from safehold.keeper.sealed import Part
from safehold.keeper.terms import opted_in, recorded_streams, sources_of
from safehold.ledger import Entry
from safehold.subjects import Standing
from safehold.telemetry.stream import segment_name
from safehold.vault import Label, PlainBlock

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

_LOG = logging.getLogger(__name__)
# what form is refused by; a sandbox that says otherwise is not believed
FORMS: Final = frozenset({"leased.body", "leased.schema", "wire.missing"})
LARGEST: Final = 1 << 20  # bytes of one message
SCHEMA: Final = pa.schema(
    [
        pa.field("name", pa.string(), nullable=False),  # of the envelope
        pa.field("rule", pa.string(), nullable=False),  # that refused it
        pa.field("lease", pa.binary(), nullable=False),  # charter and rules of its lease, canonical JSON
        pa.field("message", pa.binary(), nullable=False),  # as it came
    ]
)  # fmt: skip


class SettingAside:
    """Does it.

    Args:
        desk: What the keeper works with.
        lives: Tells whether a lease is live, by its id; a choice of its person ends it.
    """

    def __init__(self, desk: Desk, lives: Callable[[str], bool]) -> None:
        self._desk = desk
        self._lives = lives
        self._one = (
            threading.Lock()
        )  # two batches at once must not both use the last place of a day

    def take(self, parts: Sequence[Part], charter: Charter) -> int:
        """Set aside what may be of some refused envelopes; return how many that were.

        Whatever is in the way, what is answered about them stays as it is.
        """
        if charter.set_aside is None:
            return 0
        kept = 0
        for part in parts:
            try:
                with self._one:
                    kept += self._take(part, charter)
            except SafeholdError as error:
                _LOG.warning("a message was not set aside: %s", error.rule or error.code)
        return kept

    def _take(self, part: Part, charter: Charter) -> bool:
        desk, clause = self._desk, charter.set_aside
        if clause is None or not part.malformed or part.refused not in FORMS:
            return False
        if len(part.body) > LARGEST or part.stream not in sources_of(charter, clause.purpose):
            return False
        source, today = source_of(part.refused, part.name), desk.today()
        if desk.catalog.aside.known(part.name, FORMS):
            return False
        person = desk.people.find(part.lease.person)
        standing = desk.people.standing(person)
        self._require(part, charter, today, standing)
        segment = segment_name(standing.jurisdiction, part.stream)
        ends = min(
            today + 1 + min(clause.keep_days, charter.retention(part.stream)),
            part.oldest + 1 + charter.retention(part.stream),  # no row of it outlives its own day
        )
        label = Label(
            purposes=(clause.purpose,),
            jurisdiction=standing.jurisdiction,
            expires=ends,
            charter=charter.digest(),
        )
        block = PlainBlock(
            person=person, stream=part.stream, window=today, label=label, table=_table(part)
        )
        item = desk.vault.seal([block], segment=segment)
        # no leaf of it follows the leaf of a choice against it
        with come_to_rest(desk.vault, [item.name]) as resting, desk.lock:
            self._require(part, charter, today, standing)
            desk.trust.log_running(
                Entry(
                    kind="ingest",
                    actor=ENGINEER,
                    object=source,
                    detail={
                        "step": "aside",
                        "rule": part.refused,
                        "objects": [[item.name, item.root.hex()]],
                        "ends": label.expires,
                    },
                    charter=charter.digest(),
                    subjects=desk.subjects([str(person)]),
                    public={"objects": 1},
                    key=f"ingest/{item.name}",
                )
            )
            resting.begin()
            desk.catalog.aside.add(source, item)
        return True

    def _require(self, part: Part, charter: Charter, today: int, held: Standing) -> None:
        """Pass if a message of this person may be set aside at this moment.

        Raises:
            DeniedError: It may not.
            MissingError: They were erased.
        """
        desk = self._desk
        desk.trust.require_running()
        if desk.trust.digest() != charter.digest() or charter.set_aside is None:
            raise DeniedError("the charter has changed", rule="charter.changed")
        person = desk.people.find(part.lease.person)
        standing = desk.people.standing(person)
        if standing != held:
            raise ConsentError("a choice came meanwhile", rule="aside.choice")
        allowed = standing.allowed(
            at_us=desk.now_us()
        )  # raises while they pause, or once they left
        if (
            not opted_in(charter, standing)
            or part.stream not in allowed & recorded_streams(charter, standing)
            or not standing.agrees(charter.set_aside.purpose)
        ):
            raise ConsentError("this person is not recorded in this stream", rule="aside.consent")
        if not self._lives(part.lease.id) or standing.moved_us > part.lease.from_us:
            raise ConsentError("this person chose since the lease was given", rule="aside.choice")
        segment = segment_name(standing.jurisdiction, part.stream)
        desk.trust.contained.require_collected([(segment, part.stream)])
        if desk.catalog.aside.count(str(person), today) >= charter.set_aside.a_day:
            raise DeniedError("no more of this person are set aside today", rule="aside.a_day")


def _table(part: Part) -> pa.Table:
    lease = canonical.encode({"charter": part.lease.charter, "streams": dict(part.lease.streams)})
    row: dict[str, Any] = {
        "name": part.name, "rule": part.refused, "lease": lease, "message": part.body,
    }  # fmt: skip
    return pa.Table.from_pylist([row], schema=SCHEMA)
