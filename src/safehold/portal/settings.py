"""Where a portal listens, under which address people know it, and its limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from safehold.errors import InvalidError
from safehold.settings import Home

LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one caller may take up.

    Args:
        body: Bytes of a request's body, unless a route says otherwise.
        upload: Bytes of a file that is handed in.
        reads: Requests a minute that only look, of one session or, signed out, of one address.
        writes: Requests a minute that change something.
        sign_ins: Sign-ins a minute from one address.
        session_s: Seconds a session lasts at most; the keeper's own limit holds as well.
    """

    body: int = 262_144
    upload: int = 64 << 20
    reads: int = 1_200
    writes: int = 120
    sign_ins: int = 20
    session_s: int = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalSettings:
    """One portal.

    Args:
        home: The home that it shows.
        origin: What people type, such as ``https://safehold.example``; the one origin that forms are taken from.
        state: Folder of the portal's own: its key and its journal.
        keys: Folder of the keys that seal what browsers and the keeper keep for portals: the same keys for all portals
            of a home. The portal's own folder unless it is named.
        keepers: Names of keepers that stand by, where the portal's account may not look for their sockets.
        drain_s: Seconds between the signal to end and the last request that is taken: a balancer looks elsewhere then.
        limits: What one caller may take up.
        languages: Codes, the first is spoken where none of them is asked for.
        behind: Addresses of proxies whose word on the client's address is taken.
        cast: Key files of made-up people whom anybody may be here; only for a home of made-up people.
    """

    home: Home
    origin: str
    state: Path
    keys: Path | None = None
    keepers: tuple[str, ...] = ()
    drain_s: float = 0.0
    limits: Limits = field(default_factory=Limits)
    languages: tuple[str, ...] = ("en", "de")
    behind: tuple[str, ...] = ()
    cast: Mapping[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.cast and not self.home.synthetic:
            raise InvalidError("a cast is for made-up people alone", rule="portal.cast")

    @property
    def seals(self) -> Path:
        """Folder of the keys that all portals of a home share."""
        return self.keys or self.state

    @property
    def host(self) -> str:
        """Name of the host in the origin: what passkeys are bound to."""
        return urlsplit(self.origin).hostname or ""


def check_origin(origin: str) -> str:
    """Return an origin under which a portal may be reached.

    Raises:
        InvalidError: It is no origin, or it is not protected on its way.
    """
    parts = urlsplit(origin)
    plain = parts.scheme == "http" and (parts.netloc.rpartition(":")[0] or parts.netloc) in LOCAL
    whole = f"{parts.scheme}://{parts.netloc}" == origin and parts.hostname is not None
    if not whole or parts.username is not None or not (parts.scheme == "https" or plain):
        raise InvalidError(
            "a portal is reached by https, or by http on this machine alone",
            rule="portal.origin",
            fix="--origin https://HOST, with a certificate here or at the proxy before it",
        )
    return origin
