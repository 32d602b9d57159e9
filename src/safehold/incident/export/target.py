"""Where findings are sent: ``targets.toml`` in the outside of a home, read strictly.

A secret is named by the file it lies in, never written there. What would send findings unprotected to another machine
is refused when the file is read, not when something is sent.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from safehold.errors import InvalidError
from safehold.incident.export.finding import ALERT, INCIDENT
from safehold.ledger.line import split_url

RULE: Final = "export.target"
SYSLOG, WEBHOOK, OTLP, MAIL = "syslog", "webhook", "otlp", "email"
PORTS: Final = {"tls": 6514, "udp": 514, "smtp": 587, "smtps": 465}
# form of what is sent, the default first
FORMS: Final[Mapping[str, tuple[str, ...]]] = {
    SYSLOG: ("ocsf", "text"),
    WEBHOOK: ("ocsf", "cloudevents", "cloudevents-binary"),
    OTLP: ("logs", "traces", "both"),
    MAIL: ("text",),
}
SCHEMES: Final = {SYSLOG: ("tls", "udp"), MAIL: ("smtp", "smtps")}
TAGGED, SHOWN = "tagged", "shown"
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
_KEYS: Final = frozenset(
    {"kind", "url", "form", "names", "kinds", "least", "authority", "secret", "user", "from", "to", "enterprise"}
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One receiver.

    Args:
        name: What it is called, one word.
        kind: ``syslog``, ``webhook``, ``otlp`` or ``email``.
        url: Where: ``tls://``, ``udp://`` (this machine), ``https://``, ``smtp://`` (STARTTLS), ``smtps://``.
        form: In which form; see ``FORMS``.
        names: ``tagged``: principals are keyed tags; ``shown``: the board decided that they have their names.
        kinds: ``alert``, ``incident`` or both.
        least: Nothing less grave is sent, 0 to 5.
        authority: PEM file of whoever vouches for the receiver's certificate; else the machine's own.
        secret: File of what signs a webhook, of a bearer token (OTLP), or of a password (e-mail).
        user: Name to sign in with (e-mail).
        sender: Address that an e-mail comes from.
        to: Addresses that it goes to.
        enterprise: Enterprise number of the structured data (syslog).
    """

    name: str
    kind: str
    url: str
    form: str
    names: str = TAGGED
    kinds: tuple[str, ...] = (ALERT, INCIDENT)
    least: int = 0
    authority: str = ""
    secret: str = ""
    user: str = ""
    sender: str = ""
    to: tuple[str, ...] = ()
    enterprise: int = 32473

    @property
    def place(self) -> tuple[str, int, str]:
        """Host, port and scheme of a target that is not HTTP."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or PORTS[parts.scheme], parts.scheme

    def shown(self) -> dict[str, Any]:
        """Return it for people: where to, in which form, with which names; no secret."""
        return {
            "target": self.name,
            "kind": self.kind,
            "url": self.url,
            "form": self.form,
            "names": self.names,
            "kinds": list(self.kinds),
            "least": self.least,
        }


def read_targets(path: Path) -> dict[str, Target]:
    """Return the targets of a home by name; none if there is no file.

    Raises:
        InvalidError: The file, or a target in it, cannot be used.
    """
    try:
        record = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidError(f"{path.name} cannot be read", file=path.name, rule=RULE) from error
    return {name: parse_target(name, said) for name, said in record.items()}


def parse_target(name: str, said: Any) -> Target:
    """Return one target, checked.

    Raises:
        InvalidError: It is not complete, says something unknown, or would send findings unprotected.
    """
    if not _NAME.fullmatch(name) or not isinstance(said, dict):
        raise InvalidError("not the name of a target", field=name, rule=RULE)
    if unknown := sorted(set(said) - _KEYS):
        raise _wrong(name, f"says {unknown[0]}, which no target knows")
    kind = said.get("kind")
    if not isinstance(kind, str) or kind not in FORMS:
        raise _wrong(name, "has no known kind", fix=", ".join(FORMS))
    form, names = said.get("form", FORMS[kind][0]), said.get("names", TAGGED)
    kinds, to = said.get("kinds", [ALERT, INCIDENT]), said.get("to", [])
    least, enterprise = said.get("least", 0), said.get("enterprise", 32473)
    if form not in FORMS[kind]:
        raise _wrong(name, "has no such form", fix=", ".join(FORMS[kind]))
    if names not in (TAGGED, SHOWN):
        raise _wrong(name, "says neither that names are tagged nor that they are shown")
    if not _words(kinds) or not kinds or not {*kinds} <= {ALERT, INCIDENT}:
        raise _wrong(name, "says not which kinds of findings it gets")
    if type(least) is not int or not 0 <= least <= 5:
        raise _wrong(name, "has a least severity of 0 to 5")
    if type(enterprise) is not int or not 0 < enterprise < 2**32:
        raise _wrong(name, "has an enterprise number")
    texts = [said.get(key, "") for key in ("url", "authority", "secret", "user", "from")]
    if not all(isinstance(one, str) for one in texts) or not _words(to):
        raise _wrong(name, "has words where words are due")
    target = Target(
        name=name, kind=kind, url=texts[0], form=form, names=names, kinds=tuple(kinds), least=least,
        authority=texts[1], secret=texts[2], user=texts[3], sender=texts[4], to=tuple(to), enterprise=enterprise,
    )  # fmt: skip
    _check_place(target)
    return target


def is_here(host: str) -> bool:
    """Say whether a host is this machine, whatever a name service says."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_place(target: Target) -> None:
    if target.kind in (WEBHOOK, OTLP):
        split_url(target.url, what="receiver of findings", rule=RULE)  # HTTPS, or this machine
        if target.kind == WEBHOOK and not target.secret:
            raise _wrong(target.name, "has no secret to sign with", fix="secret = a file's path")
        return
    try:
        parts = urlsplit(target.url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _wrong(target.name, "has no URL") from error
    bare = not (parts.path or parts.query or parts.fragment or "@" in parts.netloc)
    if parts.scheme not in SCHEMES[target.kind] or not host or port == 0 or not bare:
        fix = " or ".join(f"{scheme}://host:port" for scheme in SCHEMES[target.kind])
        raise _wrong(target.name, "has no URL", fix=fix)
    if parts.scheme == "udp" and not is_here(host):
        raise _wrong(target.name, "would send over UDP to another machine", fix="tls://host:6514")
    if target.kind == MAIL and (not target.sender or not target.to):
        raise _wrong(target.name, "says neither from whom nor to whom", fix="from and to")
    if target.user and not target.secret:
        raise _wrong(target.name, "has a user and no secret", fix="secret = a file's path")


def _words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) and one for one in value)


def _wrong(name: str, what: str, fix: str | None = None) -> InvalidError:
    return InvalidError(f"target {name} {what}", field=name, rule=RULE, fix=fix)
