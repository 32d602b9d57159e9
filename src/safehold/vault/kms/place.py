"""How a root is named: the address of a key elsewhere, parsed strictly, and never with a secret in it.

- ``pkcs11:token=T;object=K?module-path=/usr/lib/...so`` (RFC 7512), without a PIN;
- ``aws-kms://arn:aws:kms:REGION:ACCOUNT:key/ID``, with ``?endpoint=https://...`` for another host;
- ``hcvault://HOST:PORT/transit/keys/NAME`` for Vault or OpenBao, with ``?ca=/file.pem`` for certificates of one's
  own, and ``?plain=yes`` on loopback.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from safehold.errors import InvalidError

REMOTE: Final = ("pkcs11", "aws-kms", "hcvault")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_ARN: Final = re.compile(
    r"arn:aws[a-z-]{0,16}:kms:([a-z0-9-]{4,32}):[0-9]{12}:key/[A-Za-z0-9-]{1,64}"
)
_MOUNTED: Final = re.compile(r"/([A-Za-z0-9._-]{1,64})/keys/([A-Za-z0-9._-]{1,64})")
_LONGEST: Final = 1024


def parse_place(text: str) -> tuple[str, dict[str, str]]:
    """Return the kind of a key elsewhere, and where it is.

    Raises:
        InvalidError: Not an address of a kind that is known, or one that carries a secret.
    """
    if len(text) > _LONGEST or not text.isprintable():
        raise _wrong("an address is one short line")
    scheme = text.partition(":")[0]
    try:
        match scheme:
            case "pkcs11":
                return scheme, _token(text)
            case "aws-kms":
                return scheme, _aws(text)
            case "hcvault":
                return scheme, _vault(text)
            case _:
                raise _wrong("it begins with none of pkcs11:, aws-kms:, hcvault:")
    except ValueError:  # a port that is none, brackets that do not close
        raise _wrong("it is no address") from None


def check_where(kind: str, where: Mapping[str, str]) -> dict[str, str]:
    """Return the parts of a place as a root file has them, checked as those of an address are.

    Raises:
        InvalidError: They are not what ``parse_place`` returns.
    """
    fields = {
        "pkcs11": {"module", "token", "object"},
        "aws-kms": {"key", "region", "endpoint"},
        "hcvault": {"url", "mount", "key", "ca"},
    }
    if set(where) != fields.get(kind) or not all(type(one) is str for one in where.values()):
        raise _wrong("it has other parts than its kind has")
    if kind == "hcvault":
        check_url(where["url"])
        if where["ca"] and not where["ca"].startswith("/"):
            raise _wrong("ca is an absolute path")
    elif kind == "aws-kms" and where["endpoint"]:
        check_url(where["endpoint"])
    elif kind == "pkcs11" and not where["module"].startswith("/"):
        raise _wrong("module-path is an absolute path")
    return dict(where)


def check_url(url: str) -> str:
    """Let a URL pass if what is sent there is encrypted on the way, or does not leave this machine.

    Raises:
        InvalidError: It is neither, or it carries a name, a password or more than host and port.
    """
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query or parts.fragment or parts.path.strip("/"):
        raise _wrong("a URL here is a host and a port")
    if not parts.hostname or not (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    ):
        raise _wrong("it is reached over https, or on this machine")
    return url


def _token(text: str) -> dict[str, str]:
    path, _, query = text.removeprefix("pkcs11:").partition("?")
    attributes = _pairs(path, ";") | _pairs(query, "&")
    if any(name.startswith("pin-") for name in attributes):
        raise InvalidError(
            "a PIN is never part of an address: others see it",
            rule="root.place",
            fix="give the PIN with --unlock FILE, or - for standard input",
        )
    if set(attributes) != {"token", "object", "module-path"}:
        raise _wrong("a token is named by token, object and module-path")
    where = {
        "module": attributes["module-path"],
        "token": attributes["token"],
        "object": attributes["object"],
    }
    return check_where("pkcs11", where)


def _pairs(text: str, between: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, text.split(between)):
        name, sign, value = part.partition("=")
        if not sign or not value or name in found:
            raise _wrong("an attribute has a name and a value, once")
        found[name] = unquote(value, errors="strict")
    return found


def _aws(text: str) -> dict[str, str]:
    arn, _, query = text.removeprefix("aws-kms://").partition("?")
    found = _ARN.fullmatch(arn)
    options = dict(parse_qsl(query, strict_parsing=True)) if query else {}
    if found is None or set(options) - {"endpoint"}:
        raise _wrong("a key of AWS KMS is named by its ARN; an alias may point elsewhere tomorrow")
    where = {"key": arn, "region": found[1], "endpoint": options.get("endpoint", "")}
    return check_where("aws-kms", where)


def _vault(text: str) -> dict[str, str]:
    parts = urlsplit(text)
    found = _MOUNTED.fullmatch(parts.path)
    options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    if found is None or not parts.netloc or set(options) - {"plain", "ca"}:
        raise _wrong("a transit key is named by host, mount, `keys` and name")
    scheme = "http" if options.get("plain") == "yes" else "https"
    where = {
        "url": f"{scheme}://{parts.netloc}",
        "mount": found[1],
        "key": found[2],
        "ca": options.get("ca", ""),
    }
    return check_where("hcvault", where)


def _wrong(why: str) -> InvalidError:
    return InvalidError(
        f"not the address of a root key: {why}",
        rule="root.place",
        fix="see docs/how-to/keep-the-root-in-an-hsm.md",
    )
