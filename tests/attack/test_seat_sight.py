"""What a seat sees by holding it, whatever its holder's role; and that nobody sees it by another way."""

from __future__ import annotations

import pytest
from tests.identities import human, workload
from tests.keeper_desk import CROWD, PURPOSE, Bench, copy_bench, found_bench
from tests.seated import signed_roster
from tests.world import raised

from safehold.app.draft import draft_grant
from safehold.charter.turnover import next_roster
from safehold.errors import DeniedError
from safehold.keeper import door
from safehold.keeper.sight import LOOKS
from safehold.signing import SigningKey

NAMED = {"request": "grt_x", "grant": "grt_x", "incident": 1}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Bench:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("sight")
        patch.setenv("SAFEHOLD_OUTSIDE", str(folder / "outside"))
        return found_bench(folder / "made", people=CROWD)


@pytest.fixture
def bench(made, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAFEHOLD_OUTSIDE", str(tmp_path / "outside"))
        bench = copy_bench(made, tmp_path).start()
        yield bench
        bench.stop()


def rule_of(act) -> str:
    return raised(act).rule or ""


def refused_at_door(who, verb) -> bool:
    try:
        who.ask(verb, **NAMED)
    except DeniedError as error:
        return (error.rule or "").startswith("door.")
    except Exception:
        return False
    return False


def test_a_seat_looks_whatever_the_role_and_nobody_else_of_that_role_does(bench):
    seat, other = human(bench.call, "legal", "employee"), human(bench.call, "eva", "employee")
    for verb in door.OF_SEATS:
        assert not refused_at_door(seat, verb), verb
        assert refused_at_door(other, verb), verb
    told = seat.ask("board.mine")
    assert told["seats"] == ["legal"]
    assert set(told["looks"]) == set(LOOKS)
    assert other.ask("board.mine")["seats"] == []
    assert other.ask("board.mine")["looks"] == []
    # a seat looks: it operates nothing by it
    for verb in ("ingest", "people.enrol", "grant.revoke", "principal.enrol", "ledger.show", "drill.record"):  # fmt: skip
        assert refused_at_door(seat, verb), verb


def test_being_told_what_one_may_look_at_writes_no_refusal_down(bench):
    eva = human(bench.call, "eva", "employee")
    size = bench.desk.ledger.size
    eva.ask("board.mine")
    assert bench.leaves(size) == []


def test_no_program_sits_on_the_board(bench):
    """Whatever is called like the holder of a seat: only a person is one."""
    human(bench.call, "ana")
    robot = workload(bench.call, "legal", "data_scientist")
    assert rule_of(lambda: robot.ask("refusal.list")) == "door.workload"
    for verb in ("milestones", "drift", "budget.show"):
        looked = not refused_at_door(robot, verb)
        assert looked == (verb == "budget.show"), verb
    assert rule_of(lambda: robot.ask("board.mine")) == "door.workload"


def test_whoever_lost_the_seat_sees_nothing_more(bench):
    seat = human(bench.call, "legal", "employee")
    assert seat.ask("request.list") == {"requests": []}
    trust = bench.desk.trust
    fresh = SigningKey.generate()
    made = next_roster(trust.roster, seat="legal", key=fresh.public)
    bench.call("board.rotate", roster=signed_roster(made, {"legal": bench.seats["legal"]}, ("legal", fresh)).to_json())  # fmt: skip
    assert seat.ask("request.list") == {"requests": []}  # another key, the same holder
    bench.call("principal.suspend", principal="legal", reason="away")
    assert rule_of(lambda: seat.ask("request.list")) != ""


def test_a_quote_is_the_price_and_leaves_nothing_behind(bench):
    ana = human(bench.call, "ana", "data_scientist")
    asked = {"purpose": PURPOSE, "recipe": "train", "reason": "canary-quote", "minutes": 60, "days": 7, "runs": 1}  # fmt: skip
    key = SigningKey.generate().public.text()
    before = bench.desk.ledger.size
    quote = ana.ask("request.quote", **asked, holder=key, places=["US-CA"])
    assert bench.leaves(before) == []
    assert ana.ask("request.list")["requests"] == []
    assert quote["against"] is None
    assert quote["grant"]["segments"] == ["us-ca.feature"]
    sent = ana.ask("request.new", grant=quote["grant"], people=quote["people"])
    for name in ("people", "classes", "days", "models", "epsilon_micro"):
        assert sent["price"][name] == quote["price"][name], name
    assert [one["request"] for one in ana.ask("request.list", mine=True)["requests"]] == [sent["request"]]  # fmt: skip
    bo = human(bench.call, "bo", "data_scientist")
    assert bo.ask("request.list", mine=True)["requests"] == []
    assert bo.ask("grant.list", mine=True)["grants"] == []
    # a place where nobody is means too few people
    empty = ana.ask("request.quote", **asked, holder=key, places=["US-WA"])
    assert empty["price"]["people"] == 0


def test_what_cannot_be_granted_is_quoted_with_its_reason_and_no_price(bench):
    ana = human(bench.call, "ana", "data_scientist")
    key = SigningKey.generate().public.text()
    asked = {"purpose": PURPOSE, "recipe": "train", "reason": "too long", "minutes": 5000, "days": 7, "runs": 1}  # fmt: skip
    quote = ana.ask("request.quote", **asked, holder=key)
    assert quote["against"]["rule"] == "grant.length"
    assert "price" not in quote
    for name, value in (("minutes", 0), ("days", "7"), ("runs", True), ("recipe", "code"), ("purpose", "x")):  # fmt: skip
        assert raised(lambda n=name, v=value: ana.ask("request.quote", **asked | {n: v}, holder=key))  # fmt: skip
    # no one asks in another's name: the grant is the caller's
    assert quote["grant"]["requester"]["id"] == "ana"


def test_narrower_versions_are_priced_and_too_few_people_are_none(bench):
    ana = human(bench.call, "ana", "data_scientist")
    grant = draft_grant(bench.charter(), requester="ana", purpose=PURPOSE, reason="less", holder=SigningKey.generate(), minutes=120)  # fmt: skip
    sent = ana.ask("request.new", grant=grant.to_json())
    told = human(bench.call, "legal", "employee").ask("request.narrower", request=sent["request"])
    assert told["reach"] == sent["reach"]
    for one in told["narrower"]:
        assert one["reach"] <= told["reach"]
        assert one["people"] >= 50
    places = [one["places"] for one in told["narrower"] if one["leaves_out"] == "place"]
    assert places == [["us-ca"]]  # nobody is in the other


def test_refusals_name_lines_and_roles_and_nobody(bench):
    ana = human(bench.call, "ana", "data_scientist")
    bench.desk.note_refusal(ana.id, "train", {"rule": "charter.red_line.no-cross-join"})
    bench.desk.note_refusal(ana.id, "train", {"rule": "grant.days"})
    (found,) = human(bench.call, "legal", "employee").ask("refusal.list")["refusals"]
    assert (found["line"], found["role"], found["tried"]) == ("no-cross-join", "data_scientist", "train")  # fmt: skip
    assert "No table ever holds" in found["plain"]
    assert "ana" not in {value for value in found.values() if isinstance(value, str)}
