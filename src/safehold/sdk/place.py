"""Where a session's keeper is: on this machine, or behind a portal; what either can do for a session."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Protocol

from safehold.app import embedded
from safehold.app.charters import charter_in_force
from safehold.app.secret import find_secret
from safehold.app.verification import verify_home
from safehold.charter import Charter
from safehold.errors import SafeholdError, TamperedError, UnavailableError
from safehold.keeper.signed import Line as AnyLine
from safehold.sdk.border import Secret
from safehold.sdk.line import Line
from safehold.sdk.rest import RestLine
from safehold.settings import Home


class Place(Protocol):
    """Where the keeper is."""

    @property
    def id(self) -> str:
        """Name of the home."""
        ...

    @property
    def line(self) -> AnyLine:
        """The line to its keeper."""
        ...

    def begin(self, secret: Secret) -> ExitStack:
        """Return what ends with the session."""
        ...

    def charter(self) -> Charter:
        """Return the charter in force."""
        ...

    def verify(self) -> dict[str, Any]:
        """Return what the offline verifier finds of the ledger."""
        ...


class Here:
    """A home on this machine.

    Args:
        home: The home.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self.line = Line(home.socket)

    @property
    def id(self) -> str:
        """Name of the home."""
        return self._home.id

    def begin(self, secret: Secret) -> ExitStack:
        """Start a keeper if none answers, and return what ends it."""
        stack = ExitStack()
        if not embedded.answers(self.line):
            stack.enter_context(embedded.connect(self._home, _opening(secret, self._home)))
        return stack

    def charter(self) -> Charter:
        """Return the charter in force: the one that lies in the home, if the keeper goes by it.

        Raises:
            TamperedError: It goes by another one.
        """
        charter, said = charter_in_force(self._home), self.line.call("status")["charter"]
        if said is None or said["digest"] != charter.digest().hex():
            raise TamperedError(
                "the charter in the home is not the one that the keeper goes by",
                rule="charter.in_force",
                fix="safehold drift",
            )
        return charter

    def verify(self) -> dict[str, Any]:
        """Return what the offline verifier finds of the ledger."""
        self.line.call("ledger.publish")
        return verify_home(self._home.path)


class There:
    """A keeper behind a portal.

    Args:
        line: To the portal.
    """

    def __init__(self, line: RestLine) -> None:
        self.line = line
        self._id = ""

    @property
    def id(self) -> str:
        """Name of the home, once it was asked for."""
        return self._id

    def begin(self, _secret: Secret) -> ExitStack:
        """Sign in, and return what signs out."""
        stack = ExitStack()
        self._id = str(self.line.call("hello")["home"])
        stack.callback(self.line.close)
        return stack

    def charter(self) -> Charter:
        """Return the charter that the keeper says is in force.

        Raises:
            TamperedError: It is not the one that the keeper says it goes by.
        """
        said = self.line.call("charter.show")
        charter = Charter.from_json(said["charter"])
        if charter.digest().hex() != said["digest"]:
            raise TamperedError("this is not the charter it says it is", rule="charter.in_force")
        return charter

    def verify(self) -> dict[str, Any]:
        """Refuse: what a portal says of its own ledger proves nothing.

        Raises:
            UnavailableError: Always.
        """
        raise UnavailableError(
            "the ledger is verified from its own address, with keys that do not come from here",
            rule="rest.ledger",
            fix="safehold-verify log URL --policy FILE",
        )


def _opening(secret: Secret, home: Home) -> dict[str, Any] | None:
    """Return what opens the root of a home.

    Raises:
        UnavailableError: It could not be asked for.
    """
    given = secret.tell()
    if given is None:
        return find_secret(home)
    if not callable(given):
        return {"passphrase": str(given)}
    try:
        return {"passphrase": str(given())}
    except SafeholdError:
        raise
    except Exception as error:
        raise UnavailableError(
            f"the passphrase could not be asked for: {type(error).__name__}",
            rule="sdk.passphrase",
        ) from error
