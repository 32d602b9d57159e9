"""Which witnesses a home has besides its own, how many must cosign, and the policy that follows.

The list lies outside the home, so whoever copies or restores a home cannot shorten it. Every
witness that the operator of a home also runs only detects what went wrong afterwards; one that
somebody else keeps can make it impossible.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from safehold import canonical
from safehold.errors import ConflictError, InvalidError, MissingError, TamperedError
from safehold.ledger.files import replace_file
from safehold.ledger.policy import policy_text
from safehold.ledger.witness import AnyWitness, Witness
from safehold.ledger.witness_client import HttpWitness

VERSION: Final = "safehold-witnesses/1"
LOCAL: Final = "local"  # the home's own witness, in the policy
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_RESERVED = frozenset({LOCAL, "oversight", "none", "any", "all"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A witness that somebody keeps behind a URL.

    Args:
        name: One word for it, in the policy.
        url: Its prefix.
        vkeys: Its verifier keys; the first one counts for the quorum.
        seat: The seat of the board that keeps it, if one does.
        authority: PEM file of whoever vouches for its certificate, if not the system's.
    """

    name: str
    url: str
    vkeys: tuple[str, ...]
    seat: str = ""
    authority: str = ""

    def open(self) -> HttpWitness:
        """Return a line to it.

        Raises:
            InvalidError: Not such a URL, or no keys of a witness.
        """
        tls = None
        if self.authority:
            try:
                tls = ssl.create_default_context(cafile=self.authority)
            except (OSError, ssl.SSLError) as error:
                raise InvalidError(
                    f"the certificate that vouches for witness {self.name} cannot be read",
                    rule="ledger.witness.authority",
                ) from error
        return HttpWitness(self.url, vkeys=self.vkeys, tls=tls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """All witnesses of a home, and what they must do before something counts.

    Args:
        remote: Those besides the local one.
        quorum: How many must have cosigned a head, the local one included; all if absent.
        strict: Whether a release waits until its intent is cosigned.
    """

    remote: tuple[Remote, ...] = ()
    quorum: int | None = None
    strict: bool = True

    @classmethod
    def read(cls, path: Path) -> Panel:
        """Read the list of a home; a home without a file has its local witness only.

        Raises:
            TamperedError: The file is not one that ``write`` has made.
        """
        try:
            record = canonical.decode(path.read_bytes())
        except FileNotFoundError:
            return cls()
        except (OSError, InvalidError) as error:
            raise TamperedError("the list of witnesses is damaged", rule="ledger.panel") from error
        try:
            panel = cls(
                remote=tuple(
                    Remote(**{**one, "vkeys": tuple(one["vkeys"])}) for one in record["remote"]
                ),
                quorum=record["quorum"],
                strict={VERSION: record["strict"] is not False}[record["v"]],
            )
            panel.check()
        except (KeyError, TypeError, InvalidError) as error:
            raise TamperedError("the list of witnesses is damaged", rule="ledger.panel") from error
        return panel

    def write(self, path: Path) -> None:
        """Put the list in place, whole or not at all.

        Raises:
            InvalidError: It cannot hold; see ``check``.
        """
        self.check()
        record: dict[str, Any] = {
            "v": VERSION,
            "quorum": self.quorum,
            "strict": self.strict,
            "remote": [
                {
                    "name": one.name,
                    "url": one.url,
                    "vkeys": list(one.vkeys),
                    "seat": one.seat,
                    "authority": one.authority,
                }
                for one in self.remote
            ],
        }
        replace_file(path, canonical.encode(record))

    def check(self) -> None:
        """Pass if names, addresses, keys and the quorum can hold.

        Raises:
            InvalidError: They cannot.
        """
        names = [one.name for one in self.remote]
        for one in self.remote:
            if not _NAME.fullmatch(one.name) or one.name in _RESERVED or names.count(one.name) > 1:
                raise InvalidError(
                    "not a name for a witness",
                    rule="ledger.panel.name",
                    fix="one new word of small letters, such as works_council",
                )
            one.open()
        keys = [key for one in self.remote for key in one.vkeys]
        if len(keys) != len(set(keys)):
            raise InvalidError("one key for two witnesses", rule="ledger.panel.key")
        if self.quorum is not None and not 1 <= self.quorum <= len(self.remote) + 1:
            raise InvalidError(
                f"no such quorum of {len(self.remote) + 1} witnesses", rule="ledger.panel.quorum"
            )

    def add(self, one: Remote) -> Panel:
        """Return the list with one witness more."""
        if any(one.name == other.name for other in self.remote):
            raise ConflictError("there is a witness of this name", rule="ledger.panel.name")
        return replace(self, remote=(*self.remote, one))

    def remove(self, name: str) -> Panel:
        """Return the list without a witness; a quorum that is too large then becomes all."""
        left = tuple(one for one in self.remote if one.name != name)
        if len(left) == len(self.remote):
            raise MissingError("there is no witness of this name", rule="ledger.panel.name")
        fits = self.quorum is None or self.quorum <= len(left) + 1
        return replace(self, remote=left, quorum=self.quorum if fits else None)

    def open(self, local: Witness) -> list[AnyWitness]:
        """Return the local witness and a line to each of the others."""
        return [local, *(one.open() for one in self.remote)]

    def policy(self, logs: Sequence[str], local: Sequence[str]) -> str:
        """Return the policy (C2SP tlog-policy) that these witnesses and log keys make."""
        named: Mapping[str, Sequence[str]] = {
            LOCAL: local,
            **{one.name: one.vkeys for one in self.remote},
        }
        return policy_text(logs, named, quorum=self.quorum)

    def shortfall(self, *, least: int, includes: str) -> str | None:
        """Say what is missing from what a charter promises about witnesses, if anything is.

        The local witness does not count: it lies where the operator has power.
        """
        seats = {one.seat for one in self.remote}
        if len(self.remote) < least:
            return f"{len(self.remote)} of at least {least} witnesses outside"
        if least and includes not in seats:
            return f"no witness that {includes} keeps"
        return None


def policy_logs(path: Path) -> list[str]:
    """Return the verifier keys of the log that a policy file names, in its order.

    Raises:
        TamperedError: There is no such file, or it names none.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TamperedError("the policy outside cannot be read", rule="ledger.policy") from error
    found = [words[1] for line in lines if (words := line.split())[:1] == ["log"]]
    if not found:
        raise TamperedError("the policy outside trusts no log", rule="ledger.policy")
    return found
