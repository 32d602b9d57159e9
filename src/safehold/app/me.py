"""A person at their own desk: says what they choose, by their own key or their linked sign-in, and keeps the receipts.

Nothing here needs a right on the home beyond its socket: whoever has the key is the person.
"""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

from safehold.app.trail import export_asked, write_private
from safehold.canonical import b64, unb64
from safehold.clock import DAY_US, SECOND_US
from safehold.errors import ConflictError, InvalidError, TamperedError
from safehold.keeper.client import KeeperClient
from safehold.keeper.messages import AS_SELF, ask, state
from safehold.settings import Home
from safehold.signing import SigningKey
from safehold_verify import VerificationError, verify_choice
from safehold_verify.person import Person

_LENGTH = re.compile(r"([1-9][0-9]{0,5})([mhdw])")
_UNITS = {"m": 60 * SECOND_US, "h": 3600 * SECOND_US, "d": DAY_US, "w": 7 * DAY_US}


class Me:
    """One person with their key.

    Args:
        home: The home.
        client: A line to its keeper.
        person: The company's name for them.
        key: Their key; without it the line's session speaks for them, if it is linked.
    """

    def __init__(
        self, home: Home, client: KeeperClient, *, person: str, key: SigningKey | None
    ) -> None:
        self._home = home
        self._client = client
        self._person = person
        self._key = key

    def choose(self, choice: str, *, receipts: Path | None = None, **fields: Any) -> dict[str, Any]:
        """Say a choice, signed if there is a key, have it recorded, check its receipt, and keep that.

        Args:
            choice: Which.
            receipts: Folder for the receipt; without one it is not kept.
            fields: What else the choice says; what is None is left out.

        Raises:
            TamperedError: The receipt that came back does not hold.
        """
        said = {name: value for name, value in fields.items() if value is not None}
        answer = self._client.call("people.choose", **self._said(choice, said))
        receipt = answer.pop("receipt", None)
        if receipt is not None:
            self._check(receipt)
            if receipts is not None:
                answer["receipt"] = str(_keep(receipts, answer["entry"], choice, receipt))
        return answer

    def link(self, code: str | None, *, receipts: Path | None = None) -> dict[str, Any]:
        """Let the line's session speak for the person: by their code, or signed with their key.

        Raises:
            InvalidError: Both were given, or neither.
        """
        if (code is None) == (self._key is None):
            raise InvalidError(
                "give your code, or your key", rule="cli.options", fix="--code or --key"
            )
        if code is not None:
            return self.choose("link", receipts=receipts, code=code)
        identity = self._client.call("session.show")["identity"]
        return self.choose("link", receipts=receipts, identity=identity)

    def leave(self, confirm: str) -> dict[str, Any]:
        """Have the person erased, as was shown and confirmed."""
        return self._client.call("people.erase", **self._said("erase", {"confirm": confirm}))

    def copy(self, opener: Path, out: Path) -> dict[str, Any]:
        """Have a copy of everything about the person written to a new file, sealed to the key in ``opener``.

        Raises:
            ConflictError: There is a file already.
        """
        asked = {
            AS_SELF: True,
            "person": self._person,
            "open_to": b64(Person.read(opener).opening()),
        }
        return export_asked(self._client, asked, out)

    def _said(self, choice: str, said: dict[str, Any]) -> dict[str, Any]:
        if self._key is None:
            return {AS_SELF: True, "person": self._person, "choice": choice, **said}
        charter = self._client.call("status")["charter"]
        return state(
            self._key,
            choice,
            home=self._home.id,
            person=self._person,
            charter="" if charter is None else charter["digest"],
            nonce=unb64(self._client.call("nonce")["nonce"]),
            **said,
        )

    def ask(self, verb: str, **more: Any) -> dict[str, Any]:
        """Ask for something that only the person may see."""
        if self._key is None:
            return self._client.call(verb, as_self=True, person=self._person, **more)
        nonce = unb64(self._client.call("nonce")["nonce"])
        shown = ask(self._key, home=self._home.id, person=self._person, verb=verb, nonce=nonce)
        return self._client.call(verb, **shown, **more)

    def receipts(self, folder: Path | None) -> list[dict[str, Any]]:
        """Return what was chosen or entered, each checked; written to a folder if one is named."""
        found = []
        for one in self.ask("people.receipts")["receipts"]:
            text = one.pop("receipt")
            if text is not None:
                self._check(text)
                if folder is not None:
                    one["receipt"] = str(_keep(folder, one["entry"], one["choice"], text))
            found.append(one)
        return found

    def _check(self, receipt: str) -> None:
        try:
            verify_choice(receipt.encode(), self._home.policy_file)
        except VerificationError as error:
            raise TamperedError(str(error), rule="subjects.receipt") from error


def new_key(file: Path) -> SigningKey:
    """Make a person's key in a new file.

    Raises:
        ConflictError: There is a file.
    """
    if file.exists():
        raise ConflictError("the key file exists", rule="subjects.key", fix="name a new file")
    key = SigningKey.generate()
    key.write(file)
    return key


def length_us(text: str) -> int:
    """Return the microseconds of ``30m``, ``8h``, ``3d`` or ``2w``."""
    found = _LENGTH.fullmatch(text)
    if found is None:
        raise InvalidError(
            "a length of time is a number and m, h, d or w", field="for", rule="cli.length"
        )
    return int(found[1]) * _UNITS[found[2]]


def days_of(texts: list[str]) -> list[list[Any]]:
    """Return stretches of days from texts such as ``speech:2026-11-02`` or ``key:2026-11-02..2026-11-04``."""
    found = []
    for text in texts:
        stream, _, days = text.partition(":")
        first, _, last = days.partition("..")
        found.append([stream, day_of_text(first), day_of_text(last or first)])
    return found


def day_of_text(text: str) -> int:
    """Return the UTC day number of a date such as ``2026-11-02``."""
    try:
        return (date.fromisoformat(text) - date(1970, 1, 1)).days
    except ValueError as error:
        raise InvalidError("a day is written 2026-11-02", field="days", rule="cli.day") from error


def _keep(folder: Path, entry: int, choice: str, receipt: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return write_private(folder / f"{entry:08}-{choice}.receipt", receipt.encode())


__all__ = ["Me", "day_of_text", "days_of", "length_us", "new_key"]
