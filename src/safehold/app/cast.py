"""A cast for the pages of a home of made-up people: one of each kind, whose keys lie with the portal that shows them.

For looking around and for nothing else: a portal that holds somebody's key can act for them. So it is refused for
every home that holds real people.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from safehold.app.me import Me
from safehold.app.signing_in import signed
from safehold.errors import ConflictError, InvalidError, MissingError
from safehold.keeper.client import KeeperClient
from safehold.keeper.signed import open_with_key
from safehold.settings import Home
from safehold.signing import SigningKey

# name -> role of the charter; a role that the charter does not have is left out
CAST: Final = {
    "an-employee": "employee",
    "a-scientist": "data_scientist",
    "an-engineer": "engineer",
    "an-auditor": "auditor",
}
EMPLOYEE: Final = "an-employee"


def put_on_stage(home: Home, client: KeeperClient, *, state: Path, person: str) -> dict[str, Path]:
    """Enrol the cast where it is not, and link the employee to one made-up person.

    Args:
        home: A home of made-up people.
        client: A line of whoever operates it.
        state: Folder for the keys.
        person: Whom the employee is.

    Returns:
        The key file of each of the cast.

    Raises:
        InvalidError: The home holds real people.
        MissingError: There is no such person.
    """
    if not home.synthetic:
        raise InvalidError(
            "a portal holds nobody's key but those of made-up people",
            rule="portal.cast",
            fix="safehold portal serve; people sign in by themselves",
        )
    folder = state / "cast"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    known = {one["principal"] for one in client.call("principal.list")["principals"]}
    roles = set(_roles(client))
    found = {}
    for name, role in CAST.items():
        if role not in roles:
            continue
        file = folder / f"{name}.key"
        if not file.exists():
            SigningKey.generate().write(file)
        if name not in known:
            names = [f"key:{SigningKey.read(file).public.text()}"]
            client.call("principal.enrol", principal=name, kind="human", role=role, names=names)
        found[name] = file
    if EMPLOYEE in found:
        _link(home, client, found[EMPLOYEE], person)
    return found


def _roles(client: KeeperClient) -> list[str]:
    charter: dict[str, Any] | None = client.call("public.home")["charter"]
    if charter is None:
        raise MissingError("no charter is in force", rule="charter.unsigned", fix="safehold demo")
    return list(charter["who_may"])


def _link(home: Home, client: KeeperClient, file: Path, person: str) -> None:
    session, _ = open_with_key(client, SigningKey.read(file))
    own = signed(client, session)
    if own.call("session.show").get("person"):
        return
    code = client.call("people.invite", person=person)["code"]
    try:
        Me(home, own, person=person, key=None).link(code)
    except ConflictError as error:
        raise InvalidError(
            "this person speaks by themselves already", rule="portal.cast", fix="--person ANOTHER"
        ) from error
