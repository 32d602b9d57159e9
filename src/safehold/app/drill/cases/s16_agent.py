"""S16 an agent gone astray (F14): told to fix permissions, to delegate, to loop, to read here and send there.

In a lake permissions change and nothing ends. Safehold: no permission changes, no delegation widens, a stop at run 4,
and an alert.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final

from safehold.access import Grant, Holder, PeopleFilter, Price, approve
from safehold.app.charters import charter_in_force, keys_in
from safehold.app.draft import Limits, draft_grant
from safehold.app.drill.asking import shape_of
from safehold.app.drill.holder import tries
from safehold.app.drill.notice import contained, noticed
from safehold.app.drill.place import Place
from safehold.app.drill.run import unable
from safehold.app.drill.scan import Scanner, read_answer
from safehold.app.drill.twin import PURPOSE, Twin, sign_in
from safehold.assurance.drill.outcome import Exposure, Findings, merge
from safehold.canonical import b64, unb64
from safehold.clock import SystemClock
from safehold.errors import SafeholdError
from safehold.keeper.client import KeeperClient
from safehold.keeper.messages import use_message
from safehold.signing import SigningKey

OFF = (
    "safehold.app.drill.guards:without_door",
    "safehold.app.drill.guards:without_counting",
    "safehold.app.drill.guards:without_vector_exit",
)
RUNS: Final = 3  # that its grant allows
LOOP: Final = (
    200  # further attempts; the note's ten thousand are refused the same way, each an entry
)
QUICK_LOOP: Final = 20
VERB, RECIPE = "feature.granted", "feature"


def attempt(place: Place) -> Findings:
    """Give an agent a grant for three runs under its operator's, and let it do everything it was told."""
    with place.served("agent", fed=True, watched=True) as (twin, client):
        loop = QUICK_LOOP if place.quick else LOOP
        return Findings(live=_astray(twin, client, loop, place.scanner, alerted=True))


def lake(place: Place) -> Findings:
    """Let the agent, which runs as the account that owns the tables, fix the permissions; then somebody else reads."""
    one = place.plain_lake
    one.close()
    one.open_to_all()  # what "fix the permissions" comes to: it is the owner, and nothing asks
    return Findings(live=one.read())


def control(place: Place) -> Findings:
    """The same agent at a keeper with an open door, that counts no runs and lets what it read be sent away."""
    with place.served("agent-unguarded", fed=True, off=OFF) as (twin, client):
        return Findings(live=_astray(twin, client, RUNS, place.scanner))


def _astray(
    twin: Twin, client: KeeperClient, loop: int, scanner: Scanner, *, alerted: bool = False
) -> Exposure:
    since = time.time()
    twin.enrol(client, "drill.operator", role="data_scientist")
    owner, parent = _operator_grant(twin, client)
    agent, key = _enrol(client)
    holder = _agent_grant(twin, agent, key, parent)
    refusals, dataset = 0, ""
    answers: list[Exposure] = []
    for _ in range(RUNS + 1 + loop):
        try:
            made = agent.call(VERB, **_proof(agent, holder))
            dataset = str(made["dataset"])
            answers.append(read_answer(made, scanner))
        except SafeholdError:
            refusals += 1
    ran = len(answers)
    if ran < RUNS:  # else a budget that nothing ever reached would count as one that held
        raise unable(f"the agent ran {ran} times of the {RUNS} it was approved for")
    got: list[dict[str, Any]] = []
    told = _told(agent, holder, parent, dataset)
    refused, through = tries((name, partial(_keep, attempt, got)) for name, attempt in told)
    # what it was told to fetch and send counts like what it was answered
    shown = merge([*answers, *(_sent(one, scanner) for one in got)])
    wrong = [f"{name} was let through" for name in through]
    if ran > RUNS:
        wrong.append(f"it ran {ran} times, not {RUNS}")
    found = Exposure(
        people=shown.people or 0,
        records=shown.records or 0,
        segments=int(bool(shown.records)),
        canaries=shown.canaries or 0,
        wrong=tuple(wrong),
        told={
            "runs": ran,
            "asked_to_run": RUNS + 1 + loop,
            "refused_runs": refusals,
            "refused_by": refused,
        },
    )
    if not alerted:
        return found
    return merge((found, noticed(owner, since), contained(owner, "drill.astray", agent)))


def _keep(attempt: Callable[[], dict[str, Any]], got: list[dict[str, Any]]) -> None:
    got.append(attempt())


def _sent(answer: dict[str, Any], scanner: Scanner) -> Exposure:
    """Return what an answer shows of anybody; rows of features that came with it are of the people they say."""
    rows = len(answer.get("vectors", ()))
    shown = read_answer(answer, scanner)
    if not rows:
        return shown
    return Exposure(
        people=max(int(answer.get("people", 1)), shown.people or 0),
        records=rows + (shown.records or 0),
        segments=1,
        canaries=shown.canaries,
    )


def _told(
    agent: KeeperClient, holder: Holder, parent: Grant, dataset: str
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield what it was told to do, and may not."""
    key = SigningKey.generate()
    name = f"key:{key.public.text()}"
    role: dict[str, Any] = {"kind": "human", "role": "engineer", "names": [name]}
    yield "enrol an engineer", partial(agent.call, "principal.enrol", principal="drill.x", **role)
    yield "restore somebody", partial(agent.call, "principal.restore", principal="drill.operator")
    yield "list principals", partial(agent.call, "principal.list")
    yield "enrol another agent", partial(
        agent.call, "agent.enrol", principal="drill.y", operator="drill.operator", names=[name],
        via="", policy={},
    )  # fmt: skip
    yield (
        "change somebody's choice",
        partial(agent.call, "people.choose", person="emp-00001", choice="consent", streams=["key"]),
    )
    yield "erase somebody", partial(agent.call, "people.erase", person="emp-00001")
    yield "take a copy", partial(agent.call, "people.export", person="emp-00001")
    yield "resume", partial(agent.call, "resume", order="{}", signatures=[])
    yield "revoke a grant", partial(agent.call, "grant.revoke", grant=parent.id)
    yield (
        "widen its grant",
        partial(agent.call, "grant.enact", grant=parent.to_json(), approvals=[]),
    )
    for verb in (
        "train",
        "query",
        "embed",
        "embed.export",
        "enclave.run",
        "join.sum",
        "artifact.pull",
    ):
        yield f"then {verb}", partial(_use, agent, holder, verb, dataset)


def _use(agent: KeeperClient, holder: Holder, verb: str, dataset: str) -> dict[str, Any]:
    more = shape_of(verb) | ({"dataset": dataset} if verb == "embed.export" else {})
    return agent.call(verb, **_proof(agent, holder, verb), **more)


def _proof(line: KeeperClient, holder: Holder, verb: str = VERB) -> dict[str, Any]:
    nonce = unb64(line.call("nonce")["nonce"])
    return {
        "purpose": PURPOSE,
        "token": holder.token,
        "nonce": b64(nonce),
        "proof": b64(holder.prove(nonce, use_message(verb, PURPOSE))),
    }


def _operator_grant(twin: Twin, client: KeeperClient) -> tuple[KeeperClient, Grant]:
    """Give the operator the grant under which the agent's will stand."""
    key = SigningKey.generate()
    client.call(
        "principal.enrol",
        principal="drill.owner",
        kind="human",
        role="data_scientist",
        names=[f"key:{key.public.text()}"],
    )
    line = sign_in(client, key)
    with twin.here():
        charter = charter_in_force(twin.home)
    grant = draft_grant(
        charter,
        requester="drill.owner",
        purpose=PURPOSE,
        reason="ticket 2: a drill",
        holder=key,
        minutes=60,
        recipe=RECIPE,
        limits=Limits(runs=50, per_hour=50),
    )
    _approved(twin, line, grant)
    return client, grant


def _enrol(client: KeeperClient) -> tuple[KeeperClient, SigningKey]:
    key = SigningKey.generate()
    policy = {
        "purposes": [PURPOSE],
        "recipes": [RECIPE],
        "rows": 1_000_000_000,
        "bytes": 64_000_000,
        "runs": RUNS,
        "calls": 60,
    }
    client.call(
        "agent.enrol",
        principal="drill.astray",
        operator="drill.owner",
        names=[f"key:{key.public.text()}"],
        via="",
        policy=policy,
    )
    return sign_in(client, key), key


def _agent_grant(twin: Twin, agent: KeeperClient, key: SigningKey, parent: Grant) -> Holder:
    """Let the agent ask for the most that it may have, and the seats approve it."""
    drawn = agent.call(
        "agent.draft",
        parent=parent.id,
        recipe=RECIPE,
        minutes=30,
        reason="ticket 3: a drill",
        holder=key.public.text(),
    )
    grant = Grant.from_json(drawn["grant"])
    return Holder(_approved(twin, agent, replace(grant, max_runs=RUNS, max_per_hour=RUNS)), key)


def _approved(twin: Twin, line: KeeperClient, grant: Grant) -> str:
    asked = line.call("request.new", grant=grant.to_json(), people=PeopleFilter().to_json())
    price, now = Price.from_json(asked["price"]), SystemClock().now_us()
    seats = list(keys_in(twin.seats).items())[:2]
    approvals = [approve(grant, price, seat, one, now_us=now).to_json() for seat, one in seats]
    return str(line.call("grant.enact", grant=grant.to_json(), approvals=approvals)["token"])


__all__ = ["attempt", "control", "lake"]
