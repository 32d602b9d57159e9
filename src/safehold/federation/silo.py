"""A silo's side: what the coordinator asks goes to this house's keeper, and the keeper's answer goes back.

It holds no key of the masks and no row; an unmasked sum never comes here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from safehold.canonical import b64, unb64
from safehold.errors import SafeholdError
from safehold.federation.message import pack, unpack
from safehold.federation.pipe import Line
from safehold.keeper.agreement import Agreement


class Keeper(Protocol):
    """Asks this house's keeper under its grant."""

    def ask(self, verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keeper's answer."""
        ...


class Silo:
    """Answers the coordinator.

    Args:
        keeper: The keeper.
        agreement: What this house agreed to.
        name: Its name there.
    """

    def __init__(self, keeper: Keeper, agreement: Agreement, name: str) -> None:
        agreement.silo(name)
        self._keeper, self._agreement, self._name = keeper, agreement, name

    def answer(self, data: bytes) -> bytes:
        """Return the answer to one message; a refusal is one too, and says its rule alone."""
        try:
            header, body = unpack(data)
            return self._answer(header, body)
        except SafeholdError as error:
            return pack({"error": error.code, "rule": error.rule or error.code})
        except (KeyError, TypeError, ValueError):
            return pack({"error": "invalid", "rule": "federation.message"})

    def serve(self, line: Line) -> None:
        """Answer what comes over the wire until it ends.

        Raises:
            UnavailableError: It ended.
        """
        while True:
            _, data = line.read()
            line.write({}, self.answer(data))

    def _answer(self, header: Mapping[str, Any], body: bytes) -> bytes:
        common: dict[str, Any] = {
            "agreement": dict(self._agreement.tree),
            "name": self._name,
            "run": header["run"],
            "purpose": self._agreement.purpose,
        }
        ordered = {name: header[name] for name in ("order", "signature") if name in header}
        match header["do"]:
            case "join":
                return pack(self._keeper.ask("federate.join", common))
            case "step":
                asked = common | ordered | {"model": b64(body)}
                said = self._keeper.ask("federate.step", asked)
                return pack({"entry": said["entry"]}, unb64(said["vector"]))
            case "check":
                half = len(body) // 2
                asked = common | ordered | {"model": b64(body[:half]), "before": b64(body[half:])}
                return pack(self._keeper.ask("federate.check", asked))
            case "done":
                return pack(self._keeper.ask("federate.done", common | ordered))
            case _:
                return pack({"error": "invalid", "rule": "federation.message"})
