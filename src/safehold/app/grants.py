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
from safehold.app.plan import Plan
from safehold.canonical import b64, unb64
from safehold.charter import Charter
from safehold.clock import SECOND_US, SystemClock, day_of
from safehold.errors import InvalidError
from safehold.keeper.client import KeeperClient, Progress
from safehold.keeper.desk import segment_name
from safehold.keeper.grants import use_message
from safehold.keeper.terms import sources_of
from safehold.settings import Home
from safehold.signing import SigningKey

VERSION = "safehold-request/1"
ROLE = "data_scientist"
FEATURE = "feature"
RUNS = 3


@dataclass(frozen=True, slots=True)
class Pass:
    """A grant that was enacted, with its holder.

    Args:
        grant: Its id.
        holder: Token and key.
    """

    grant: str
    holder: Holder

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


def draft_grant(
    charter: Charter,
    *,
    requester: str,
    purpose: str,
    reason: str,
    holder: SigningKey,
    minutes: int,
) -> Grant:
    """Return a grant for training over one purpose's features, as wide as the charter's places and retention."""
    now = SystemClock().now_us()
    today = day_of(now)
    kept = max((charter.retention(stream) for stream in sources_of(charter, purpose)), default=0)
    return Grant(
        id=ids.new_id("grant"),
        requester=Human(id=requester, role=ROLE),
        holder=holder.public,
        purpose=purpose,
        segments=tuple(segment_name(place, FEATURE) for place in sorted(charter.jurisdictions)),
        streams=(FEATURE,),
        stages=("training",),
        recipes=("train",),
        people="",
        first_day=max(today - kept, 0),
        last_day=today + 1,
        asked_us=now,
        expires_us=now + minutes * 60 * SECOND_US,
        max_runs=RUNS,
        reason=reason,
        charter=charter.digest().hex(),
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


def pass_for(client: KeeperClient, path: Path, plan: Plan) -> Pass | None:
    """Return the pass of a run: from its grant file, or from a folder of seat keys, or none."""
    if plan.grant is not None:
        if plan.holder is None:
            raise InvalidError(
                "a grant is used with its holder's key", rule="cli.options", fix="--holder"
            )
        grant, approvals = _read(plan.grant)
        return _enact(client, grant, approvals, SigningKey.read(plan.holder))
    if plan.seats is not None:
        return pass_with_seats(client, Home.open(path), purpose=plan.purpose, seats=plan.seats)
    return None


def pass_with_seats(client: KeeperClient, home: Home, *, purpose: str, seats: Path) -> Pass:
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
    return Pass(answer["grant"], Holder(answer["token"], holder))


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
