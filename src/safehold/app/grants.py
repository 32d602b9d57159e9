"""Drawing up a grant and using it: the holder's side of it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safehold import ids
from safehold.access import Approval, Grant, Holder, Human, PeopleFilter, Price, approve
from safehold.access.code import CODE, approvers_of, read_plan
from safehold.access.grant import MINUTE_US, WAIT_US
from safehold.app.charters import charter_in_force, keys_in
from safehold.app.gate import EgressGatekeeper, columns_of
from safehold.app.requests import file_request, read_paper
from safehold.assurance.reidentify.trial import STREAMS
from safehold.canonical import b64, unb64
from safehold.charter import Charter
from safehold.clock import SystemClock, day_of
from safehold.errors import InvalidError
from safehold.federation.measure import READ
from safehold.keeper.attack import STAGES, VERB
from safehold.keeper.client import KeeperClient, Progress
from safehold.keeper.code import STAGES as CODE_STAGES
from safehold.keeper.code import VERB as CODE_VERB
from safehold.keeper.desk import segment_name
from safehold.keeper.embeddings import EMBED, EMBEDDING, HEAD, NEAR
from safehold.keeper.grants import use_message
from safehold.keeper.repair import RECIPE as REPAIR
from safehold.keeper.repair import STAGE as REPAIR_STAGE
from safehold.keeper.repair import VERB as REPAIR_VERB
from safehold.keeper.signed import Line
from safehold.keeper.terms import sources_of
from safehold.settings import Home
from safehold.signing import SigningKey

RECIPES = (
    "train", "federate", "reidentify", "feature", CODE, "join", "membership", "pull", EMBED, NEAR, HEAD,
    REPAIR,
)  # fmt: skip
SPEND = frozenset({"train", "federate", "join", NEAR, HEAD})
ROLE = "data_scientist"
FEATURE = "feature"


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


@dataclass(frozen=True, slots=True)
class Pass:
    """A grant that was enacted, with its holder.

    Args:
        grant: Its id.
        holder: Token and key.
        stage: The stage it is for.
    """

    grant: str
    holder: Holder
    stage: str = "training"

    def feature(self, client: Line, purpose: str, progress: Progress) -> dict[str, Any]:
        """Build features; the charter lets the pipeline do that without a grant."""
        return client.call("feature", progress=progress, purpose=purpose)

    def train(
        self, client: Line, purpose: str, progress: Progress, *, workers: int = 1
    ) -> dict[str, Any]:
        """Train under the grant and return the figures.

        Args:
            client: A line to the keeper.
            purpose: The purpose.
            progress: Told how far it is.
            workers: Sandboxes that add up gradients, beside the one that leads.
        """
        nonce = unb64(client.call("nonce")["nonce"])
        answer = client.call(
            "train",
            progress=progress,
            purpose=purpose,
            token=self.holder.token,
            nonce=b64(nonce),
            proof=b64(self.holder.prove(nonce, use_message("train", purpose))),
            workers=workers,
        )
        return {**answer, **_figures(answer["metrics"])}

    def repair(self, client: Line, progress: Progress) -> dict[str, Any]:
        """Judge again what was set aside, and return how many came in, and by which rules the others were refused."""
        return client.call(
            REPAIR_VERB, progress=progress, **self.prove(client, REPAIR_VERB, REPAIR)
        )

    def embed(
        self,
        client: Line,
        verb: str,
        purpose: str,
        progress: Progress,
        *,
        encoder: Path | None = None,
        **asked: Any,
    ) -> dict[str, Any]:
        """Make vectors, ask them or train on them, under the grant; with a company's own encoder if one is named."""
        nonce = unb64(client.call("nonce")["nonce"])
        with contextlib.ExitStack() as stack:
            files = () if encoder is None else (stack.enter_context(encoder.open("rb")).fileno(),)
            return client.call(
                verb,
                descriptors=files,
                progress=progress,
                purpose=purpose,
                token=self.holder.token,
                nonce=b64(nonce),
                proof=b64(self.holder.prove(nonce, use_message(verb, purpose))),
                **asked,
            )

    def join(
        self,
        client: Line,
        verb: str,
        order: Mapping[str, Any],
        progress: Progress,
        listener: int | None,
    ) -> dict[str, Any]:
        """Take part in a session with other houses, under the grant."""
        return client.call(
            verb,
            progress=progress,
            descriptors=() if listener is None else (listener,),
            **self.prove(client, verb, order["purpose"]),
            **order,
        )

    def prove(self, client: Line, verb: str, purpose: str) -> dict[str, Any]:
        """Return what a verb under this grant takes: the token, and the proof over a fresh nonce."""
        nonce = unb64(client.call("nonce")["nonce"])
        return {
            "token": self.holder.token,
            "nonce": b64(nonce),
            "proof": b64(self.holder.prove(nonce, use_message(verb, purpose))),
        }

    def attack(
        self, client: Line, purpose: str, dataset: str | None, progress: Progress
    ) -> dict[str, Any]:
        """Attack what a dataset was made from, under the grant, and return how it stands before each gate."""
        nonce = unb64(client.call("nonce")["nonce"])
        return client.call(
            VERB,
            progress=progress,
            purpose=purpose,
            stage=self.stage,
            token=self.holder.token,
            nonce=b64(nonce),
            proof=b64(self.holder.prove(nonce, use_message(VERB, purpose))),
            dataset=dataset,
        )

    def run(self, client: Line, purpose: str, script: bytes, progress: Progress) -> dict[str, Any]:
        """Run a script under the grant that names it, and return what left."""
        nonce = unb64(client.call("nonce")["nonce"])
        return client.call(
            CODE_VERB,
            progress=progress,
            purpose=purpose,
            stage=self.stage,
            token=self.holder.token,
            nonce=b64(nonce),
            proof=b64(self.holder.prove(nonce, use_message(CODE_VERB, purpose))),
            script=script.decode("utf-8"),
        )


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
            stage = stage_for(charter, purpose, role, STAGES)
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
        rule="attack.stage" if stages == STAGES else "code.stage",
        fix=f"one of {', '.join(stages)} in both",
    )


def ask(
    client: KeeperClient,
    path: Path,
    file: Path,
    *,
    holder: Path,
    people: PeopleFilter,
    **asked: Any,
) -> dict[str, Any]:
    """Draw up a request, put it before the keeper, and write it to a new file.

    Args:
        client: The keeper.
        path: The home.
        file: The new file.
        holder: The holder's key file; made if it does not exist.
        people: Who is meant.
        asked: As for ``draft_grant``.
    """
    if not holder.exists():
        SigningKey.generate().write(holder)
    grant = draft_grant(
        charter_in_force(Home.open(path)), holder=SigningKey.read(holder), people=people, **asked
    )
    return file_request(client, file, grant, people)


def people_of(places: Sequence[str], file: Path | None) -> PeopleFilter:
    """Return a filter of people: of some places, and of a list of opaque ids where there is one."""
    listed = () if file is None else tuple(sorted(set(file.read_text("utf-8").split())))
    return PeopleFilter(jurisdictions=tuple(sorted(set(places))), people=listed)


def pass_for(
    client: KeeperClient,
    path: Path,
    *,
    purpose: str,
    recipe: str = "train",
    grant: Path | None = None,
    holder: Path | None = None,
    seats: Path | None = None,
    limits: Limits | None = None,
    script: bytes | None = None,
) -> Pass | None:
    """Return a pass: from a grant file and its holder's key, or from a folder of seat keys, or none."""
    if grant is not None:
        if holder is None:
            raise InvalidError(
                "a grant is used with its holder's key", rule="cli.options", fix="--holder"
            )
        paper = read_paper(grant)
        return _enact(client, paper.grant, paper.approvals, SigningKey.read(holder))
    if seats is not None:
        return pass_with_seats(
            client,
            Home.open(path),
            purpose=purpose,
            seats=seats,
            recipe=recipe,
            limits=limits,
            script=script,
        )
    return None


def demand_pass(client: KeeperClient, path: Path, **given: Any) -> Pass:
    """Return a pass, as ``pass_for`` does.

    Raises:
        InvalidError: Nothing to make one of was given.
    """
    permit = pass_for(client, path, **given)
    if permit is None:
        raise InvalidError(
            "this needs a grant",
            rule="cli.options",
            fix="--grant with --holder: safehold request new, and the approval of seats",
        )
    return permit


def pass_with_seats(
    client: KeeperClient,
    home: Home,
    *,
    purpose: str,
    seats: Path,
    recipe: str = "train",
    limits: Limits | None = None,
    script: bytes | None = None,
) -> Pass:
    """Ask, approve with as many seats as the charter wants, and enact; for trying things out."""
    charter = charter_in_force(home)
    holder = SigningKey.generate()
    grant = draft_grant(
        charter,
        requester="somebody-trying-things-out",
        purpose=purpose,
        reason="trying things out with every seat in one hand",
        holder=holder,
        minutes=60,
        recipe=recipe,
        limits=limits,
        script=script,
    )
    rule = charter.role(ROLE).grant
    now = SystemClock().now_us()
    price = Price.from_json(client.call("request.new", grant=grant.to_json())["price"])
    needed = 1 if rule is None else approvers_of(grant.recipes, rule.approvers)
    keys = list(keys_in(seats).items())[:needed]
    approvals = [approve(grant, price, seat, key, now_us=now) for seat, key in keys]
    return _enact(client, grant, approvals, holder)


def _enact(
    client: KeeperClient, grant: Grant, approvals: Sequence[Approval], holder: SigningKey
) -> Pass:
    answer = client.call(
        "grant.enact",
        grant=grant.to_json(),
        approvals=[one.to_json() for one in approvals],
    )
    return Pass(answer["grant"], Holder(answer["token"], holder), grant.stages[0])


def _figures(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures as rows: exact ones where everybody is made up, the noisy ones otherwise."""
    plain = metrics.get("plain") or {}
    rows = [
        {"name": title, **plain[name], "private": name == "private"}
        for name, title in (
            ("private", "private"),
            ("non_private", "not private"),
            ("bigram", "bigram"),
            ("majority", "majority"),
        )
        if name in plain
    ]
    if not rows and metrics["top1"] is not None:
        scores = {name: metrics[name] for name in ("top1", "macro_f1")}
        rows.append({"name": "private", **scores, "private": True})
    return {
        "models": rows,
        "noisy": {name: metrics.get(name) for name in ("top1", "macro_f1", "top1_error")},
        "epsilon": metrics["epsilon_micro"] / 1e6,
        "delta": metrics["delta_e12"] / 1e12,
    }
