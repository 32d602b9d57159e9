"""What the sentinel may know of a leaf: a closed list for every kind, and nothing beside it."""

from __future__ import annotations

import pytest
from tests.agency import Agency, with_agents
from tests.keeper_desk import CROWD, PURPOSE, Bench, copy_bench, found_bench, script_training
from tests.watching import READER, Post, knock, reserved
from tests.world import raised

from safehold import canonical
from safehold.keeper.nobody import NOBODY, RESERVED
from safehold.keeper.watch import SHIFT_US, watch_purpose
from safehold.keeper.watch_events import OPENED
from safehold.ledger import KINDS, Entry, Subject
from safehold.sentinel.event import Event
from safehold.sentinel.reading import read_event

FIELDS = set(Event.__dataclass_fields__)
# all that an event may hold of what lies sealed, by kind of leaf; a new word here is a new thing the sentinel knows
MAY_SHOW = {
    "access.intent": {"actor", "object", "grant", "role", "segments"},
    "access.result": {"actor"},
    "refusal": {"actor", "via"},
    "grant": {"actor", "object", "grant.id", "grant.purpose", "grant.requester.id", "grant.requester.role"},
    "request": {"actor", "object", "purpose"},
    "embed.export": {"actor"},
    "join": {"actor", "object"},
    "federation": {"actor", "object"},
    "session": {"actor", "kind"},
    "tool": {"actor"},
}  # fmt: skip
PLANTED = (
    "text",
    "reason",
    "people",
    "filter",
    "person",
    "columns",
    "sentence",
    "rule",
    "days",
    "blocks",
    "label",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Bench:
    bench = found_bench(tmp_path_factory.mktemp("watched"), people=CROWD, charter=with_agents())
    bench.start()
    bench.take(*CROWD)
    bench.call("feature", purpose=PURPOSE)
    bench.stop()
    return bench


@pytest.fixture
def bench(made, tmp_path):
    bench = copy_bench(made, tmp_path).start()
    script_training(bench)
    yield bench
    bench.stop()


def test_the_list_of_what_is_opened_is_the_list_of_this_test():
    assert set(OPENED) == set(MAY_SHOW)
    assert set(OPENED) <= set(KINDS)
    for kind, paths in OPENED.items():
        # a kind and a rule decide what an event says, and are not said
        assert set(paths) <= MAY_SHOW[kind] | {"rule", "grant.requester.kind"}, kind


def planted(kind: str, public: dict, ref: int | None) -> Entry:
    """Return an entry whose every sealed word can be told from all others."""
    words = {name: f"canary-{kind}-{name}" for name in PLANTED}
    inner = {
        name: f"canary-{kind}-grant.{name}" for name in (*PLANTED, "id", "purpose", "segments")
    }
    who = {name: f"canary-{kind}-grant.requester.{name}" for name in ("id", "role", "kind", "name")}
    named = {name: f"canary-{kind}-{name}" for name in ("role", "via", "purpose", "kind")}
    detail = (
        words
        | named
        | {"segments": [f"canary-{kind}-segments"], "score": [{"deep": f"canary-{kind}-deep"}]}
    )
    detail["grant"] = inner | {"requester": who} if kind == "grant" else f"canary-{kind}-grant"
    return Entry(
        kind=kind, actor=f"canary-{kind}-actor", object=f"canary-{kind}-object", detail=detail, public=public, ref=ref,
        subjects=[Subject(key=b"k" * 32)],
    )  # fmt: skip


def test_of_every_kind_of_leaf_only_the_listed_words_come_out(bench, monkeypatch):
    post, ledger = Post(bench), bench.desk.ledger
    size = ledger.size
    (grant,) = ledger.append([planted("grant", {"state": "approved"}, None)])
    (intent,) = ledger.append(
        [planted("access.intent", {"purpose": PURPOSE, "rows": 7}, grant.index)]
    )
    states = {"request": "asked", "session": "opened", "federation": "joined", "join": "committed"}
    for kind, rule in KINDS.items():
        if kind in ("index.epoch", "grant", "access.intent", "home", "stop", "resume"):
            continue  # the log refuses one that is not its own, or the test made one
        public = {"state": states[kind]} if kind in states else {}
        public |= {"outcome": "denied"} if kind == "access.result" else {}
        ref = {"access.intent": intent.index, "grant": grant.index}.get((rule.refers or ("",))[0])
        ledger.append([planted(kind, public, ref if rule.needs_ref or kind == "refusal" else None)])
    opened: list[bytes] = []
    sealer = ledger._sidecar
    real = sealer.open
    monkeypatch.setattr(
        type(sealer), "open", lambda self, **given: opened.append(given["aad"]) or real(**given)
    )
    answer = post.events(since=size)
    monkeypatch.undo()
    assert len(opened) == len(MAY_SHOW), "a kind that is not listed is not even opened"
    found = {kind: set() for kind in KINDS}
    for event in answer["events"]:
        assert set(event) == FIELDS
        read_event(event)
        for kind in KINDS:
            for word in str(event).replace("'", " ").split():
                if word.startswith(f"canary-{kind}-"):
                    found[kind].add(word.removeprefix(f"canary-{kind}-").rstrip(",]"))
    for kind, words in found.items():
        assert words <= MAY_SHOW.get(kind, set()), kind
    assert {event["number"] for event in answer["events"]}, "something is told"
    text = canonical.encode(answer).decode()
    assert "deep" not in text
    assert "canary-choice" not in text


def test_a_use_its_result_and_attempts(bench):
    holder = bench.pass_()
    bench.call("train", **bench.use(holder))
    knock(bench, 1)
    post = Post(bench)
    told = {one["action"]: one for one in post.events()["events"]}
    use, result = told["run.train"], told["result"]
    assert (use["principal"], use["kind"], use["role"]) == ("ana", "human", "data_scientist")
    assert (use["rows"], use["objects"], use["segment"]) == (
        len(CROWD),
        ["us-ca.feature"],
        "us-ca.feature",
    )
    assert (use["purpose"], use["outcome"], use["bytes"]) == (PURPOSE, "ok", 0)
    assert result["bytes"] > 0
    assert result["grant"] == use["grant"] == told["grant.enact"]["grant"]
    assert (told["grant.ask"]["principal"], told["grant.ask"]["purpose"]) == ("ana", PURPOSE)
    assert (told["train"]["principal"], told["train"]["outcome"]) == ("caller", "denied")
    assert told["run.feature"]["kind"] == "workload"


def test_agents_tools_and_sessions(bench):
    agency = Agency(bench)
    ana = agency.person("ana-x")
    helper = agency.agent("helper", "ana-x")
    helper.ask("tool.call", agent="helper", tool="show_budget", digest="0" * 64)
    raised(lambda: helper.ask("grant.revoke", grant="x"))
    raised(lambda: ana.ask("people.enrol", people=[], evidence="x"))
    told = {(one["principal"], one["action"]): one for one in Post(bench).events()["events"]}
    assert told["helper", "tool.show_budget"]["kind"] == "agent"
    assert told["helper", "session.opened"]["role"] == "agent"
    assert told["helper", "grant.revoke"]["outcome"] == "denied"
    assert told["ana-x", "people.enrol"]["outcome"] == "denied"


def test_a_batch_is_the_same_however_it_is_cut(bench):
    bench.call("train", **bench.use(bench.pass_()))
    knock(bench, 3)
    post = Post(bench)
    whole = post.events()["events"]
    cut, since = [], 0
    while since < whole[-1]["number"] + 1:
        answer = post.events(since=since, limit=2)
        cut += answer["events"]
        since = answer["next"]
    assert cut == whole


def test_one_intent_for_a_reader_before_anything_is_opened_and_its_result(bench):
    post, ledger = Post(bench), bench.desk.ledger
    size = ledger.size
    knock(bench, 2)
    post.events(since=size)
    post.events(since=size)
    intents = [(index, leaf) for index, leaf in ledger.leaves(size) if leaf["k"] == "access.intent"]
    assert len(intents) == 1
    ((index, leaf),) = intents
    purpose = watch_purpose(bench.charter())
    assert purpose == "secure_the_pipeline"
    assert leaf["pub"] == {"purpose": purpose, "action": "watch"}
    assert bench.call("ledger.show", index=index)["actor"] == "sentinel"
    bench.verbs.work.answers.settle()
    assert index in bench.desk.trust.unanswered(), (
        "whoever decides about another use does not end it"
    )
    post.call("sentinel.done", reader=READER)
    assert index not in bench.desk.trust.unanswered()
    said = [
        (one["ref"], one["pub"]["outcome"])
        for _, one in ledger.leaves(index)
        if one["k"] == "access.result"
    ]
    assert said == [(index, "ok")]
    assert bench.desk.ledger.detail(ledger.size - 1)["detail"]["opened"] == 4
    assert not post.events(since=index)["events"], "it does not watch itself"
    assert len(list(ledger.leaves(index))) == 2, "what is its own is not even opened"


def test_an_intent_ends_after_half_an_hour_and_with_the_keeper(bench):
    post = Post(bench)
    knock(bench, 1)
    post.events()
    (first,) = bench.desk.trust.unanswered()
    bench.clock.advance(SHIFT_US)
    bench.verbs.watching.watch.close_over()
    assert not bench.desk.trust.unanswered()
    post.events()
    (second,) = bench.desk.trust.unanswered()
    assert second > first
    bench.restart()
    assert not bench.desk.trust.unanswered()
    outcomes = [
        leaf["pub"]["outcome"]
        for _, leaf in bench.desk.ledger.leaves(first)
        if leaf["k"] == "access.result"
    ]
    assert outcomes == ["ok", "ok"], "a keeper that ends says how much was opened"


def test_nobody_hides_behind_a_name(bench):
    assert NOBODY < RESERVED
    for name in sorted(NOBODY):
        assert (
            raised(lambda name=name: bench.pass_(requester=reserved(name))).rule
            == "principal.claimed"
        )
    for name in sorted(RESERVED):
        refused = raised(
            lambda name=name: bench.call(
                "principal.enrol",
                principal=name,
                kind="human",
                role="engineer",
                names=["key:" + "A" * 43 + "="],
            )
        )
        assert refused.rule == "principal.id"


def test_a_use_under_a_grant_is_told_whatever_its_purpose_and_name(bench):
    # as if a charter called a purpose like that, or a grant had such a name: only what no caller can do is left out
    ledger = bench.desk.ledger
    size = ledger.size
    (grant,) = ledger.append([
        Entry(kind="grant", actor="keeper", object="g", public={"state": "approved"},
              detail={"grant": {"id": "g", "purpose": "p", "requester": {"kind": "human", "id": "keeper", "role": ""}}}),
    ])  # fmt: skip
    for public in ({"purpose": "right-of-access"}, {"purpose": "p", "action": "watch"}):
        ledger.append(
            [
                Entry(
                    kind="access.intent",
                    actor="keeper",
                    object="train",
                    detail={},
                    public=public,
                    ref=grant.index,
                )
            ]
        )
    told = [one["action"] for one in Post(bench).events(since=size)["events"]]
    assert told == ["grant.enact", "run.train", "run.train"]


def test_a_persons_own_copy_is_nobodys_business(bench):
    ledger = bench.desk.ledger
    size = ledger.size
    (intent,) = ledger.append([
        Entry(kind="access.intent", actor="person", object="export", detail={}, public={"purpose": "right-of-access"})
    ])  # fmt: skip
    ledger.append([
        Entry(kind="access.result", actor="person", object="export", detail={}, public={"outcome": "denied"}, ref=intent.index)
    ])  # fmt: skip
    assert Post(bench).events(since=size)["events"] == []


def test_words_that_a_caller_chooses_come_from_closed_lists(bench):
    ledger = bench.desk.ledger
    size = ledger.size
    for thing in ("salary 90000", "salary-90000", "tool/what-he-earns", "code:salary"):
        bench.desk.note_refusal("caller", thing, {"rule": "x", "purpose": "salary-90000"})
    told = Post(bench).events(since=size)["events"]
    assert [one["action"] for one in told] == ["unnamed", "unnamed", "unnamed", "code"]
    assert "salary" not in str(told)


def test_who_names_somebody_elses_agent_is_told_as_who_did(bench):
    agency = Agency(bench)
    agency.person("ana-x")
    victim = agency.agent("victim", "ana-x")
    framer = agency.agent("framer", "ana-x")
    raised(lambda: framer.ask("tool.call", agent="victim", tool="show_budget", digest="0" * 64))
    denied = [one for one in Post(bench).events()["events"] if one["outcome"] == "denied"]
    assert [one["principal"] for one in denied] == ["framer"]
    assert victim.id == "victim"


def test_what_was_destroyed_is_passed_over(bench, monkeypatch):
    from safehold.errors import ShreddedError

    knock(bench, 3)
    post = Post(bench)

    def gone(self, **_given):
        raise ShreddedError("the month's key is gone")

    monkeypatch.setattr(type(bench.desk.ledger._sidecar), "open", gone)
    answer = post.events()
    assert answer["events"] == []
    assert answer["next"] == answer["size"]
