"""Objects that are sealed and not known yet: removed if they stay unknown, and kept where nobody can say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from safehold.vault import Vault


@dataclass(slots=True)
class Resting:
    """Whether the register has been told of objects.

    Args:
        begun: The transaction that makes them known has begun.
    """

    begun: bool = False

    def begin(self) -> None:
        """Say that the transaction that makes them known begins now."""
        self.begun = True


@contextmanager
def come_to_rest(
    vault: Vault, names: Iterable[str], *, refused: tuple[type[Exception], ...] = ()
) -> Iterator[Resting]:
    """Remove objects if what makes them known fails before its transaction has begun.

    Of a transaction that failed nobody here can say whether it counts: a line may have been cut while it was made
    durable. So its objects stay, and a sweep looks at the register.

    Args:
        vault: Where they lie.
        names: The objects.
        refused: Errors by which the register itself says that it took nothing.
    """
    resting = Resting()
    try:
        yield resting
    except BaseException as error:
        if not resting.begun or isinstance(error, refused):
            vault.remove(names)
        raise
