"""The charter of a twin: the deployment's own one where its terms can carry the scenarios, else the demo's.

Either way a few terms differ, without which nothing could be tried within a run. Which, is told with the results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from safehold import canonical
from safehold.app.charters import charter_in_force
from safehold.charter import Charter, load, shipped
from safehold.charter.vocabulary import SEATS
from safehold.errors import SafeholdError
from safehold.settings import Home

PURPOSE: Final = "train_ui_agent"
PLACES: Final = frozenset({"US-CA", "US-WA"})
STREAMS: Final = ("ai_prompts", "chat", "focus", "keys", "pointer")
APART: Final = (
    "ai_prompts",
    "chat",
    "keys",
    "pointer",
)  # planted secrets are in these, whatever the application
STAGES: Final = frozenset({"ingest", "feature", "training"})
MOST_LEAST: Final = 50  # people of a run; the twin has just so many in one place
LEAST_EPSILON: Final = 4_000_000  # micro; what one training in a twin spends
SEATS_OF_A_GRANT: Final = 2
GRANT_S: Final = 4 * 3600
NEEDS: Final = frozenset({"root_cause_published", "incident_replay_green"})
REPLAYS: Final = frozenset({"replay.max_segments_exposed", "replay.any_employee_records"})
GATE: Final[dict[str, Any]] = {
    "id": "membership",
    "attack": "membership",
    "level": None,
    "measure": "membership.advantage",
    "must_be": {"op": "<=", "micro": 800_000},
}
AGENT: Final[dict[str, Any]] = {
    "do": ["run_approved_recipe"],
    "stages": ["feature", "training"],
    "grant": {"max_s": 1800, "token_s": 900, "approvers": 2, "reason": None, "budget": None},
    "sees_data": None,
    "may_delegate": True,
}

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a twin runs under.

    Args:
        charter: Its charter.
        own: Whether it was made from the deployment's own charter in force.
        base: Digest of what it was made from, hex.
        changed: Terms that differ from that.
        why: Why the deployment's own charter could not carry the scenarios; empty if it did.
    """

    charter: Charter
    own: bool
    base: str
    changed: tuple[str, ...]
    why: str = ""

    def to_json(self) -> Tree:
        """Return it as results show it."""
        return {
            "charter": "the deployment's own" if self.own else "the demo's",
            "base": self.base,
            "changed": list(self.changed),
            "why_not_own": self.why or None,
        }


def terms_of(home: Home) -> Terms:
    """Return the terms of a twin of a deployment."""
    try:
        charter = charter_in_force(home)
    except SafeholdError as error:
        return demo_terms(error.message)
    if why := ", ".join(_lacks(charter)):
        return demo_terms(f"the charter in force has no {why}")
    try:
        return _changed(charter, own=True)
    except SafeholdError as error:  # its other terms do not go with those of a twin
        return demo_terms(f"{error.message} ({error.rule})")


def demo_terms(why: str = "") -> Terms:
    """Return the terms of a twin made from the demo's charter."""
    return _changed(load(shipped("demo")), own=False, why=why)


def _lacks(charter: Charter) -> Iterator[str]:
    """Yield what scenarios need and a charter does not have."""
    tree: Tree = charter.to_json()
    yield from _lacks_purpose(tree)
    yield from _lacks_collection(tree)
    yield from _lacks_hands(tree)


def _lacks_purpose(tree: Tree) -> Iterator[str]:
    purpose = tree["purposes"].get(PURPOSE)
    if purpose is None:
        yield f"purpose {PURPOSE}"
        return
    if not set(purpose["sources"]) >= set(STREAMS):
        yield f"purpose {PURPOSE} from {', '.join(STREAMS)}"
    if not set(purpose["stages"]) >= STAGES:
        yield f"purpose {PURPOSE} in the stages {', '.join(sorted(STAGES))}"
    privacy = purpose["privacy"] or {}
    if privacy.get("epsilon_micro", 0) < LEAST_EPSILON:
        yield "privacy budget for one training"
    fewest = [privacy.get("min_people", 0), *(one["min_people"] or 0 for one in tree["red_lines"])]
    if max(fewest) > MOST_LEAST:
        yield f"run over {MOST_LEAST} people"


def _lacks_collection(tree: Tree) -> Iterator[str]:
    if not set(tree["places"]["collect_in"]) >= PLACES:
        yield f"collection in {', '.join(sorted(PLACES))}"
    collected = {one["what"]: one["minimise"] for one in tree["collect"]}
    if missing := sorted(set(STREAMS) - set(collected)):
        yield f"collection of {', '.join(missing)}"
    ours = [collected[one] for one in STREAMS if one in collected]
    if any(collected[one]["apps"] is not None for one in APART if one in collected):
        yield "collection from every application of the made-up company"
    if any(one["silo"] is not None for one in ours):
        yield "collection outside silos"
    chat = collected.get("chat", {}).get("channels")
    if chat is not None and "public" not in chat:
        yield "chat of public channels"


def _lacks_hands(tree: Tree) -> Iterator[str]:
    roles, oversight = tree["who_may"], tree["oversight"]
    scientist = roles.get("data_scientist") or {}
    if "run_approved_recipe" not in scientist.get("do", ()) or not scientist.get("grant"):
        yield "data_scientist who may run a recipe under a grant"
    elif (
        scientist["grant"]["approvers"] > SEATS_OF_A_GRANT or scientist["grant"]["max_s"] < GRANT_S
    ):
        yield "grant of four hours that two seats approve"
    if "operate" not in (roles.get("engineer") or {}).get("do", ()):
        yield "engineer who operates"
    if set(oversight["seats"]) != set(SEATS):
        yield f"board of {', '.join(SEATS)}"
    if not set(oversight["restart_after_stop"]["needs"]) >= NEEDS:
        yield f"restart that needs {', '.join(sorted(NEEDS))}"
    if not {one["measure"] for one in tree["promises"]} >= REPLAYS:
        yield f"promise of {', '.join(sorted(REPLAYS))}"


def _changed(charter: Charter, *, own: bool, why: str = "") -> Terms:
    tree: Tree = canonical.decode(canonical.encode(charter.to_json()))
    changed = []
    for name, change in CHANGES:
        before = canonical.encode(tree)
        change(tree)
        if canonical.encode(tree) != before:
            changed.append(name)
    return Terms(
        charter=Charter.from_json(tree),
        own=own,
        base=charter.digest().hex(),
        changed=tuple(changed),
        why=why,
    )


def _made_up(tree: Tree) -> None:
    tree["participation"]["opt_in_by"] = "person_or_operator"


def _agents(tree: Tree) -> None:
    tree["who_may"]["agent"] = AGENT


def _vectors(tree: Tree) -> None:
    for holder in (tree["purposes"][PURPOSE], tree["who_may"]["data_scientist"]):
        holder["stages"] = [*dict.fromkeys((*holder["stages"], "embedding"))]
    tree["who_may"]["data_scientist"]["stages"] = [
        *dict.fromkeys((*tree["who_may"]["data_scientist"]["stages"], "feature", "training"))
    ]


def _figures(tree: Tree) -> None:
    purpose = tree["purposes"][PURPOSE]
    purpose["releases"] = [*dict.fromkeys((*purpose["releases"], "dp_aggregate"))]


def _gates(tree: Tree) -> None:
    tree["gates"] = [GATE]


def _at_once(tree: Tree) -> None:
    tree["oversight"]["widen"]["notice_s"] = 0


def _alone(tree: Tree) -> None:
    tree["audit"]["witnesses"]["min"] = 0


CHANGES: Final[tuple[tuple[str, Callable[[Tree], None]], ...]] = (
    ("made-up people are enrolled by whoever made them up", _made_up),
    ("agents may delegate", _agents),
    ("vectors are made", _vectors),
    ("noisy figures leave", _figures),
    ("one gate of models, wide enough for few people", _gates),
    ("a change waits for no notice", _at_once),
    ("no witness is promised", _alone),
)

__all__ = ["PURPOSE", "Terms", "demo_terms", "terms_of"]
