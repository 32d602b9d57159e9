"""The root in use, which can be exchanged for another while keys are opened and made.

From ``prepare`` on, what either root wrapped opens. ``turn`` makes the new one wrap: it is called inside the
transaction that wraps everything anew, when nobody else can write, so that no row stays under the old one.
"""

from __future__ import annotations

from collections.abc import Sequence

from safehold.errors import ConflictError, TamperedError
from safehold.vault.kms.interface import Item, Root


class CurrentRoot:
    """A root that may change. Thread-safe.

    Args:
        root: The one to begin with.
    """

    __slots__ = ("_roots",)

    def __init__(self, root: Root) -> None:
        self._roots: tuple[Root, ...] = (root,)  # read at once; the first wraps

    @property
    def kind(self) -> str:
        """Where the key lives."""
        return self._roots[0].kind

    @property
    def now(self) -> Root:
        """The root that wraps at this moment."""
        return self._roots[0]

    def prepare(self, new: Root) -> None:
        """Let what a new root wrapped open too.

        Raises:
            ConflictError: A change is under way.
        """
        if len(self._roots) != 1:
            raise ConflictError("the root is being changed", rule="key.rotate", fix="wait for it")
        self._roots = (self._roots[0], new)

    def turn(self) -> None:
        """Let the other root wrap from now on; again to go back."""
        self._roots = self._roots[::-1]

    def settle(self) -> None:
        """Forget the root that does not wrap; it is overwritten when its last user lets go of it."""
        self._roots = self._roots[:1]

    def wrap(self, key: bytes, *, context: bytes) -> bytes:
        """Return ``key`` wrapped by the root that wraps now."""
        return self._roots[0].wrap(key, context=context)

    def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """Return what either root wrapped; raises what the first one says."""
        return self.unwrap_many([Item(wrapped, context)])[0]

    def wrap_many(self, items: Sequence[Item]) -> list[bytes]:
        """Return each wrapped by the root that wraps now."""
        return self._roots[0].wrap_many(items)

    def unwrap_many(self, items: Sequence[Item]) -> list[bytes]:
        """Return what one of the roots wrapped; all of it the same one, or each by itself."""
        first, *others = self._roots
        try:
            return first.unwrap_many(items)
        except TamperedError:
            if not others:
                raise
            if len(items) > 1:
                return [self.unwrap(item.data, context=item.context) for item in items]
            try:
                return others[0].unwrap_many(items)
            except TamperedError:
                pass
            raise

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes for one purpose: the same under every root of a home."""
        return self._roots[0].derive(purpose)

    def derivation(self) -> bytes:
        """Return what ``derive`` derives from; the caller scrubs it."""
        return self._roots[0].derivation()

    def close(self) -> None:
        """Overwrite what is held in memory and end sessions."""
        for root in self._roots:
            root.close()

    def __repr__(self) -> str:
        return "CurrentRoot(hidden)"
