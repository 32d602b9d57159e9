"""Side by side, in order, and never more than was said."""

from __future__ import annotations

import threading
import time

import pytest

from safehold.keeper.abreast import Order, side_by_side


@pytest.mark.parametrize("most", [1, 2, 5])
def test_results_come_in_the_order_of_the_items_and_no_more_are_held_than_said(most: int) -> None:
    lock, going, highest = threading.Lock(), 0, 0

    def work(item: int) -> int:
        nonlocal going, highest
        with lock:
            going += 1
            highest = max(highest, going)
        time.sleep(0.002 * (item % 3))
        with lock:
            going -= 1
        return item * item

    assert list(side_by_side(work, range(20), most)) == [(at, at * at) for at in range(20)]
    assert highest <= most


def test_what_one_raises_is_raised_and_nothing_is_begun_after_it() -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        if item == 2:
            raise ValueError("two")
        return item

    seen = []
    with pytest.raises(ValueError, match="two"):
        for one, _ in side_by_side(work, range(100), 2):
            seen.append(one)
    assert seen == [0, 1]
    assert max(begun) <= 4


def test_items_are_worked_on_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=30)
    assert list(side_by_side(lambda _: both.wait() >= 0, "ab", 2)) == [("a", True), ("b", True)]


def test_readers_go_together_and_whoever_replaces_is_alone() -> None:
    order, both = Order(), threading.Barrier(2, timeout=30)

    def read() -> None:
        with order.beside("p"):
            both.wait()

    threads = [threading.Thread(target=read) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    inside: list[str] = []

    def write() -> None:
        with order.alone("p"):
            inside.append("writer")

    with order.beside("p"):
        writer = threading.Thread(target=write)
        writer.start()
        time.sleep(0.05)
        assert inside == [], "nothing is replaced while it is read"
        reader = threading.Thread(target=lambda: _read(order, inside))
        reader.start()
        time.sleep(0.05)
        assert inside == [], "and whoever comes later waits behind it"
        with order.alone("q"):
            pass  # another purpose is nobody's business
    writer.join(30)
    reader.join(30)
    assert inside == ["writer", "reader"]


def _read(order: Order, inside: list[str]) -> None:
    with order.beside("p"):
        inside.append("reader")
