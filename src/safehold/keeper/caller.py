"""Who asks for a verb: proved by a session, or whoever may speak to the keeper on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

LOCAL: Final = "local"
HUMAN: Final = "human"
WORKLOAD: Final = "workload"
AGENT: Final = "agent"
SENTINEL: Final = "sentinel"  # the one process beside a keeper that watches who reads
KINDS: Final = (LOCAL, HUMAN, WORKLOAD, AGENT, SENTINEL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One caller of one verb.

    Args:
        kind: ``local`` if nothing was proved but access to the socket; else the kind of principal, or ``sentinel``.
        id: Their id in the register of principals; ``caller`` for somebody local.
        role: The role that the register gives them.
        operator: The person an agent acts for.
        session: Id of the session.
        method: How they signed in.
        name: What proved them.
        entry: The leaf of the session.
        register: Version of the register of principals now.
        broken: The version in which they were last suspended, 0 if never.
    """

    kind: str = LOCAL
    id: str = "caller"
    role: str = ""
    operator: str = ""
    session: str = ""
    method: str = ""
    name: str = ""
    entry: int = -1
    register: int = 0
    broken: int = 0

    @property
    def proved(self) -> bool:
        """Whether they proved who they are."""
        return self.kind != LOCAL


SOMEBODY: Final = Caller()
_CALLER: ContextVar[Caller] = ContextVar("caller", default=SOMEBODY)


def caller() -> Caller:
    """Return who asked for the verb that is carried out now."""
    return _CALLER.get()


@contextmanager
def calling(who: Caller) -> Iterator[None]:
    """Carry a verb out for somebody."""
    token = _CALLER.set(who)
    try:
        yield
    finally:
        _CALLER.reset(token)
