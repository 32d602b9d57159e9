"""Guards that are taken away in control runs; each function puts something weaker in the place of one guard.

They run in the process of ``unguarded`` alone, before it serves, and change nothing but its memory.
"""

from __future__ import annotations

from typing import Any

from safehold.app.drill.unguarded import original, replace

TAG_BYTES = 16  # of AES-GCM, which stays as room
LEFT_GROUP = "work_inferences"
CHANNELS = ["public", "private", "dm"]


def without_sealing() -> None:
    """Blocks are written as they are; headers, keys and catalogue stay sealed."""
    open_sealed = original("safehold.vault.keys:decrypt")

    def write(_key: bytes, _nonce: bytes, plain: Any, _additional: bytes, into: Any) -> None:
        into[: len(plain)] = plain
        into[len(plain) :] = bytes(TAG_BYTES)

    def read(
        key: bytes, nonce: bytes, data: Any, additional: bytes, *, what: str, rule: str
    ) -> Any:
        if rule == "block.seal":
            return bytes(data[:-TAG_BYTES])
        return open_sealed(key, nonce, data, additional, what=what, rule=rule)

    def write_part(_self: Any, _number: int, data: Any, into: Any) -> None:
        write(b"", b"", data, b"", into)

    def read_part(_self: Any, _number: int, data: Any) -> bytes:
        return bytes(data[:-TAG_BYTES])

    replace("safehold.vault.keys:encrypt_into", write)
    replace("safehold.vault.keys:decrypt", read)
    replace("safehold.vault.paged:PartSeal.seal_into", write_part)
    replace("safehold.vault.paged:PartSeal.open", read_part)


def without_minimising() -> None:
    """What comes in is hardly masked: of all groups of classes one is left, and every channel is open.

    It is told to the sandbox alone: what the keeper would be told of itself stays, or its drift check stops it.
    """
    draw_up = original("safehold.keeper.intake:Intake.spec")

    def spec(self: Any, *given: Any, **named: Any) -> dict[str, Any]:
        told: dict[str, Any] = draw_up(self, *given, **named)
        told["rules"] = {
            stream: {
                **{name: value for name, value in rules.items() if name != "version"},
                "groups": [LEFT_GROUP],
                "channels": CHANNELS,
            }
            for stream, rules in told["rules"].items()
        }
        return told

    replace("safehold.keeper.intake:Intake.spec", spec)


def without_door() -> None:
    """Every kind of caller, and every role, may ask for every verb."""

    def check(_self: Any, _verb: str, _who: Any, _arguments: Any) -> None:
        return None

    replace("safehold.keeper.door:Door.check", check)


def without_restart_gate() -> None:
    """Nothing is asked for before everything resumes but signatures."""

    def unmet(*_given: Any, **_named: Any) -> list[str]:
        return []

    for place in ("safehold.keeper.restart:unmet", "safehold.keeper.trust:unmet"):
        replace(place, unmet)


def without_bounds() -> None:
    """A capability is worth what its holder says: whom it is for, what it covers and how often is not asked."""

    def chooses(_self: Any, _person: str, _jurisdiction: str) -> bool:
        return True

    def authorise(
        _self: Any, _ask: Any, _asker: Any, _blocks: Any, _behind: Any, bounds: Any, **_named: Any
    ) -> Any:
        return bounds

    replace("safehold.access.people:PeopleFilter.chooses", chooses)
    replace("safehold.keeper.decision:Decision._authorise", authorise)


def without_release_check() -> None:
    """Whether the charter lets a model leave is not asked."""

    def authorise(*_given: Any, **_named: Any) -> None:
        return None

    replace("safehold.keeper.pull:Pull._authorise", authorise)


def without_counting() -> None:
    """How often a grant was used is not counted."""

    def uses(_self: Any, _grant: int) -> int:
        return 0

    def closed(_self: Any, _grant: int) -> bool:
        return False

    def check_caps(*_given: Any, **_named: Any) -> None:
        return None

    replace("safehold.keeper.spending:Spending.uses", uses)
    replace("safehold.keeper.spending:Spending.closed", closed)
    replace("safehold.keeper.spending:Spending.check_caps", check_caps)
    replace("safehold.keeper.uses:GrantUses.check", check_caps)


def without_sandbox() -> None:
    """Sandboxes are plain processes, although they call themselves what this machine could do."""
    everything = original("safehold.sandbox.start:EVERYTHING")
    replace("safehold.sandbox.launch:Launcher._without", frozenset(everything))


def without_vector_exit() -> None:
    """There is a way out for vectors: whoever asks gets them."""
    blocks = original("safehold.keeper.gates:feature_blocks")

    def export(self: Any, arguments: dict[str, Any], *_rest: Any) -> dict[str, Any]:
        held = blocks(self._desk, str(arguments["dataset"]))
        rows: list[Any] = []
        for _block, table in self._desk.vault.read(list(held)):
            rows += [str(one) for one in table.to_pylist()]
        return {"vectors": rows, "people": len({block.person for block in held})}

    replace("safehold.keeper.vector_exit:VectorExit.export", export)
