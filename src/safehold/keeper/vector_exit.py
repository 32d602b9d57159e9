"""The way out for vectors: there is none, and whoever tries leaves a leaf that can be counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from safehold.access import AccessRequest, Human, authorise
from safehold.clock import DAY_US
from safehold.errors import DeniedError, SafeholdError
from safehold.keeper.argument import read_word
from safehold.keeper.bounds import Opening
from safehold.keeper.caller import caller
from safehold.keeper.desk import Desk
from safehold.keeper.gates import feature_blocks, is_embedding
from safehold.keeper.grants import Admitted
from safehold.keeper.recipes import EMBEDDING
from safehold.keeper.server import Report
from safehold.ledger import Entry

STAGE: Final = EMBEDDING
REFUSED: Final = "egress.vectors"  # the rule of the egress gate for what is shaped like vectors
LONGEST: Final = 256
_SIZES: Final = ((1_000, "1-999"), (100_000, "1k-99k"))


class VectorExit:
    """Refuses.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def export(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Refuse: vectors never leave. The attempt is in the ledger, with how much was asked for.

        Raises:
            DeniedError: Always; by the red line of the charter where it has one.
        """
        purpose, dataset = word(arguments, "purpose"), word(arguments, "dataset")
        held = feature_blocks(self._desk, dataset) if is_embedding(dataset) else ()
        error: DeniedError = DeniedError(
            "vectors are used inside and never leave", rule="embedding.export"
        )
        try:
            self._refuse(purpose, sum(block.rows for block in held))
        except DeniedError as line:
            error = line
        error.entry = self.note_attempt(caller().id, rows=sum(block.rows for block in held))
        raise error

    def _refuse(self, purpose: str, rows: int) -> None:
        """Ask the charter as anything is asked, so that its own red line is what is named."""
        desk = self._desk
        authorise(
            desk.trust.policy(),
            AccessRequest(
                principal=Human(id=caller().id, role=caller().role or "data_scientist"),
                action="export_vectors",
                purpose=purpose,
                stage=STAGE,
                now_us=desk.now_us(),
                segment="",
                streams=(EMBEDDING,),
                purposes=(purpose,),
                jurisdictions=tuple(desk.trust.charter().jurisdictions),
                expires_us=desk.now_us() + DAY_US,
                people=min(rows, 1),
                consent=True,
                synthetic=desk.home.synthetic,
                assurance=desk.workshop.level(),
            ),
        )

    def note_attempt(self, actor: str, *, rows: int, ref: int | None = None) -> int:
        """Write down an attempt to take vectors out; what is public of it is action, kind and size class."""
        desk = self._desk
        size = next((name for most, name in _SIZES if rows < most), "100k+") if rows else "none"
        (receipt,) = desk.log(
            Entry(
                kind="embed.export",
                actor=actor,
                object="vectors",
                detail={},
                charter=desk.trust.digest(),
                public={
                    "action": "export_vectors",
                    "what": EMBEDDING,
                    "size": size,
                    "state": "denied",
                },
                ref=ref,
            )
        )
        return receipt.index


class Noticed:
    """Write down what the egress gate refused because it was shaped like vectors, whatever else became of the run."""

    def __init__(self, way: VectorExit, admitted: Admitted) -> None:
        self._way, self._admitted = way, admitted
        self._rows = 0

    def __enter__(self) -> Callable[[Opening], None]:
        def note(opening: Opening) -> None:
            self._rows = sum(one.rows for blocks in opening.blocks.values() for one in blocks)

        return note

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, SafeholdError) and error.rule == REFUSED:
            holder = self._admitted.claims.principal.id
            error.entry = self._way.note_attempt(holder, rows=self._rows, ref=self._admitted.entry)


def word(arguments: Mapping[str, Any], name: str) -> str:
    """Return an argument that is a word.

    Raises:
        InvalidError: It is none.
    """
    return read_word(arguments, name, rule="embedding.word", longest=LONGEST, least=1)


__all__ = ["EMBEDDING", "STAGE", "Noticed", "VectorExit", "word"]
