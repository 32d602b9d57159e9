"""Requests, approvals, and using a grant: the holder's and the seats' side of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safehold import canonical, ids
from safehold.access import Approval, Grant, Holder, Human, approve, check_grant
from safehold.app.charters import charter_in_force, keys_in, roster_of
from safehold.app.paper import write_paper
from safehold.assurance.reidentify.trial import STREAMS
from safehold.canonical import b64, unb64
from safehold.charter import Charter
from safehold.clock import SECOND_US, SystemClock, day_of
from safehold.errors import InvalidError
from safehold.keeper.attack import STAGES, VERB
from safehold.keeper.client import KeeperClient, Progress
from safehold.keeper.desk import segment_name
from safehold.keeper.grants import use_message
from safehold.keeper.terms import sources_of
from safehold.settings import Home
from safehold.signing import SigningKey

VERSION = "safehold-request/1"
RECIPES = ("train", "reidentify")
ROLE = "data_scientist"
FEATURE = "feature"
RUNS = 3


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

    def feature(self, client: KeeperClient, purpose: str, progress: Progress) -> dict[str, Any]:
        """Build features; the charter lets the pipeline do that without a grant."""
        return client.call("feature", progress=progress, purpose=purpose)

    def train(self, client: KeeperClient, purpose: str, progress: Progress) -> dict[str, Any]:
        """Train under the grant and return the figures."""
        nonce = unb64(client.call("nonce")["nonce"])
        answer = client.call(
            "train",
            progress=progress,
            purpose=purpose,
            token=self.holder.token,
            nonce=b64(nonce),
            proof=b64(self.holder.prove(nonce, use_message("train", purpose))),
        )
        return {**answer, **_figures(answer["metrics"])}

    def attack(
        self, client: KeeperClient, purpose: str, dataset: str | None, progress: Progress
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
) -> Grant:
    """Return a grant for one recipe of a purpose, as wide as the charter's places and retention.

    Training reads features; the attack on a dataset reads the keys and pointer behind them.

    Raises:
        InvalidError: There is no such recipe, or the charter has no stage for it.
    """
    now = SystemClock().now_us()
    today = day_of(now)
    sources = sources_of(charter, purpose)
    kept = max((charter.retention(stream) for stream in sources), default=0)
    streams: tuple[str, ...]
    match recipe:
        case "train":
            streams, stage = (FEATURE,), "training"
        case "reidentify":
            streams = tuple(sorted(sources & frozenset(STREAMS)))
            stage = _attack_stage(charter, purpose, role)
        case _:
            raise InvalidError("no such recipe", rule="request.recipe", fix=", ".join(RECIPES))
    return Grant(
        id=ids.new_id("grant"),
        requester=Human(id=requester, role=role),
        holder=holder.public,
        purpose=purpose,
        segments=tuple(
            segment_name(place, stream)
            for place in sorted(charter.jurisdictions)
            for stream in streams
        ),
        streams=streams,
        stages=(stage,),
        recipes=(recipe,),
        people="",
        first_day=max(today - kept, 0),
        last_day=today + 1,
        asked_us=now,
        expires_us=now + minutes * 60 * SECOND_US,
        max_runs=RUNS,
        reason=reason,
        charter=charter.digest().hex(),
    )


def _attack_stage(charter: Charter, purpose: str, role: str) -> str:
    """Return the stage in which a charter lets a role attack the data of a purpose."""
    both = set(charter.purpose(purpose).stages) & set(charter.role(role).stages)
    for stage in STAGES:
        if stage in both:
            return stage
    raise InvalidError(
        "the charter gives role and purpose no stage in which data is attacked",
        rule="attack.stage",
        fix=f"one of {', '.join(STAGES)} in both",
    )


def write_request(
    path: Path,
    file: Path,
    *,
    requester: str,
    purpose: str,
    reason: str,
    holder: Path,
    minutes: int,
    recipe: str = "train",
    role: str = ROLE,
) -> dict[str, Any]:
    """Write a request to a new file, and say what it asks for."""
    home = Home.open(path)
    if not holder.exists():
        SigningKey.generate().write(holder)
    charter = charter_in_force(home)
    grant = draft_grant(
        charter,
        requester=requester,
        purpose=purpose,
        reason=reason,
        holder=SigningKey.read(holder),
        minutes=minutes,
        recipe=recipe,
        role=role,
    )
    check_grant(
        grant, charter
    )  # what the keeper would refuse later is refused before anybody signs
    if file.exists():
        raise InvalidError("this file exists", file=file.name, rule="request.file")
    _write(file, grant, [])
    return {"request": grant.id, "digest": grant.digest().hex(), "file": file.name}


def show_request(file: Path) -> dict[str, Any]:
    """Return a request and the seats that decided on it."""
    grant, approvals = _read(file)
    return {
        **grant.to_json(),
        "digest": grant.digest().hex(),
        "decisions": {one.seat: one.decision for one in approvals},
    }


def approve_request(path: Path, file: Path, *, seat: str, key: Path) -> None:
    """Add one seat's approval to a request.

    Raises:
        InvalidError: The key does not speak for the seat.
    """
    signer = SigningKey.read(key)
    if roster_of(Home.open(path)).seat(seat).key != signer.public:
        raise InvalidError(f"this key does not speak for {seat}", rule="request.seat")
    grant, approvals = _read(file)
    kept = [one for one in approvals if one.seat != seat]
    _write(file, grant, [*kept, approve(grant, seat, signer, now_us=SystemClock().now_us())])


def pass_for(
    client: KeeperClient,
    path: Path,
    *,
    purpose: str,
    recipe: str = "train",
    grant: Path | None = None,
    holder: Path | None = None,
    seats: Path | None = None,
) -> Pass | None:
    """Return a pass: from a grant file and its holder's key, or from a folder of seat keys, or none."""
    if grant is not None:
        if holder is None:
            raise InvalidError(
                "a grant is used with its holder's key", rule="cli.options", fix="--holder"
            )
        asked, approvals = _read(grant)
        return _enact(client, asked, approvals, SigningKey.read(holder))
    if seats is not None:
        return pass_with_seats(client, Home.open(path), purpose=purpose, seats=seats, recipe=recipe)
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
    client: KeeperClient, home: Home, *, purpose: str, seats: Path, recipe: str = "train"
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
    )
    rule = charter.role(ROLE).grant
    now = SystemClock().now_us()
    keys = list(keys_in(seats).items())[: 1 if rule is None else rule.approvers]
    approvals = [approve(grant, seat, key, now_us=now) for seat, key in keys]
    return _enact(client, grant, approvals, holder)


def _enact(
    client: KeeperClient, grant: Grant, approvals: list[Approval], holder: SigningKey
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


def _read(file: Path) -> tuple[Grant, list[Approval]]:
    match canonical.decode(file.read_bytes().strip()):
        case {"v": "safehold-request/1", "grant": grant, "approvals": list(approvals)}:
            return Grant.from_json(grant), [Approval.from_json(one) for one in approvals]
        case _:
            raise InvalidError("not a request", file=file.name, rule="request.file")


def _write(file: Path, grant: Grant, approvals: list[Approval]) -> None:
    record = {
        "v": VERSION,
        "grant": grant.to_json(),
        "approvals": [one.to_json() for one in sorted(approvals, key=lambda one: one.seat)],
    }
    write_paper(file, canonical.encode(record) + b"\n")
