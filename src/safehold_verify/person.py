"""A person's own key: asks for a copy of their data, and opens it.

The key file is the one that a device or a person is enrolled with. What is asked is signed with it,
and names the key that the copy is to be sealed to; so whoever carries the request and the copy, or
runs the keeper's command line, can neither ask in their place nor read what comes.

A copy is sealed with HPKE base mode (RFC 9180: X25519, HKDF-SHA-256, AES-256-GCM).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import io
import json
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from safehold_verify.errors import VerificationError
from safehold_verify.files import LARGEST_TEXT, read_file
from safehold_verify.folder import DAMAGED

REQUEST = "safehold.request/1"
COPY = "safehold.copy/1"
DOMAIN = b"safehold.request.v1\0"
LARGEST = 2 << 30  # bytes of a sealed copy
MOST_FILES = 10_000
MOST_BYTES = 8 << 30  # of all of them, unpacked

_MARK = "safehold-ed25519-v1 "
_OPENING = b"sh/person/open/v1"
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


@dataclass(frozen=True, slots=True)
class Person:
    """A person's key.

    Args:
        seed: 32 secret bytes.
    """

    seed: bytes

    @classmethod
    def read(cls, path: Path) -> Person:
        """Read a key file.

        Raises:
            VerificationError: It is none.
        """
        text = read_file(path, "key", limit=LARGEST_TEXT).decode("ascii", "replace")
        try:
            seed = base64.b64decode(text.removeprefix(_MARK).strip(), validate=True)
        except (ValueError, binascii.Error):
            seed = b""
        if not text.startswith(_MARK) or len(seed) != 32:
            raise VerificationError("not a key file", where="key")
        return cls(seed)

    def ask(self, *, home: str, person: str, at_us: int) -> bytes:
        """Return a signed request for a copy of everything that is held about a person.

        Args:
            home: Id of the home, as a package or ``safehold status`` names it.
            person: The company's name for them.
            at_us: Now, microseconds since 1970; it counts for a week, once.
        """
        signing = Ed25519PrivateKey.from_private_bytes(self.seed)
        said = {
            "v": REQUEST,
            "what": "export",
            "home": home,
            "person": person,
            "at_us": at_us,
            "key": _b64(signing.public_key().public_bytes_raw()),
            "open_to": _b64(self._opening().public_key().public_bytes_raw()),
        }
        text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        signature = signing.sign(DOMAIN + text.encode())
        return json.dumps({"request": text, "signature": _b64(signature)}).encode() + b"\n"

    def open(self, sealed: bytes) -> bytes:
        """Return the archive in a sealed copy.

        Raises:
            VerificationError: It was sealed to somebody else, or changed.
        """
        try:
            return bytes(_SUITE.decrypt(sealed, self._opening(), COPY.encode()))
        except (InvalidTag, ValueError) as error:
            raise VerificationError("it does not open with this key", where="copy") from error

    def opening(self) -> bytes:
        """Return the key that a copy, or anything else for this person alone, is sealed to: 32 bytes of X25519."""
        return self._opening().public_key().public_bytes_raw()

    def _opening(self) -> X25519PrivateKey:
        return X25519PrivateKey.from_private_bytes(hmac.digest(self.seed, _OPENING, "sha256"))

    def __repr__(self) -> str:
        return "Person(hidden)"


def unpack(archive: bytes, folder: Path) -> list[str]:
    """Write the files of an opened copy into a new folder that only its owner may read; return their names.

    Raises:
        VerificationError: The folder exists, or the archive is not one of plain files with plain names.
    """
    try:
        packed = zipfile.ZipFile(io.BytesIO(archive))
        members = list(_members(packed))
        folder.mkdir(mode=0o700, parents=True)
        for member in members:
            file = folder / member.filename
            file.parent.mkdir(mode=0o700, exist_ok=True)
            file.touch(0o600)
            with packed.open(member) as source, file.open("wb") as target:
                while part := source.read(1 << 20):
                    target.write(part)
    except FileExistsError as error:
        raise VerificationError("the folder exists", where="folder") from error
    except DAMAGED as error:
        raise VerificationError("it does not unpack", where="copy") from error
    return [member.filename for member in members]


def _members(packed: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    members = packed.infolist()
    if len(members) > MOST_FILES or sum(one.file_size for one in members) > MOST_BYTES:
        raise VerificationError("more than a copy holds", where="copy")
    for one in members:
        name = PurePosixPath(one.filename)
        mode = one.external_attr >> 16
        if (
            name.is_absolute()
            or ".." in name.parts
            or len(name.parts) > 2
            or "\\" in one.filename
            or one.is_dir()
            or (mode and not stat.S_ISREG(mode))
        ):
            raise VerificationError("a file with a name of its own", where="copy")
        yield one


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
