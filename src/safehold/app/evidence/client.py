"""What the command line does with evidence: asks for a bundle, unpacks it beside its archive, has one checked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import safehold_verify
from safehold.app.evidence.archive import unpack
from safehold.errors import ConflictError, TamperedError, UnavailableError
from safehold.keeper.client import KeeperClient, Progress


def build(client: KeeperClient, out: Path, *, progress: Progress | None = None) -> dict[str, Any]:
    """Have a bundle built: the folder ``out``, and the archive ``out.zip`` with the same files.

    Raises:
        ConflictError: One of them is there already.
        UnavailableError: It cannot be written, or the witnesses cannot be reached.
    """
    archive = out.with_name(out.name + ".zip")
    if out.exists():
        raise ConflictError("this folder is there already", rule="evidence.folder", fix="name another")  # fmt: skip
    try:
        handle = os.open(archive, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise ConflictError(
            "this archive is there already", rule="evidence.folder", fix="name another"
        ) from error
    except OSError as error:
        raise UnavailableError("the archive cannot be made", rule="evidence.folder") from error
    try:
        said = client.call("evidence.build", descriptors=[handle], progress=progress)
        with os.fdopen(os.dup(handle), "rb") as file:
            file.seek(0)
            unpack(file.read(), out)
    except BaseException:
        archive.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)
    return {**said, "folder": str(out), "archive": str(archive)}


def verify(bundle: Path, policy: Path, heads: list[Path]) -> safehold_verify.EvidenceReport:
    """Check a bundle with the offline verifier.

    Raises:
        TamperedError: It does not hold; says where.
    """
    try:
        return safehold_verify.verify_evidence(
            bundle, policy, heads=tuple(one.read_bytes() for one in heads)
        )
    except safehold_verify.VerificationError as error:
        raise TamperedError(str(error), rule="evidence.verify") from error
