"""Sealed objects in a bucket of any store that speaks S3.

What holds: an object is there whole or not at all (one PUT, never in parts), is never replaced (``If-None-Match: *``),
and was acknowledged by the store before anybody is told. How durable an acknowledged object is, the store says.

Doesn't: hide anything from the store, or trust it. It sees ciphertext of bucketed sizes under random names, and when
they come and go. What it loses, cuts, swaps or puts back is found by whoever reads; what it keeps of deleted objects,
as a bucket with versions or object lock does, is noise once their keys are destroyed.

Credentials come from a file that nobody else may read, or from the machine's identity; never from an argument, a
URL or the environment, which everything that is started inherits.
"""

from __future__ import annotations

import configparser
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import obstore
from obstore.exceptions import (
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from safehold import ids
from safehold.clock import DAY_US
from safehold.errors import (
    ConflictError,
    InvalidError,
    MissingError,
    SafeholdError,
    UnavailableError,
)
from safehold.vault.objects import Objects, is_name, name_id, new_name

PATIENCE: Final = timedelta(seconds=20)  # until a store that does not answer counts as away
KEPT: Final = timedelta(minutes=5)  # until the file of credentials is read again
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")  # S3 general purpose buckets
_PREFIX: Final = re.compile(r"(?:[A-Za-z0-9_.-]{1,64}/){0,8}")
_REGION: Final = re.compile(r"[a-z0-9-]{2,32}")
_PROFILE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_PORT: Final = 65_535
_GONE: Final = (FileNotFoundError, NotFoundError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a bucket is.

    Args:
        bucket: Its name.
        prefix: What every name in it begins with; empty or ending in a slash.
        endpoint: ``https://host``, or empty for AWS.
        region: Region that requests are signed for.
        profile: Section of the file of credentials; empty for the identity of the machine.
    """

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = "us-east-1"
    profile: str = "default"

    @classmethod
    def parse(cls, url: str) -> Place:
        """Read ``s3://BUCKET/PREFIX?endpoint=URL&region=R&profile=P`` or ``...&identity=machine``.

        Raises:
            InvalidError: It is none, or holds something secret. The message never quotes it.
        """
        try:
            parts = urlsplit(url)
            given = parse_qsl(parts.query, strict_parsing=bool(parts.query), keep_blank_values=True)
            user = parts.username or parts.password or parts.port
        except ValueError as error:
            raise _wrong("not a URL") from error
        asked = dict(given)
        if user or parts.fragment or len(asked) != len(given):
            raise _wrong("no user, port or fragment, and nothing twice")
        if not asked.keys() <= {"endpoint", "region", "profile", "identity"}:
            raise _wrong("only endpoint, region, profile and identity; credentials lie in a file")
        if asked.get("identity", "machine") != "machine" or {"identity", "profile"} <= asked.keys():
            raise _wrong("either a profile or identity=machine")
        prefix = parts.path.strip("/")
        prefix = f"{prefix}/" if prefix else ""
        found = cls(
            bucket=parts.netloc,
            prefix=prefix,
            endpoint=_endpoint(asked.get("endpoint", "")),
            region=asked.get("region", "us-east-1"),
            profile="" if "identity" in asked else asked.get("profile", "default"),
        )
        if (
            parts.scheme != "s3"
            or not _BUCKET.fullmatch(found.bucket)
            or not _PREFIX.fullmatch(found.prefix)
            or ".." in found.prefix
        ):
            raise _wrong("s3://BUCKET/PREFIX, of plain letters")
        if not _REGION.fullmatch(found.region) or (
            "identity" not in asked and not _PROFILE.fullmatch(found.profile)
        ):
            raise _wrong("a region and a profile are plain words")
        return found


class Bucket(Objects):
    """Sealed objects of one home in a bucket.

    Args:
        place: Where.
        home: Id of the home; its objects lie under it, so that no home takes another's for left over.
    """

    apart = 1024 * 1024  # another request takes as long as a megabyte does
    grace_us = DAY_US  # another keeper may be about to make known what it has just stored

    def __init__(self, place: Place, *, home: str) -> None:
        self._prefix = f"{place.prefix}{home}/"
        own = place.endpoint or f"https://{place.bucket}.s3.{place.region}.amazonaws.com"
        self._store = S3Store(
            place.bucket,
            prefix=self._prefix,
            config={
                "endpoint": own,
                "aws_endpoint_url_s3": own,
                "region": place.region,
                "virtual_hosted_style_request": not place.endpoint,
                "checksum_algorithm": "SHA256",
                "conditional_put": "etag",
                "skip_signature": False,
                "s3_express": False,
                "disable_bulk_delete": True,
                "imdsv1_fallback": False,
            },
            client_options={
                "allow_http": own.startswith("http://"),
                "connect_timeout": timedelta(seconds=5),
                "timeout": timedelta(minutes=5),
                "user_agent": "safehold",
            },
            retry_config={"max_retries": 3, "retry_timeout": PATIENCE},
            credential_provider=Credentials(place.profile) if place.profile else None,
        )

    def put(self, name: str, data: bytes | bytearray) -> None:
        """Store an object under a new name; the store has acknowledged it when this returns.

        An answer that was lost on its way makes the same bytes come twice; that is no conflict.

        Raises:
            ConflictError: The name is taken by something else; what lies there is untouched.
            UnavailableError: The store does not answer, or refused.
        """
        name_id(name)
        try:
            self._create(name, data)
        except ConflictError:
            if self.get(name) != data:
                raise

    def delete(self, name: str) -> None:
        """Remove an object; nothing if it is gone. Versions that the bucket keeps stay, as noise.

        Raises:
            UnavailableError: The store does not answer, or refused.
        """
        name_id(name)
        try:
            obstore.delete(self._store, name)
        except _GONE:
            return
        except (BaseError, OSError) as error:
            raise self._away("removed", error) from error

    def names(self, *, before_us: int | None = None) -> Iterator[str]:
        """Yield the names of all objects of this home, a thousand with each request.

        Raises:
            UnavailableError: The store does not answer.
        """
        limit = None if before_us is None else datetime.fromtimestamp(before_us / 1e6, UTC)
        try:
            for page in obstore.list(self._store, chunk_size=1000):
                for one in page:
                    if is_name(one["path"]) and (limit is None or one["last_modified"] < limit):
                        yield one["path"]
        except (BaseError, OSError) as error:
            raise self._away("listed", error) from error

    def sizes(self) -> Iterator[tuple[str, int]]:
        """See ``Objects``; the list of the store tells."""
        try:
            for page in obstore.list(self._store, chunk_size=1000):
                yield from ((one["path"], one["size"]) for one in page if is_name(one["path"]))
        except (BaseError, OSError) as error:
            raise self._away("listed", error) from error

    def prove(self) -> dict[str, bool]:
        """Store, read, find and remove an object of noise: pass if the store keeps its part.

        Returns:
            ``conditional``: it replaces nothing; ``versioned``: it keeps what is removed, as noise.

        Raises:
            UnavailableError: It does not answer, or lets an object be replaced.
        """
        name, data = new_name(), ids.random_bytes(64)
        versioned = self._create(name, data)
        try:
            try:
                self._create(name, data[::-1])
            except ConflictError:
                pass
            else:
                raise UnavailableError(
                    "this store replaces objects that exist",
                    rule="object.create",
                    fix="use one that knows If-None-Match",
                )
            (part,) = self.ranges(name, [(8, 16)])
            if bytes(part) != data[8:24] or name not in self.names():
                raise UnavailableError("this store gives back something else", rule="object.store")
        finally:
            self.delete(name)
        try:
            self.get(name)
        except MissingError:
            return {"conditional": True, "versioned": versioned}
        raise UnavailableError("this store does not remove what it is told to", rule="object.store")

    def _away(self, what: str, error: BaseException) -> UnavailableError:
        # what the library says names hosts and requests: it stays in the cause and out of every message
        if isinstance(error, PermissionDeniedError | UnauthenticatedError):
            return UnavailableError(
                f"the object store refuses these credentials, so an object could not be {what}",
                rule="object.credentials",
                fix="let them read, write, list and delete under the home's prefix",
            )
        return UnavailableError(
            f"the object store does not answer, so an object could not be {what}",
            rule="object.store",
            fix="safehold doctor; nothing was left half done, so try again when the store is back",
        )


class Credentials:
    """Reads one section of a file of credentials, as AWS's own tools write it.

    The file is read again every few minutes, so that new credentials need no restart.

    Args:
        profile: The section.
    """

    def __init__(self, profile: str) -> None:
        self._profile = profile
        self.file()  # a missing or open file is told at once, not at the first object

    def __call__(self) -> Any:
        """Return the credentials, with when to ask again."""
        found = self._read()
        return {**found, "expires_at": datetime.fromtimestamp(time.time(), UTC) + KEPT}

    def file(self) -> Path:
        """Return the file, private to its owner.

        Raises:
            UnavailableError: There is none, or others may read it.
        """
        named = os.environ.get("AWS_SHARED_CREDENTIALS_FILE")
        path = Path(named) if named else Path.home() / ".aws" / "credentials"
        try:
            mode = path.stat().st_mode
        except OSError as error:
            raise UnavailableError(
                "there is no file of credentials for the object store",
                rule="object.credentials",
                fix="name it in AWS_SHARED_CREDENTIALS_FILE, or use identity=machine",
            ) from error
        if not stat.S_ISREG(mode) or mode & 0o077:
            raise UnavailableError(
                "others may read the file of credentials for the object store",
                rule="object.credentials",
                fix=f"chmod 600 {path.name}",
            )
        return path

    def _read(self) -> Mapping[str, str]:
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(self.file().read_text("utf-8"))
            section = parser[self._profile]
            found = {
                "access_key_id": section["aws_access_key_id"],
                "secret_access_key": section["aws_secret_access_key"],
            }
        except SafeholdError:
            raise
        except (OSError, ValueError, KeyError, configparser.Error):
            raise UnavailableError(
                "the file of credentials for the object store has no such profile",
                rule="object.credentials",
                fix="it needs aws_access_key_id and aws_secret_access_key",
            ) from None  # what could not be read may be quoted in the cause
        if token := section.get("aws_session_token"):
            found["token"] = token
        return found

    def __repr__(self) -> str:
        return "Credentials(hidden)"


def _endpoint(text: str) -> str:
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        port = parts.port or 1
    except ValueError as error:
        raise _wrong("the endpoint is no URL") from error
    if (
        parts.username is not None
        or parts.password is not None
        or parts.query
        or parts.fragment
        or parts.path.strip("/")
        or not parts.hostname
        or port > _PORT
    ):
        raise _wrong("the endpoint is a host, with nothing else")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise _wrong("the endpoint is reached by https")
    return f"{parts.scheme}://{parts.netloc}"


def _wrong(what: str) -> InvalidError:
    return InvalidError(
        f"not a place for objects: {what}",
        rule="object.url",
        fix="s3://BUCKET/PREFIX?endpoint=https://HOST&region=REGION&profile=NAME",
    )
