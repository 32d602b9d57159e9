"""The draft of a grant: as wide as the charter's places and retention, no wider than its recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from safehold import ids
from safehold.access import Grant, Human, PeopleFilter
from safehold.access.code import CODE, read_plan
from safehold.access.grant import MINUTE_US, WAIT_US
from safehold.app.gate import EgressGatekeeper, columns_of
from safehold.assurance.reidentify.trial import STREAMS
from safehold.charter import Charter
from safehold.clock import SystemClock, day_of
from safehold.errors import InvalidError
from safehold.federation.measure import READ
from safehold.keeper.recipes import (
    ATTACK_STAGES,
    CODE_STAGES,
    EMBED,
    EMBEDDING,
    FEATURE,
    HEAD,
    NEAR,
    REPAIR,
    REPAIR_STAGE,
)
from safehold.keeper.terms import sources_of
from safehold.signing import SigningKey
from safehold.telemetry.stream import segment_name

RECIPES = (
    "train", "federate", "reidentify", "feature", CODE, "join", "membership", "pull", EMBED, NEAR, HEAD,
    REPAIR,
)  # fmt: skip
SPEND = frozenset({"train", "federate", "join", NEAR, HEAD})
ROLE = "data_scientist"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that a request asks for.

    Args:
        runs: Runs.
        rows: Rows that all of them may open.
        out_bytes: Bytes that all of them may send through the egress gate.
        per_hour: Runs in any hour.
        epsilon_micro: Epsilon, millionths; None for what the runs cost.
    """

    runs: int = 3
    rows: int = 1_000_000_000
    out_bytes: int = 64_000_000
    per_hour: int = 3
    epsilon_micro: int | None = None


def draft_grant(
    charter: Charter,
    *,
    requester: str,
    purpose: str,
    reason: str,
    holder: SigningKey,
    minutes: int,
    recipe: str = "train",
    role: str = ROLE,
    people: PeopleFilter | None = None,
    columns: Sequence[str] = (),
    limits: Limits | None = None,
    break_glass: bool = False,
    segment: str | None = None,
    script: bytes | None = None,
) -> Grant:
    """Return a grant for one recipe of a purpose, as wide as the charter's places and retention.

    Training reads features; building them, and the attack on a dataset, read what is behind them.

    Args:
        charter: The charter in force.
        requester: Who asks.
        purpose: The one purpose.
        reason: Why.
        holder: The key that may use it.
        minutes: How long it may be used.
        recipe: What is run.
        role: Role of whoever asks.
        people: Who is meant; everybody who takes part where nothing is said.
        columns: As ``stream.column``; all that the recipe reads where nothing is said.
        limits: The most it may come to.
        break_glass: It is an emergency.
        segment: The only segment; all of the recipe where nothing is said.
        script: The code that is to run; the recipe is ``code`` then.

    Raises:
        InvalidError: There is no such recipe or segment, or the charter has no stage for it.
    """
    now = SystemClock().now_us()
    today = day_of(now)
    limits = limits or Limits()
    sources = sources_of(charter, purpose)
    kept = max((charter.retention(stream) for stream in sources), default=0)
    streams: tuple[str, ...]
    cost = _epsilon(charter, purpose, recipe)
    match recipe:
        case "code":
            plan = read_plan(script or b"")
            recipe, cost = plan.recipe, plan.epsilon_micro
            streams, stage = (
                tuple(sorted(plan.streams)),
                stage_for(charter, purpose, role, CODE_STAGES),
            )
            if script is None or not streams:
                raise InvalidError(
                    "code is asked for with the script, whose block names the streams it reads",
                    rule="code.streams",
                    fix="--script FILE; docs/how-to/run-your-own-code.md shows a block",
                )
        case _ if recipe.startswith("federate:"):  # the agreement, by its hash
            streams, stage = (FEATURE,), "training"
        case "train" | "membership" | "pull":  # a model is of the stage that made it
            streams, stage = (FEATURE,), "training"
        case "reidentify":
            streams = tuple(sorted(sources & frozenset(STREAMS)))
            stage = stage_for(charter, purpose, role, ATTACK_STAGES)
        case "feature":
            streams = tuple(sorted(sources & EgressGatekeeper().reads("feature")))
            stage = "feature"
        case _ if recipe == EMBED:
            streams = tuple(sorted(sources & EgressGatekeeper().reads(EMBED)))
            stage = EMBEDDING
        case _ if recipe in (NEAR, HEAD):
            streams, stage = (EMBEDDING,), EMBEDDING if recipe == NEAR else "training"
        case "join" | "repair":
            streams = tuple(sorted(sources))
            stage = REPAIR_STAGE if recipe == REPAIR else "private_join"
        case _:
            raise InvalidError("no such recipe", rule="request.recipe", fix=", ".join(RECIPES))
    segments = tuple(
        segment_name(place, stream) for place in sorted(charter.jurisdictions) for stream in streams
    )
    if segment is not None:
        segments = tuple(one for one in segments if one == segment)
        if not segments:
            raise InvalidError("no such segment of this recipe", rule="request.segment")
    return Grant(
        id=ids.new_id("grant"),
        requester=Human(id=requester, role=role),
        holder=holder.public,
        purpose=purpose,
        segments=segments,
        streams=streams,
        columns=tuple(columns)
        or tuple(
            f"{stream}.{name}"
            for stream in streams
            for name in (
                READ[stream]
                if recipe == "join"
                else columns_of(stream)
                if recipe not in (EMBED, NEAR, HEAD)
                else EgressGatekeeper().columns(recipe, stream)
            )
        ),
        stages=(stage,),
        recipes=(recipe,),
        people=(people or PeopleFilter()).digest(),
        first_day=max(today - kept, 0),
        last_day=today + 1,
        asked_us=now,
        expires_us=now + WAIT_US + minutes * MINUTE_US,
        minutes=minutes,
        max_runs=limits.runs,
        max_rows=limits.rows,
        max_bytes=limits.out_bytes,
        max_per_hour=limits.per_hour,
        # a run over several houses is charged once, as it is joined
        epsilon_micro=cost * (1 if recipe.startswith("federate:") else limits.runs)
        if limits.epsilon_micro is None
        else limits.epsilon_micro,
        reason=reason,
        charter=charter.digest().hex(),
        break_glass=break_glass,
    )


def _epsilon(charter: Charter, purpose: str, recipe: str) -> int:
    """Return what one run costs: training and a join at most what the purpose allows, an attack nothing."""
    privacy = charter.purpose(purpose).privacy
    return 0 if privacy is None or recipe.partition(":")[0] not in SPEND else privacy.epsilon_micro


def stage_for(charter: Charter, purpose: str, role: str, stages: Sequence[str]) -> str:
    """Return the first of some stages that a charter gives both to a role and to a purpose."""
    both = set(charter.purpose(purpose).stages) & set(charter.role(role).stages)
    for stage in stages:
        if stage in both:
            return stage
    raise InvalidError(
        "the charter gives role and purpose no stage for this",
        rule="attack.stage" if stages == ATTACK_STAGES else "code.stage",
        fix=f"one of {', '.join(stages)} in both",
    )
