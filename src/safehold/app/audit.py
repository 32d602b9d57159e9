"""``safehold attack audit``: does the trainer keep the promise it states."""

from __future__ import annotations

import importlib.util
from typing import Any, Final

from safehold.errors import UnavailableError

ALGORITHMS: Final = ("recipe", "dp-sgd", "bandmf")
_NEEDED: Final = ("jax", "dp_accounting", "scipy")


def audit(algorithms: tuple[str, ...] = ALGORITHMS) -> dict[str, Any]:
    """Audit the trainer of this installation and return one record for each algorithm.

    Args:
        algorithms: Names of algorithms; the record of each is that of ``audit_algorithm``.

    Raises:
        UnavailableError: A package of the trainer is not installed.
        InvalidError: There is no such algorithm.
    """
    for name in _NEEDED:
        if importlib.util.find_spec(name) is None:
            raise UnavailableError(
                f"the trainer needs {name}, which is not installed",
                rule="extra.train",
                fix="install safehold[train]",
            )
    from safehold.privacy.audit.trial import audit_algorithm

    audits = [audit_algorithm(name) for name in algorithms]
    failed = any(one["state"] == "failed" for one in audits)
    return {"state": "failed" if failed else "passed", "audits": audits}
