"""Work that goes on side by side: shards of one use, and several uses of one purpose."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def side_by_side(
    work: Callable[[_Item], _Result], items: Sequence[_Item], most: int
) -> Iterator[tuple[_Item, _Result]]:
    """Yield items with what came of them, in their order; no more are under way, or wait to be taken, than ``most``.

    What one of them raises is raised when it is its turn; those under way are waited for, and none is begun after it.
    """
    if most <= 1:
        for item in items:
            yield item, work(item)
        return
    going: deque[tuple[_Item, Future[_Result]]] = deque()
    with ThreadPoolExecutor(most, "abreast") as pool:
        try:
            for item in items:
                if len(going) == most:
                    first, made = going.popleft()
                    yield first, made.result()
                going.append((item, pool.submit(work, item)))
            while going:
                first, made = going.popleft()
                yield first, made.result()
        finally:
            for _, made in going:
                made.cancel()


class Order:
    """Who may work on a purpose: many who read what was made for it, or one who replaces that."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers: defaultdict[str, int] = defaultdict(int)
        self._writing: set[str] = set()
        self._waiting: defaultdict[str, int] = defaultdict(int)

    @contextmanager
    def alone(self, purpose: str) -> Iterator[None]:
        """Let nobody else work on a purpose; whoever waits for this goes before new readers."""
        with self._changed:
            self._waiting[purpose] += 1
            self._changed.wait_for(
                lambda: purpose not in self._writing and not self._readers[purpose]
            )
            self._waiting[purpose] -= 1
            self._writing.add(purpose)
        try:
            yield
        finally:
            with self._changed:
                self._writing.discard(purpose)
                self._changed.notify_all()

    @contextmanager
    def beside(self, purpose: str) -> Iterator[None]:
        """Work on a purpose beside others who do not replace what was made for it."""
        with self._changed:
            self._changed.wait_for(
                lambda: purpose not in self._writing and not self._waiting[purpose]
            )
            self._readers[purpose] += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers[purpose] -= 1
                self._changed.notify_all()
