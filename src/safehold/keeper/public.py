"""What is public of a home, handed out at the socket: files of its record, its trust policy, the charter in force.

All of it is published anyway. It is asked for here by those who may reach the socket and not the home's files, as a
portal with an account of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from safehold.canonical import b64
from safehold.errors import MissingError
from safehold.keeper.server import Report
from safehold.ledger.static import StaticLog
from safehold.ledger.web import Request

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk


class Public:
    """The verbs.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def file(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return one published file of the record (C2SP tlog-tiles): ``checkpoint`` or a tile.

        Raises:
            MissingError: There is none of this name.
        """
        told = StaticLog(self._desk.home.ledger)(Request("GET", f"/{arguments['name']}", b""))
        if told.status != 200:
            raise MissingError("there is no such file of the record", rule="public.file")
        return {"data": b64(told.body), "kind": told.kind}

    def home(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return whose signatures count for the record, and the charter in force, if there is one."""
        desk = self._desk
        try:
            policy = desk.home.policy_file.read_text("utf-8")
        except FileNotFoundError:
            policy = ""
        trust = desk.trust
        return {
            "origin": desk.home.origin,
            "synthetic": desk.home.synthetic,
            "policy": policy,
            "charter": trust.charter().to_json() if trust.digest() else None,
        }
