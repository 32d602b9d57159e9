"""A keeper of scripted sandboxes behind its socket, for those who speak to it as users do."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.keeper_desk import CROWD, Bench, copy_bench, found_bench, passed

from safehold.access import Grant, Price, approve
from safehold.clock import SystemClock

TOP1 = 0.8125047  # figures that nobody writes by chance
F1 = 0.6093758
REASON = "ticket ML-12: reason-canary-77aa"
PURPOSE = "train_ui_agent"


class Served:
    """One keeper on its socket.

    Args:
        bench: The keeper; its time runs unless a test gives it a clock that stands.
    """

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._thread: threading.Thread | None = None

    @property
    def home(self) -> Path:
        return self.bench.home.path

    def start(self) -> Served:
        self.bench.start()
        self.bench.workshop.scripts["train"] = self.train
        assert self.bench.service is not None
        self._thread = threading.Thread(target=self.bench.service.serve, daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        self.bench.stop()
        if self._thread is not None:
            self._thread.join(300)

    def train(self, _spec: Mapping[str, Any]) -> Iterator[Any]:
        """Send what training sends: its figures, and a model."""
        yield passed(
            "metrics",
            values={
                "type": "metrics",
                "top1": TOP1,
                "macro_f1": F1,
                "top1_error": 0.0156281,
                "epsilon_micro": 3_999_871,
                "delta_e12": 1_000_000,
            },
        )
        yield passed("model", body=b"weights")

    def trained(self) -> int:
        """Return how often a training was started."""
        return sum(recipe == "train" for recipe, _ in self.bench.workshop.specs)

    def decide(self, request: str, seat: str, decision: str = "approve") -> None:
        """Let a seat decide, as the board's own command does."""
        bench = self.bench
        shown = bench.call("request.show", request=request)
        signed = approve(
            Grant.from_json(shown["grant"]),
            Price.from_json(shown["price"]),
            seat,
            bench.seats[seat],
            now_us=bench.clock.now_us(),
            decision=decision,
        )
        bench.call("request.decide", request=request, approval=signed.to_json())

    def agree(self, request: str) -> None:
        for seat in ("privacy", "legal"):
            self.decide(request, seat)


def found_served(path: Path) -> Bench:
    """Make a home with fifty people and a day of their pointers, at rest."""
    bench = found_bench(path, people=CROWD).start()
    bench.take(*CROWD)
    bench.stop()
    return bench


def copy_served(made: Bench, path: Path) -> Served:
    """Return a copy in another folder, whose time runs; it is not started."""
    bench = copy_bench(made, path)
    bench.clock = SystemClock()  # type: ignore[assignment]
    return Served(bench)
