"""What the board orders about an auditor: to engage one, to dismiss one.

An order counts once, for one home, shortly after it was drawn up. It takes what widening takes: who engages a mild
auditor, or sends a strict one away, loosens everything that an audit holds.
"""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass
from typing import Any, Final

from safehold import canonical
from safehold.canonical import unb64
from safehold.clock import DAY_US, SECOND_US, day_of
from safehold.errors import DeniedError, InvalidError
from safehold.ledger.vkey import ED25519, VKey

VERSION: Final = "safehold.engagement/1"
DOMAIN: Final = "safehold.engagement.v1"
ENGAGE, DISMISS = "engage", "dismiss"
LIFE_US: Final = 3 * DAY_US  # seats sign on several machines
LONGEST_DAYS: Final = 180  # of one engagement
SOON_DAYS: Final = 30  # between the order and the first day
LONGEST: Final = 256  # characters of a name
MOST_CONTROLS: Final = 256
RULE: Final = "audit.order"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngagementOrder:
    """An order to engage an auditor.

    Args:
        text: As it was signed.
        at_us: When it was drawn up.
        seat: Seat that drew it up.
        organisation: Whose auditor it is.
        lead: Id of the person who leads the audit, as the board knows people.
        vkey: What verifies the auditor's words.
        opening: What is sealed for them is sealed to this key, 32 bytes.
        first: First epoch of the scope.
        last: Last of it.
        controls: Ids of the controls in the scope; empty for all.
        starts: UTC day number on which it begins.
        ends: Last day on which a word of it is heard.
    """

    text: bytes
    at_us: int
    seat: str
    organisation: str
    lead: str
    vkey: VKey
    opening: bytes
    first: int
    last: int
    controls: tuple[str, ...]
    starts: int
    ends: int

    @property
    def sha256(self) -> str:
        """Its name in the ledger, hex."""
        return hashlib.sha256(self.text).hexdigest()

    @property
    def org(self) -> str:
        """The organisation's name as it stands in the ledger: a hash, of one spelling of it."""
        return organisation_hash(self.organisation)


@dataclass(frozen=True, slots=True, kw_only=True)
class DismissalOrder:
    """An order to end an engagement: its text, when, by which seat drawn up, which one, and why."""

    text: bytes
    at_us: int
    seat: str
    engagement: int
    reason: str

    @property
    def sha256(self) -> str:
        """Its name in the ledger, hex."""
        return hashlib.sha256(self.text).hexdigest()


def organisation_hash(name: str) -> str:
    """Return the hash of an organisation's name; its spelling makes no other organisation, see ``fold``."""
    return hashlib.sha256(fold(name).encode()).hexdigest()


def fold(name: str) -> str:
    """Return a name without what makes no other name: case, spaces, what is not seen, another way to write a letter."""
    plain = unicodedata.normalize("NFKC", name)
    seen = "".join(one for one in plain if unicodedata.category(one) != "Cf")
    return " ".join(unicodedata.normalize("NFKC", seen.casefold()).split())


def write_order(what: str, *, home: str, at_us: int, seat: str, **said: Any) -> bytes:
    """Return an order as it is signed.

    Args:
        what: ``engage`` or ``dismiss``.
        home: Id of the home.
        at_us: Now.
        seat: Seat that draws it up.
        said: The rest of it.
    """
    return canonical.encode(
        {"v": VERSION, "what": what, "home": home, "at_us": at_us, "seat": seat, **said}
    )


def read_engagement(text: bytes, *, home: str) -> EngagementOrder:
    """Return the order to engage that seats signed.

    Raises:
        InvalidError: It is none; the field says where.
        DeniedError: It is for another home.
    """
    match _read(text, ENGAGE, home):
        case {"at_us": int(at), "seat": str(seat), "organisation": str(organisation), "lead": str(lead),
              "vkey": str(vkey), "opening": str(opening), "starts": int(starts), "ends": int(ends),
              "scope": {"first": int(first), "last": int(last), "controls": list(controls)}}:  # fmt: skip
            pass
        case _:
            raise InvalidError("not an order to engage an auditor", rule=RULE)
    for field, given in (("organisation", organisation), ("lead", lead), ("seat", seat)):
        if not 0 < len(given.strip()) <= LONGEST:
            raise InvalidError("a name is missing or too long", field=field, rule=RULE)
    if not 0 <= first <= last:
        raise InvalidError("a scope is epochs, the first before the last", field="scope", rule=RULE)
    if len(controls) > MOST_CONTROLS or not all(isinstance(one, str) for one in controls):
        raise InvalidError("controls are named by their ids", field="controls", rule=RULE)
    if not starts <= ends < starts + LONGEST_DAYS:
        raise InvalidError(
            f"an engagement lasts {LONGEST_DAYS} days at most", field="ends", rule=RULE
        )
    key, raw = VKey.parse(vkey), unb64(opening)
    if key.algorithm != ED25519 or len(raw) != 32:
        raise InvalidError(
            "an auditor's keys are those of `safehold-verify auditor`", field="vkey", rule=RULE
        )
    return EngagementOrder(
        text=text,
        at_us=at,
        seat=seat,
        organisation=organisation,
        lead=lead,
        vkey=key,
        opening=raw,
        first=first,
        last=last,
        controls=tuple(controls),
        starts=starts,
        ends=ends,
    )


def read_dismissal(text: bytes, *, home: str) -> DismissalOrder:
    """Return the order to dismiss that seats signed.

    Raises:
        InvalidError: It is none.
        DeniedError: It is for another home.
    """
    match _read(text, DISMISS, home):
        case {"at_us": int(at), "seat": str(seat), "engagement": int(index), "reason": str(reason)} if (
            0 < len(reason) <= LONGEST
        ):  # fmt: skip
            return DismissalOrder(text=text, at_us=at, seat=seat, engagement=index, reason=reason)
        case _:
            raise InvalidError("not an order to dismiss an auditor", rule=RULE)


def check_time(at_us: int, now_us: int) -> None:
    """Pass if an order was drawn up just now.

    Raises:
        DeniedError: It is of another time.
    """
    if not now_us - LIFE_US <= at_us <= now_us + SECOND_US:
        raise DeniedError("an order of another time", rule=RULE, fix="draw it up anew")


def check_dates(order: EngagementOrder, now_us: int) -> None:
    """Pass if an engagement is not over already, and begins soon.

    Raises:
        InvalidError: It is, or does not.
    """
    today = day_of(now_us)
    if order.ends < today or not today - SOON_DAYS <= order.starts <= today + SOON_DAYS:
        raise InvalidError("an engagement of another time", field="starts", rule=RULE)


def _read(text: bytes, what: str, home: str) -> dict[str, Any]:
    tree = canonical.decode(text)
    if not isinstance(tree, dict) or tree.get("v") != VERSION:
        raise InvalidError("not an order about an auditor", rule=RULE)
    if (tree.get("what"), tree.get("home")) != (what, home):
        raise DeniedError("an order for something else", rule=RULE)
    return tree
