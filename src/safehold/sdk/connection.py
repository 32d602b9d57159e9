"""How a session begins: at the keeper's own socket, or at a portal."""

from __future__ import annotations

import getpass
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from safehold.app.draft import ROLE
from safehold.errors import InvalidError
from safehold.keeper.client import Progress
from safehold.sdk import notebook
from safehold.sdk.border import Secret, guarded
from safehold.sdk.place import Here, Place, There
from safehold.sdk.rest import RestLine
from safehold.sdk.session import Session
from safehold.settings import Home
from safehold.signing import SigningKey

DEFAULT_HOME: Final = "safehold-home"


def connect(
    home: str | Path | None = None,
    *,
    passphrase: str | Callable[[], str] | None = None,
    holder: str | Path | None = None,
    as_: str | None = None,
    role: str = ROLE,
    progress: Progress | None = None,
    key: str | Path | SigningKey | None = None,
    tls: ssl.SSLContext | None = None,
) -> Session:
    """Return a session with the keeper of a home; one is started for as long as it is open if none runs.

    Args:
        home: The home's directory, or the address of its portal; else ``SAFEHOLD_HOME``, else ``safehold-home``.
        passphrase: What opens the root key if a keeper must be started, or a function that asks for it, which is
            better: it stands in no variable. Else what the environment names, as for the command line.
        holder: File of the key that may use what is granted, made if it does not exist. Else a key that ends with the
            session.
        as_: Who asks; else the user's name on this machine.
        role: The role of whoever asks, from the charter.
        progress: Told how far waits and runs are; else drawn where a notebook or a terminal is.
        key: At a portal: the key, or its file, that whoever asks is enrolled with.
        tls: At a portal: what is believed of certificates; what this machine believes else.

    Raises:
        SignInError: Nobody is enrolled with this key.
        MissingError: The directory is no home.
        UnavailableError: No keeper runs, and nothing was given that opens the root.
        InvalidError: The root does not open with what was given.
    """
    given, passphrase = Secret(passphrase), None
    return _connect(
        home, given, holder=holder, as_=as_, role=role, progress=progress, key=key, tls=tls
    )


@guarded
def _connect(
    home: str | Path | None,
    secret: Secret,
    *,
    holder: str | Path | None,
    as_: str | None,
    role: str,
    progress: Progress | None,
    key: str | Path | SigningKey | None,
    tls: ssl.SSLContext | None,
) -> Session:
    named = home if home is not None else os.environ.get("SAFEHOLD_HOME", DEFAULT_HOME)
    place: Place
    if str(named).startswith(("https://", "http://")):
        place = There(RestLine(str(named), _own(key), tls=tls))
        # a portal knows who asks by their key: a name that was given here would be another one's
        told = place.line.call("session.show")
        as_, role = str(told["principal"]), str(told["role"])
    else:
        place = Here(Home.open(Path(named)))
    session = Session(
        place,
        key=_holder(None if holder is None else Path(holder)),
        requester=as_ if as_ is not None else getpass.getuser(),
        role=role,
        # a passphrase that was given as text is used once and not kept
        secret=secret if callable(secret.tell()) else Secret(None),
        progress=notebook.progress_here() if progress is None else progress,
    )
    return session._begin(secret)  # noqa: SLF001 - the two are one


def _own(key: str | Path | SigningKey | None) -> SigningKey:
    """Return the key that somebody signs in with at a portal.

    Raises:
        InvalidError: None was named.
    """
    if key is None:
        raise InvalidError(
            "a portal wants to know who asks",
            rule="rest.key",
            fix="safehold.connect(url, key=FILE), with the key that you are enrolled with",
        )
    return key if isinstance(key, SigningKey) else SigningKey.read(Path(key))


def _holder(file: Path | None) -> SigningKey:
    """Return the holder's key: that of a file, made if it is not there, or one that lives in memory only."""
    if file is None:
        return SigningKey.generate()
    if not file.exists():
        SigningKey.generate().write(file)
    return SigningKey.read(file)
