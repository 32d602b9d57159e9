"""A keeper that leads its home, or stands by for another one and takes over.

Everything that is decided is decided by the one that leads, with everything that it knows in memory; so whatever is
stopped, withdrawn or revoked through one keeper holds in the other from the same moment on. The others hand on what
they are asked (``keeper.relay``). The right to lead ends with a process or with its database session; whoever gets
it replays the ledger, and a number in the control database fences off who led before (``db.lead``).

A keeper whose database went away, or whose ledger could not write, steps down and tries to lead again: nothing is
released meanwhile, and nobody has to start it again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from safehold.app.control import lead_of
from safehold.app.service import Service
from safehold.db import Lead
from safehold.errors import (
    ConflictError,
    InvalidError,
    SafeholdError,
    TamperedError,
    UnavailableError,
    place_of,
)
from safehold.keeper.client import LEADS
from safehold.keeper.relay import ALIVE, RELAYED, NotBegunError, relay
from safehold.keeper.server import Report, Verb
from safehold.ledger.files import replace_file
from safehold.settings import Home

_LOG = logging.getLogger(__name__)
POLL_S = 0.2  # between two attempts to lead while another does
WATCH_S = 0.5  # between two looks at whether this keeper still leads
REST_S = 1.0  # after a failed attempt; doubled with each, up to
LONGEST_REST_S = 30.0
PATIENCE_S = 15.0  # how long a caller waits while one keeper takes over from another
# the lock of the ledger goes a moment after the right to lead, if a process was killed or its session ended; for
# longer than a caller's patience only who never asked for that right holds it, as an embedded keeper may
HELD = "ledger.lock"


class Candidate(Mapping[str, Verb]):
    """One of the keepers of a home; as a mapping it is every verb, answered here or handed on.

    Args:
        home: The home.
        begin: Composes a keeper that leads, and takes over the right to lead.
        name: Of this keeper; the first one has none.
        watch_s: Between two looks at whether it still leads, seconds.
        rest_s: After a failed attempt to lead, seconds.
        patience_s: How long a caller waits for somebody to lead, seconds.
    """

    def __init__(
        self,
        home: Home,
        begin: Callable[[Lead], Service],
        *,
        name: str = "",
        watch_s: float = WATCH_S,
        rest_s: float = REST_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._home, self._begin, self._name = home, begin, name
        self._watch_s, self._rest_s, self._patience_s = watch_s, rest_s, patience_s
        self._socket = home.socket_of(name)
        self._closing = threading.Event()
        self._service: Service | None = None
        self._table: Mapping[str, Verb] = {}
        self._trouble: SafeholdError | None = None
        self._thread: threading.Thread | None = None
        # what a keeper that leads does beside answering: called with it, and what it returns ends that
        self.accompany: Callable[[Service], Callable[[], None]] = lambda _service: lambda: None

    @property
    def leads(self) -> bool:
        """Whether this keeper leads."""
        return self._service is not None

    @property
    def service(self) -> Service | None:
        """The keeper while it leads."""
        return self._service

    def start(self) -> None:
        """Lead, or stand by if another keeper does; from now on until ``close``.

        Raises:
            SafeholdError: Whatever keeps this keeper from leading, except that another one does.
        """
        first: Service | None = None
        deadline = time.monotonic() + self._patience_s
        while first is None and not self._closing.is_set():
            try:
                first = self._attempt()
            except ConflictError as error:
                if error.rule == "keeper.lead":
                    break
                if error.rule != HELD or time.monotonic() > deadline:
                    raise
                self._closing.wait(POLL_S)  # whoever led is leaving
            except SafeholdError:
                raise
            except Exception as error:  # noqa: BLE001 - what a damaged database says may quote rows
                raise _cannot_lead(error) from None
        self._thread = threading.Thread(target=self._go_on, args=(first,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Lead no longer, and let others."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    def _attempt(self) -> Service:
        """Take the right to lead, compose a keeper, and let callers in."""
        lead = lead_of(self._home, stand_by=True)
        if lead is None:  # pragma: no cover - who stands by always gets one
            raise UnavailableError("nobody says who leads", rule="keeper.lead")
        try:
            service = self._begin(lead)
        except BaseException:
            lead.close()
            raise
        try:
            replace_file(self._home.leader_file, self._socket.name.encode())
            self._table = service.verbs.table()
        except BaseException:
            self._leave(service)
            raise
        self._trouble = None
        self._service = service
        return service

    def _go_on(self, service: Service | None) -> None:
        rest = self._rest_s
        since = time.monotonic()  # when somebody else was last seen to lead
        while not self._closing.is_set():
            if service is None:
                try:
                    service = self._attempt()
                except ConflictError as error:
                    held = error.rule == HELD
                    if held and time.monotonic() - since > self._patience_s:
                        rest = self._fail(error, rest)
                        continue
                    self._trouble = None if held or error.rule == "keeper.lead" else error
                    since = since if held else time.monotonic()
                    self._closing.wait(POLL_S)
                    continue
                except SafeholdError as error:
                    rest = self._fail(error, rest)
                    continue
                except Exception as error:  # noqa: BLE001 - what a damaged database says may quote rows
                    rest = self._fail(_cannot_lead(error), rest)
                    continue
            began = time.monotonic()
            try:
                self._be_leader(service, rest)
            except Exception as error:  # noqa: BLE001 - no fault of what goes beside it may end the standing by
                trouble = error if isinstance(error, SafeholdError) else _cannot_lead(error)
                _LOG.warning("what goes beside this keeper broke: %s", trouble.message)
                self._fail(trouble, rest)
            healthy = time.monotonic() - began > 2 * LONGEST_REST_S
            rest = self._rest_s if healthy else min(rest * 2, LONGEST_REST_S)
            service, since = None, time.monotonic()

    def _be_leader(self, service: Service, rest: float) -> None:
        """Lead until that ends, with all that goes beside it."""
        with ExitStack() as ends:
            ends.callback(self._leave, service)
            ends.callback(self.accompany(service))
            ends.callback(self._close_doors, service)
            self._lead(service, rest)

    def _fail(self, error: SafeholdError, rest: float) -> float:
        """Say why it does not lead, wait, and return how long to wait the next time."""
        _LOG.warning("this keeper does not lead: %s", error.rule or error.code)
        self._trouble = error
        self._closing.wait(rest)
        return min(rest * 2, LONGEST_REST_S)

    def _lead(self, service: Service, rest: float) -> None:
        """Return when this keeper may lead no longer, or might do better after a new beginning."""
        since: float | None = None
        while not self._closing.wait(self._watch_s):
            if service.desk.lead is not None:
                try:
                    service.desk.lead.check()
                except SafeholdError as error:
                    self._trouble = error
                    _LOG.warning("this keeper leads no longer")
                    return
            failed = service.desk.ledger.failed
            if failed is None or isinstance(failed, TamperedError):
                since = None  # what was tampered with does not mend itself
            elif since is None:
                since = time.monotonic()
            elif time.monotonic() - since > rest:
                _LOG.warning("the ledger is opened again: %s", failed.rule or failed.code)
                self._trouble = failed
                return

    def _close_doors(self, service: Service) -> None:
        """Answer nobody any more, and let what is under way end."""
        self._service, self._table = None, {}
        service.desk.halt()

    def _leave(self, service: Service) -> None:
        """Let go of everything, and of the right to lead last."""
        self._close_doors(service)
        try:
            service.finish()
        except SafeholdError as error:
            _LOG.warning("the ledger was left as it is: %s", error.rule or error.code)
        finally:
            service.desk.halt()  # whatever was about to begin
            service.desk.engine.dispose()

    def __getitem__(self, name: str) -> Verb:
        if name == ALIVE:
            return lambda _arguments, _descriptors, _report: {"alive": True}
        if name == LEADS:
            return lambda _arguments, _descriptors, _report: {"leads": self.leads}
        return partial(self._carry_out, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str)

    def _carry_out(
        self,
        name: str,
        arguments: dict[str, Any],
        descriptors: Sequence[int],
        report: Report,
    ) -> dict[str, Any]:
        verb = name.removeprefix(RELAYED)
        deadline = time.monotonic() + self._patience_s
        while True:
            if table := self._table:
                if verb not in table:
                    raise InvalidError("no such verb", rule="keeper.verb")
                return table[verb](arguments, descriptors, report)
            if name != verb:
                raise UnavailableError("this keeper stands by", rule="keeper.stands-by")
            if (leader := self._leader()) is not None:
                try:
                    return relay(leader, verb, arguments, descriptors, report)
                except NotBegunError:
                    pass  # it has just gone: somebody is about to lead
            if self._trouble is not None:
                raise self._trouble
            if time.monotonic() > deadline:
                raise UnavailableError(
                    "no keeper of this home leads",
                    rule="keeper.lead",
                    fix="see what the keepers say, or start one: safehold serve",
                )
            self._closing.wait(0.05)

    def _leader(self) -> Path | None:
        """Return the socket of another keeper that said last that it leads."""
        try:
            name = self._home.leader_file.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
        known = {path.name: path for path in self._home.sockets}
        found = known.get(name)
        return None if found == self._socket else found


def _cannot_lead(error: Exception) -> UnavailableError:
    """Return what is told of a foreign error: its kind and the place in our source, no word of its own."""
    why = error.strerror if isinstance(error, OSError) else None
    return UnavailableError(
        f"this keeper cannot lead: {why or type(error).__name__} at {place_of(error)}",
        rule="keeper.start",
        fix="safehold doctor; if the home is damaged, restore it as a whole; else report this line",
    )
