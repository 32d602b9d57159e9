"""Where a coordinator is: durable before each order, so that one that was killed goes on and asks for nothing twice."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from safehold import ids
from safehold.canonical import b64, unb64
from safehold.errors import ConflictError
from safehold.vault import durable

Floats = NDArray[np.float64]
_ARRAYS = ("model", "speed", "late", "accepted")


@dataclass(slots=True)
class State:
    """One run.

    Args:
        agreement: Digest of its agreement, hex.
        run: Its id.
        step: The last step that was ordered.
        check: The last check that was ordered.
        rounds: Steps that went through.
        counted: Of the models that ``late`` is the sum of.
        model: The present model, flat.
        speed: The momentum.
        late: Sum of the models of the second half.
        accepted: The model that passed the last check.
        aggregate: Hash of the last sum, hex.
        ended: Why it ended, if it did.
        lost: Steps that were lost, and by whom.
    """

    agreement: str
    run: str
    model: Floats
    speed: Floats
    late: Floats
    accepted: Floats
    step: int = 0
    check: int = 0
    rounds: int = 0
    counted: int = 0
    aggregate: str = ""
    ended: str = ""
    lost: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def new(cls, agreement: str, size: int) -> State:
        """Return the start of a run: a model of zeros."""
        run, zeros = ids.random_bytes(16).hex(), np.zeros(size)
        return cls(agreement, run, zeros, zeros.copy(), zeros.copy(), zeros.copy())

    @classmethod
    def read(cls, path: Path, agreement: str) -> State:
        """Return where a run was left.

        Raises:
            ConflictError: It is a run under another agreement.
        """
        raw = orjson.loads(path.read_bytes())
        if raw["agreement"] != agreement:
            raise ConflictError("a run under another agreement", rule="federation.state")
        for name in _ARRAYS:
            raw[name] = np.frombuffer(unb64(raw[name]), dtype="<f8").copy()
        return cls(**raw)

    def write(self, path: Path) -> None:
        """Make it durable; a crash leaves this one or the one before."""
        told = {name: getattr(self, name) for name in self.__slots__}
        for name in _ARRAYS:
            told[name] = b64(np.ascontiguousarray(told[name], dtype="<f8").tobytes())
        durable.replace(path, orjson.dumps(told))
