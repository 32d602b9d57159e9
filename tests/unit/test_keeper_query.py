"""The verb ``query``: what it answers, what it costs, what it refuses, and what the ledger says of it."""

from __future__ import annotations

from dataclasses import replace
from threading import Thread

import pytest
from tests.query_desk import APPS, EVERYBODY, Asking, copy_asking, made_asking

from safehold.access import PeopleFilter, check_grant
from safehold.access.principal import Agent
from safehold.charter import Charter
from safehold.errors import (
    BudgetSpentError,
    DeniedError,
    InvalidError,
    SafeholdError,
    UnavailableError,
)
from safehold.privacy.query import read_query
from safehold.sdk import Use, table

APP = "SELECT app AS k FROM pointer"


@pytest.fixture
def asking(tmp_path):
    found = copy_asking(made_asking(), tmp_path)
    yield found
    found.bench.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One keeper for tests that leave nothing behind but what they spent; its budget is wide."""
    found = copy_asking(made_asking(), tmp_path_factory.mktemp("shared"))

    def purposes(old):
        privacy = old["improve_tools"]["privacy"] | {"epsilon_micro": 400_000_000}
        return old | {"improve_tools": old["improve_tools"] | {"privacy": privacy}}

    found.bench.enact(found.bench.changed(purposes=purposes))
    yield found
    found.bench.stop()


def raised(ask, *given, **named) -> SafeholdError:
    with pytest.raises(SafeholdError) as caught:
        ask(*given, **named)
    return caught.value


def intents(asking: Asking) -> list[dict]:
    return [leaf for _, leaf in asking.bench.desk.ledger.leaves(0) if leaf["k"] == "access.intent"]


def test_a_reviewed_query_is_answered_with_noise_and_charged(asking):
    text = asking.text(APP, keys=list(APPS), groups=3, epsilon=3.0)
    answer = asking.ask(asking.grant(text), text)
    figures = {one["key"]: one for one in answer["figures"]}
    assert figures["browser"]["value"] is None, "18 people are too few to be told of"
    mail = figures["mail"]
    # noise of scale 1 stays within 40 but for a chance of e^-40
    assert abs(mail["people"] - len(EVERYBODY)) <= 40
    if mail["value"] is not None:
        assert mail["low"] <= mail["value"] <= mail["high"]
        assert mail["error"] == pytest.approx(1.357, abs=1e-3)
    assert (answer["epsilon"], answer["epsilon_left"], answer["people"]) == (3.0, 1.0, 53)
    assert asking.left() == 1.0
    (leaf,) = intents(asking)
    assert leaf["pub"]["epsilon_micro"] == 3_000_000
    said = asking.bench.desk.ledger.detail(answer["intent"])
    assert said["object"] == said["detail"]["query"] == read_query(text).name
    assert said["detail"]["sql"] == APP


@pytest.mark.parametrize(
    ("sql", "settings", "exact"),
    [
        ("SELECT app AS k, x AS v FROM pointer", {"release": "sum", "keys": ["mail"], "rows": 2, "low": 0, "high": 60, "step": 1}, 2 * sum(range(53))),
        ("SELECT * FROM pointer", {"release": "events", "rows": 2}, 106),
        ("SELECT x AS v FROM pointer", {"release": "mean", "rows": 3, "low": 0, "high": 60, "step": 1}, 26),
        ("SELECT x AS v FROM pointer", {"release": "quantile", "rows": 3, "low": 0, "high": 60, "step": 1, "at": 0.5}, 26),
        ("SELECT x AS v FROM pointer", {"release": "histogram", "rows": 3, "edges": [0, 60]}, 159),
    ],
)  # fmt: skip
def test_each_figure_is_near_what_is_true(shared, sql, settings, exact):
    text = shared.text(sql, **settings, epsilon=4.0)
    (figure,) = shared.ask(shared.grant(text), text)["figures"]
    if figure["value"] is None:  # noise may take 53 people below 50
        return
    reach = 60 * (figure["error"] or 1.0)  # e^-60 of a chance to be further off
    assert abs(figure["value"] - exact) <= reach


def test_a_text_that_was_not_approved_is_not_answered(shared):
    text = shared.text(APP, keys=["mail"])
    permit, left, before = shared.grant(text), shared.left(), len(intents(shared))
    for other in (
        text + " ",
        shared.text(APP, keys=["mail"], epsilon=0.1),
        shared.text(APP, keys=["ide"]),
    ):
        assert raised(shared.ask, permit, other).rule == "capability.recipe"
        name = read_query(text).name
        assert raised(shared.ask, permit, other, recipe=name).rule == "sql.hash"
    assert (shared.left(), len(intents(shared))) == (left, before)


def test_a_query_that_nobody_reviewed_needs_one_person_more(asking):
    text = asking.text(APP, keys=["mail"])
    refused = raised(asking.grant)
    assert isinstance(refused, DeniedError)
    assert (refused.rule, asking.left()) == ("approval.quorum", 4.0)
    assert refused.message.startswith("2 of 3 approvals")
    permit = asking.grant(seats=("privacy", "legal", "security"))
    assert asking.ask(permit, text)["epsilon_left"] == 3.5


def test_any_query_at_all_is_granted_by_itself_to_a_person_and_in_no_emergency(shared):
    agent = Agent(id="agent-1", operator="ana")
    charter = shared.bench.charter()
    grant = shared.grant(shared.text(APP, keys=["mail"])).grant
    for change in (
        {"recipes": ("sql", "train")},
        {"recipes": ("sql",), "break_glass": True},
        {"recipes": ("sql",), "requester": agent},
    ):
        assert raised(check_grant, replace(grant, **change), charter).rule == "grant.code"


def test_a_charge_too_small_to_be_split_is_refused_before_it_is_charged(asking):
    keys = [f"k{at}" for at in range(20)]
    text = asking.text(
        APP, release="quantile", keys=keys, groups=20, low=0, high=9, step=1, at=0.5, epsilon=2e-5
    )
    permit = asking.grant(text)
    assert raised(asking.ask, permit, text).rule == "privacy.template"
    assert (asking.left(), intents(asking)) == (4.0, [])


def test_whoever_is_erased_after_a_figure_was_made_finds_it_in_the_receipt(asking):
    """The figure and its result are one step: no erasure looks between them."""
    release, found = asking.bench.verbs.work.release, []
    thread = Thread(
        target=lambda: found.append(
            asking.bench.call("people.erase", person=next(iter(EVERYBODY)), evidence="a letter")
        )
    )
    close = release.close

    def late(*given):
        thread.start()
        thread.join(2.0)  # it would be through by then, and waits for the result instead
        return close(*given)

    release.close = late
    text = asking.text(APP, keys=["mail"])
    answer = asking.ask(asking.grant(text), text)
    thread.join()
    (effect,) = [one for one in found[0]["effects"] if one["kind"] == "aggregate"]
    assert effect["id"] == f"{read_query(text).name}:{answer['intent']}"
    assert (effect["status"], effect["epsilon_micro"]) == ("bounded", 500_000)


def test_a_role_that_may_not_query_asks_for_no_query_that_nobody_reviewed(asking):
    def roles(old):
        return old | {"data_scientist": old["data_scientist"] | {"do": ["run_approved_recipe"]}}

    asking.bench.enact(asking.bench.changed(who_may=roles))
    refused = raised(asking.grant, seats=("privacy", "legal", "security"))
    assert (refused.rule, asking.left()) == ("charter.guard.closed-query", 4.0)
    text = asking.text(APP, keys=["mail"])
    assert asking.grant(text).grant.recipes == (read_query(text).name,)


def test_a_purpose_that_releases_no_figures_releases_none(asking):
    def purposes(old):
        return old | {"improve_tools": old["improve_tools"] | {"releases": ["alert"]}}

    asking.bench.enact(asking.bench.changed(purposes=purposes))
    text = asking.text(APP, keys=["mail"])
    permit = asking.grant(text)
    refused = raised(asking.ask, permit, text)
    assert refused.rule == "purpose.releases"
    assert asking.left() == 4.0


def test_only_columns_of_the_grant_are_there(shared):
    text = shared.text("SELECT x AS v FROM pointer", release="mean", low=0, high=9, step=1)
    narrow = shared.grant(
        text,
        columns=("pointer.app", "pointer.seq"),
        streams=("pointer",),
        segments=("us-ca.pointer",),
    )
    refused = raised(shared.ask, narrow, text)
    assert (refused.rule, refused.message) == ("sql.bind", "the query names what is not there")
    whole = shared.text(
        "SELECT count(*) AS v FROM (SELECT * FROM pointer)", release="mean", low=0, high=9, step=1
    )
    permit = shared.grant(
        whole,
        columns=("pointer.app", "pointer.seq"),
        streams=("pointer",),
        segments=("us-ca.pointer",),
    )
    shared.ask(permit, whole)
    assert shared.bench.workshop.packed[-1][0]["stream"] == "pointer"


def test_only_people_of_the_grant_and_of_those_only_who_take_part_are_asked(asking):
    bench = asking.bench
    text = asking.text("SELECT x AS v FROM pointer", release="events")
    everybody = list(bench.desk.people.everybody())
    few = PeopleFilter(people=tuple(sorted(everybody[:20])))
    assert raised(asking.grant, text, people=few).rule == "grant.people_few"
    bench.call("people.choose", person="ana", choice="withdraw")
    bench.call("people.choose", person="bo", choice="pause")
    answer = asking.ask(asking.grant(text), text)
    assert answer["people"] == 51
    assert {header["person"] for header in bench.workshop.packed[-1]} != set()
    assert len({header["person"] for header in bench.workshop.packed[-1]}) == 51
    bench.call("people.choose", person="cy", choice="withdraw")
    bench.call("people.choose", person="p00", choice="withdraw")
    assert (
        raised(asking.ask, asking.grant(text), text).rule
        == "charter.red_line.no-single-person-query"
    )


def test_an_error_that_depends_on_a_row_ends_nothing_and_says_nothing(shared):
    """Dividing by what is zero for one person, or casting what is no number: nothing of them, no word, same price."""
    left = shared.left()
    for sql in (
        "SELECT CAST(app AS INTEGER) AS v FROM pointer WHERE x = 7",
        "SELECT 1 AS v FROM pointer WHERE 10 / (CASE WHEN x = 7 THEN 'a' ELSE '1' END)::INTEGER > 0",
        "SELECT range(CASE WHEN x = 7 THEN 100000000000 ELSE 1 END)[1] AS v FROM pointer",
    ):
        text = shared.text(sql, release="events", epsilon=0.25)
        answer = shared.ask(shared.grant(text), text)
        assert set(answer) >= {"figures", "epsilon_left"}
    assert shared.left() == left - 0.75


def test_whatever_ends_a_run_is_one_sentence_and_stays_charged(asking):
    text = asking.text(APP, keys=["mail"])
    permit = asking.grant(text)

    def fall():
        raise UnavailableError("the job did not come to its end", rule="sandbox.unsaid")

    asking.bench.workshop.before = fall
    refused = raised(asking.ask, permit, text)
    assert isinstance(refused, UnavailableError)
    assert (refused.rule, asking.left()) == ("sql.failed", 3.5)
    assert "Alice" not in refused.message
    results = [
        leaf for _, leaf in asking.bench.desk.ledger.leaves(0) if leaf["k"] == "access.result"
    ]
    assert [leaf["pub"]["outcome"] for leaf in results] == ["failed"]


def test_what_is_wrong_with_a_query_is_said_before_a_row_is_opened_and_costs_as_much(shared):
    text = shared.text("SELECT nothing AS k FROM pointer", keys=["mail"])
    left = shared.left()
    assert raised(shared.ask, shared.grant(text), text).rule == "sql.bind"
    assert shared.left() == left - 0.5, (
        "the charge comes first: what was reserved is not given back"
    )


def test_the_size_of_what_was_contributed_is_nowhere(shared):
    """Bytes that are counted in the ledger are those of the noisy answer."""
    text = shared.text("SELECT x AS v FROM pointer", release="events", rows=3)
    answer = shared.ask(shared.grant(text), text)
    (result,) = [leaf for _, leaf in shared.bench.desk.ledger.leaves(answer["entry"])]
    import orjson

    told = {name: answer[name] for name in ("release", "figures", "parts")}
    assert result["pub"]["bytes"] == len(orjson.dumps(told))


def test_the_cap_of_a_grant_counts_epsilon(shared):
    text = shared.text(APP, keys=["mail"], epsilon=0.5)
    left = shared.left()
    permit = shared.grant(text, epsilon=0.7)
    shared.ask(permit, text)
    assert raised(shared.ask, permit, text).rule == "grant.epsilon"
    assert shared.left() == left - 0.5


def test_no_seed_and_no_scale_is_taken(shared):
    for name in ("seed", "scale", "sensitivity"):
        text = shared.text(APP, keys=["mail"])
        bad = text.replace("-- epsilon", f"-- {name} = 1\n-- epsilon")
        assert isinstance(raised(read_query, bad), InvalidError)
    permit = shared.grant(shared.text(APP, keys=["mail"]))
    one = shared.ask(permit, shared.text(APP, keys=["mail"]), seed=1, noise="none")
    assert one["parts"] == {"people": 0.5}, "what a caller puts beside is not read"


def test_a_budget_that_is_spent_answers_nothing_more(asking):
    text = asking.text(APP, keys=["mail"], epsilon=1.5)
    permit = asking.grant(text)
    asking.ask(permit, text)
    asking.ask(permit, text)
    refused = raised(asking.ask, permit, text)
    assert isinstance(refused, BudgetSpentError)
    assert (refused.rule, refused.entry is not None, asking.left()) == ("privacy.budget", True, 1.0)
    leaf = next(leaf for _, leaf in asking.bench.desk.ledger.leaves(refused.entry))
    assert leaf["k"] == "refusal"


def test_a_charter_that_is_narrowed_ends_what_is_left(asking):
    text = asking.text(APP, keys=["mail"], epsilon=1.5)
    asking.ask(asking.grant(text), text)

    def purposes(old):
        privacy = old["improve_tools"]["privacy"] | {"epsilon_micro": 1_000_000}
        return old | {"improve_tools": old["improve_tools"] | {"privacy": privacy}}

    changed: Charter = asking.bench.changed(purposes=purposes)
    asking.bench.enact(changed)
    assert asking.left() == 0.0
    assert raised(asking.ask, asking.grant(text), text).rule == "privacy.budget"


class Wire:
    """A line to the keeper without its socket."""

    def __init__(self, bench) -> None:
        self._bench = bench

    def call(self, verb, *, progress=None, **arguments):
        return self._bench.call(verb, **arguments)


def test_a_use_of_the_sdk_asks_when_its_result_is_read_and_shows_what_it_cost(shared):
    text = shared.text(APP, keys=["mail"])
    left = shared.left()
    permit = shared.grant(text)
    use = Use(Wire(shared.bench), permit.grant, permit.holder._key, lambda _: None)
    result = use.sql(text)
    assert shared.left() == left, "nobody has read it"
    found = result.to_arrow()
    assert found.column_names == table.FIGURES.names
    assert found["epsilon_left"].to_pylist() == [left - 0.5]
    assert shared.left() == left - 0.5
    result.to_arrow()
    assert shared.left() == left - 0.5, "reading twice costs once"
