"""Packages of employees and bundles of auditors: written to files, and checked before anybody relies on them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safehold.errors import ConflictError, InvalidError, TamperedError, UnavailableError
from safehold.keeper.client import KeeperClient
from safehold.settings import Home
from safehold_verify import VerificationError
from safehold_verify.package import FILE, PackageReport, verify_package
from safehold_verify.words import in_words


def write_package(folder: Path, package: str) -> Path:
    """Write a package into a new or empty directory, and return its file.

    Raises:
        ConflictError: The directory holds something else.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(one.name != FILE for one in folder.iterdir()):
        raise ConflictError(
            f"{folder.name} holds other files", rule="trail.directory", fix="choose a new directory"
        )
    return write_private(folder / FILE, package.encode())


def write_private(file: Path, data: bytes) -> Path:
    """Write a file that only its owner may read."""
    file.touch(mode=0o600)
    file.chmod(0o600)
    file.write_bytes(data)
    return file


def keep_receipt(answer: dict[str, Any], file: Path | None) -> dict[str, Any]:
    """Write the receipt of an erasure if there is one and somebody wants it; return the rest of the answer.

    Raises:
        UnavailableError: It is wanted, and no published head covers the erasure yet.
    """
    shown = {name: value for name, value in answer.items() if name not in {"receipt", "leaf", "r"}}
    if file is None:
        return shown
    if not answer.get("receipt"):
        raise UnavailableError(
            f"the erasure is done as far as it goes, and its receipt is not there yet: {answer.get('request')}",
            rule="subjects.receipt",
            fix="safehold people erasures REQUEST --receipt FILE, when the witnesses answer",
        )
    write_private(file, answer["receipt"].encode())
    return {**shown, "receipt": str(file)}


def export_to(client: KeeperClient, request: Path, out: Path) -> dict[str, Any]:
    """Carry a signed request to the keeper, and have the sealed copy written to a new file; nothing if it fails.

    Raises:
        InvalidError: The file holds no request.
        ConflictError: There is a file already.
    """
    try:
        said = json.loads(request.read_bytes())
        asked = {"request": said["request"], "signature": said["signature"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidError(
            "not a request", file=request.name, rule="export.request", fix="safehold-verify ask"
        ) from error
    return export_asked(client, asked, out)


def export_asked(client: KeeperClient, asked: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Have a sealed copy written to a new file; nothing if it fails.

    Raises:
        ConflictError: There is a file already.
    """
    try:
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise ConflictError(f"{out.name} exists", rule="export.file") from error
    try:
        answer = client.call("people.export", descriptors=[handle], **asked)
    except BaseException:
        out.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)
    return {**answer, "copy": str(out)}


def check_package(home: Home, file: Path, receipt: Path | None) -> PackageReport:
    """Check a package as its owner would: with the offline verifier, its policy and their receipt.

    Raises:
        TamperedError: It does not hold; says where.
    """
    try:
        given = None if receipt is None else receipt.read_bytes()
        return verify_package(file, home.policy_file, receipt=given)
    except VerificationError as error:
        raise TamperedError(str(error), rule="trail.package") from error


def told(report: PackageReport) -> list[str]:
    """Return a report in plain words."""
    return list(in_words(report))


def auditor_key(file: Path) -> str:
    """Return an auditor's opening key, base64, from the file that ``safehold-verify auditor`` wrote.

    Raises:
        InvalidError: It is no such file.
    """
    lines = file.read_text("utf-8").splitlines()
    if len(lines) != 2:
        raise InvalidError("not an auditor's public file", rule="index.auditor", fix="two lines")
    return lines[1]


def report_of(report: PackageReport) -> dict[str, Any]:
    """Return a report as JSON values, with what it does not show."""
    return {"verified": True, **report.payload()}
