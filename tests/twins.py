"""One company twice: in files, and on servers; from the same seeds and at the same moment. What may differ is noise.

What is compared of the two is in ``tests.portraits``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from tests.keeper_desk import Bench
from tests.query_desk import Asking, query_charter
from tests.sameness import Names
from tests.world import PASSPHRASE, outside

from safehold import canonical
from safehold.app.control import choose_control
from safehold.app.journal import choose_database
from safehold.app.keeper import compose, found
from safehold.app.objects import choose_bucket
from safehold.app.profile import Places
from safehold.app.setup import first_roster, seat_keys
from safehold.app.workshop import SandboxWorkshop
from safehold.charter.legal import DOCUMENTS
from safehold.clock import FixedClock, SystemClock, day_of
from safehold.errors import SafeholdError
from safehold.keeper.ports import Frame
from safehold.sandbox.launch import Launcher
from safehold.settings import Home
from safehold.workforce import Spec, roster

TRAIN = "train_ui_agent"
QUERY = ("SELECT x AS v FROM pointer", {"release": "events", "epsilon": 1.0})


class WatchingWorkshop(SandboxWorkshop):
    """Real sandboxes; what goes in and what comes out of each is remembered."""

    def __init__(self) -> None:
        super().__init__(Launcher())
        self.given: list[list[tuple[dict[str, Any], pa.Table]]] = []
        self.specs: dict[str, dict[str, Any]] = {}
        self.sent: dict[str, list[Frame]] = {}

    def pack(self, parts: Any) -> int:
        held = [(dict(header), table) for header, table in parts]
        self.given.append(held)
        return super().pack(held)

    @contextmanager
    def start(self, recipe: str, spec: Mapping[str, Any], inputs: Sequence[int], *, least: str):
        self.specs[recipe] = dict(spec)
        with super().start(recipe, spec, inputs, least=least) as job:
            frames = job.frames

            def watched() -> Iterator[Frame]:
                for frame in frames():
                    if recipe not in {"ingest", "train"}:
                        kept = Frame(dict(frame.header), memoryview(bytes(frame.body)))
                        self.sent.setdefault(recipe, []).append(kept)
                    yield frame

            job.frames = watched
            yield job


@dataclass
class Twin(Bench):
    """One of the two."""

    answers: dict[str, Any] = field(default_factory=dict)

    def start(self) -> Twin:
        with outside(self.path):
            self.service = compose(self.home, self.root, clock=self.clock, workshop=self.workshop)
        return self

    def try_(self, verb: str, **arguments: Any) -> str:
        """Return what became of a call: the rule of its refusal, or ``done``."""
        try:
            self.call(verb, **arguments)
        except SafeholdError as error:
            return f"{error.code}: {error.rule}"
        return "done"

    def person(self, name: str) -> str:
        return str(self.desk.people.standing(name).external)


def make_twin(path: Path, places: Places, *, spec: Spec, at_us: int) -> Twin:
    """Found a company whose parts lie somewhere."""
    path.mkdir(parents=True, exist_ok=True)
    with outside(path):
        keys = seat_keys(path / "seats")
        home = Home.create(path / "home", synthetic=True)
        board = first_roster(home, keys, now_us=SystemClock().now_us())
        if places.journal is not None:
            choose_database(home, places.journal)
        if places.control is not None:
            choose_control(home, places.control)
        if places.objects is not None:
            choose_bucket(home, places.objects)
        root, _ = found(
            home, {"passphrase": PASSPHRASE}, canonical.encode(board.to_json()), board.digest()
        )
    twin = Twin(path, home, root, FixedClock(at_us), keys, WatchingWorkshop()).start()
    twin.enact(query_charter())
    return twin


def do_the_job(twin: Twin, spec: Spec, *, train: bool, workers: int = 2) -> Twin:
    """Do what the demo does: tell, enrol, take in, let some leave, build features, ask, train; and be refused."""
    staff = roster(spec)
    said: dict[str, Any] = {}
    for name in DOCUMENTS:
        twin.call("document.publish", name=name)
    twin.call(
        "people.enrol",
        people=[
            {
                "person": one.id,
                "jurisdiction": one.jurisdiction,
                "streams": sorted(one.consent),
                "pauses": [list(pause) for pause in one.pauses],
            }
            for one in staff
        ],
        evidence="made up",
    )
    share = -(-spec.people // workers)
    said["ingest"] = [
        twin.call(
            "ingest",
            source={
                "kind": "synthetic",
                "spec": spec.to_spec(),
                "first": at,
                "count": min(share, spec.people - at),
            },
        )["tally"]
        for at in range(0, spec.people, share)
    ]
    said["withdrawn"] = [
        twin.try_("people.choose", person=one.id, choice="withdraw")
        for one in staff
        if one.withdraws and one.consent
    ]
    built = twin.call("feature", purpose=TRAIN)
    said["feature"] = Names().deep({name: built[name] for name in built if name != "entry"})
    holder = twin.pass_() if train else None
    said["refused"] = {
        "another purpose": twin.try_("feature", purpose="advertising"),
        "no token": twin.try_("train", purpose=TRAIN, token="", nonce="", proof=""),
        "a stranger's data": twin.try_("people.show", person="nobody"),
        "a query without a grant": twin.try_("query", purpose="improve_tools", streams=["pointer"]),
        "a stop, and then": [
            twin.try_("stop", **twin.order("stop", "privacy")),
            twin.try_("feature", purpose=TRAIN),
            twin.try_("resume", **twin.order("resume", "privacy")),
            twin.try_("resume", **twin.order("resume", cause="a test")),
        ],
    }
    if train:
        asking = Asking(twin)
        sql, settings = QUERY
        text = asking.text(sql, **settings)
        said["query"] = text
        permit = asking.grant(text)
        told = asking.ask(permit, text)
        said["query told"] = sorted(told)
        assert holder is not None
        model = twin.call("train", **twin.use(holder))
        figures = model["metrics"]
        said["trained"] = {
            name: figures[name]
            for name in ("people", "trained", "held_out", "rounds", "clip", "noise_multiplier", "tokens", "parameters", "epsilon_micro", "epsilon_rdp", "epsilon_pld")
        }  # fmt: skip
    said["status"] = {
        name: twin.call("status")[name]
        for name in ("charter", "counts", "stopped", "dropped_of_others")
    }
    twin.answers = said
    return twin


def moment() -> tuple[int, int]:
    """Return a moment for both, in microseconds, and its day."""
    at_us = SystemClock().now_us()
    return at_us, day_of(at_us)


def spec_of(people: int, day: int, *, days: int = 1, **more: Any) -> Spec:
    """Return a company of the demo's seed, whose last day was yesterday."""
    return replace(Spec(people=people, days=days, seed=7, start_day=day - days), **more)
