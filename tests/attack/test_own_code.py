"""Scripts of somebody's own over the home's data: what is asked first, and what little comes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from threading import Thread
from typing import Any

import pytest
from tests.keeper_desk import CROWD, PURPOSE, Bench, copy_bench, found_bench, passed
from tests.seated import founding
from tests.world import outside, raised

from safehold import canonical
from safehold.access import Price, approve, check_grant
from safehold.access.code import name_code
from safehold.access.principal import Agent
from safehold.access.proof import Holder
from safehold.app.draft import draft_grant
from safehold.app.gate import EgressGatekeeper
from safehold.canonical import b64, unb64
from safehold.charter import Charter
from safehold.errors import SafeholdError, TamperedError, UnavailableError
from safehold.keeper import code
from safehold.keeper.code import FIRST_S, wait_left
from safehold.keeper.messages import use_message
from safehold.keeper.ports import Frame
from safehold.keeper.recipes import CODE_VERB
from safehold.signing import SigningKey

FIGURE = b"""# /// safehold
# streams = ["pointer"]
# out = "figure"
# least = 0
# most = 10
# groups = 10
# epsilon = 0.5
# ///
"""
COUNTS = b'# /// safehold\n# streams = ["pointer"]\n# ///\n'


def letting_figures(charter: Charter) -> Charter:
    """Return a charter whose purpose may release aggregates as well."""
    tree = canonical.decode(canonical.encode(charter.to_json()))
    tree["purposes"][PURPOSE]["releases"] = ["model_weights_dp", "dp_aggregate"]
    return Charter.from_json(tree)


class Lab:
    """A scientist with scripts before one keeper; every sandbox is a generator of the test."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.groups: list[set[str]] = []
        self.waited: list[float] = []
        self.sizes: list[int] = []  # of the ledger, while somebody waits
        self.moment = 0.0
        self._count = 0
        bench.verbs.code.wait = self.wait
        bench.verbs.code.now = lambda: self.moment

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.sizes.append(self.bench.desk.ledger.size)

    def send(self, *figures: float | SafeholdError | None) -> None:
        """Let each sandbox send the next of these figures, or nothing, or end with an error."""
        rest = iter(figures)

        def script(_spec: Mapping[str, Any]) -> Iterator[Frame]:
            self.groups.append({header["person"] for header in self.bench.workshop.packed[-1]})
            self.moment += 1.5
            match next(rest):
                case None:
                    return
                case SafeholdError() as error:
                    raise error
                case value:
                    yield passed("code", values={"figure": value})

        self.bench.workshop.scripts = _Named(self.bench.workshop.scripts, script)

    def ask(self, script: bytes, **changes: Any):
        self._count += 1
        key = SigningKey.generate()
        grant = draft_grant(
            self.bench.charter(),
            requester=f"ana-{self._count}",
            purpose=PURPOSE,
            reason="a script of my own",
            holder=key,
            minutes=60,
            recipe="code",
            script=script,
        )
        tree = grant.to_json() | changes
        now = self.bench.clock.now_us()
        tree |= {"asked_us": now, "expires_us": now + 10**10}
        tree |= {"first_day": self.bench.today - 40, "last_day": self.bench.today + 1}
        grant = type(grant).from_json(tree)
        price = Price.from_json(self.bench.call("request.new", grant=grant.to_json())["price"])
        return grant, price, key

    def holder(self, script: bytes, *seats: str) -> Holder:
        grant, price, key = self.ask(script)
        at_us = self.bench.clock.now_us()
        given = [
            approve(grant, price, seat, self.bench.seats[seat], now_us=at_us).to_json()
            for seat in seats or ("privacy", "legal", "security")
        ]
        answer = self.bench.call("grant.enact", grant=grant.to_json(), approvals=given)
        return Holder(answer["token"], key)

    def run(self, holder: Holder, script: bytes) -> dict[str, Any]:
        nonce = unb64(self.bench.call("nonce")["nonce"])
        return self.bench.call(
            CODE_VERB,
            purpose=PURPOSE,
            stage="feature",
            token=holder.token,
            nonce=b64(nonce),
            proof=b64(holder.prove(nonce, use_message(CODE_VERB, PURPOSE))),
            script=script.decode(),
        )


class _Named(dict[str, Any]):
    """Scripts of sandboxes, one of which is for whatever code is asked for."""

    def __init__(self, known: dict[str, Any], own: Any) -> None:
        super().__init__(known)
        self._own = own

    def __missing__(self, _name: str) -> Any:
        return self._own


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = found_bench(
        tmp_path_factory.mktemp("lab"), people=CROWD, charter=letting_figures(founding())
    ).start()
    bench.take(*CROWD)
    bench.stop()
    return bench


@pytest.fixture
def lab(made: Bench, tmp_path) -> Iterator[Lab]:
    with outside(tmp_path):
        bench = copy_bench(made, tmp_path).start()
        yield Lab(bench)
        bench.stop()


@pytest.fixture
def exact(monkeypatch):
    """The release without its noise."""
    real = code.release_mean
    monkeypatch.setattr(
        code, "release_mean", lambda *figures, **more: real(*figures, draw=lambda *_: 0, **more)
    )


def test_a_figure_is_a_mean_over_groups_that_share_nobody(lab, exact):
    lab.send(*[4.0, 6.0] * 5)
    answer = lab.run(lab.holder(FIGURE), FIGURE)
    assert answer["figure"]["value"] == pytest.approx(5.0)
    assert answer["figure"]["groups"] == len(lab.groups) == 10
    assert sum(map(len, lab.groups)) == len(set.union(*lab.groups)) == len(CROWD)
    assert answer["people"] == len(CROWD)
    assert (answer["counts"], answer["words"]) == ({}, [])


def test_noise_is_on_what_leaves(lab):
    lab.send(*[5.0] * 10)
    # the scale is two steps of 2^20 a group: exactly the mean comes out in one of two million runs
    assert lab.run(lab.holder(FIGURE), FIGURE)["figure"]["value"] != pytest.approx(5.0, abs=1e-12)


def test_how_a_group_ended_is_told_to_nobody(lab, exact):
    failed = SafeholdError("the job failed", rule="sandbox.failed")
    flood = TamperedError("too much", rule="sandbox.egress.budget")
    row = TamperedError("text", rule="egress.text")
    slow = UnavailableError("long", rule="sandbox.wall")
    lab.send(failed, flood, row, slow, None, *[5.0] * 5)
    answer = lab.run(lab.holder(FIGURE), FIGURE)
    assert answer["figure"]["value"] == pytest.approx(5.0)
    result = lab.bench.desk.ledger.detail(answer["entry"])["detail"]
    assert result.keys() == {"blocks", "code", "kernel", "level", "mechanisms", "people", "program"}


@pytest.mark.parametrize("rule", ["sandbox.stopped", "sandbox.start", "sandbox.level"])
def test_what_is_not_the_scripts_doing_ends_the_run(lab, rule):
    lab.send(5.0, UnavailableError("it was stopped", rule=rule))
    holder = lab.holder(FIGURE)
    assert raised(lambda: lab.run(holder, FIGURE)).rule == rule
    assert len(lab.groups) == 2


def test_a_figure_is_charged_before_it_is_made(lab):
    lab.send(UnavailableError("no machine", rule="sandbox.start"))
    left = lab.bench.desk.trust.left(PURPOSE).epsilon_micro
    raised(lambda: lab.run(lab.holder(FIGURE), FIGURE))
    assert lab.bench.desk.trust.left(PURPOSE).epsilon_micro == left - 500_000


def test_an_answer_comes_at_one_of_few_moments(lab):
    """How long the script took is an answer about the data; eight, sixteen, thirty-two seconds tell little."""
    lab.send(*[5.0] * 10)
    lab.run(lab.holder(FIGURE), FIGURE)
    assert lab.waited == [16.0 - 15.0]
    assert lab.sizes == [lab.bench.desk.ledger.size - 1], "the result is written after the wait"
    assert [wait_left(took) + took for took in (0.1, FIRST_S, 8.1, 17.0)] == [8.0, 8.0, 16.0, 32.0]


def test_a_stop_while_an_answer_waits_holds_it_back(lab):
    lab.send(*[5.0] * 10)
    holder = lab.holder(FIGURE)
    order = lab.bench.order("stop", "security")
    lab.bench.verbs.code.wait = lambda _: lab.bench.call("stop", **order)
    assert raised(lambda: lab.run(holder, FIGURE)).rule == "oversight.stop"


def test_somebody_who_was_erased_while_it_ran_is_in_no_answer(lab):
    """While it waits for its moment: the receipt of an erasure could not name a figure that is not there yet."""
    lab.send(*[5.0] * 10)
    holder = lab.holder(FIGURE)
    erased = []

    def wait(_seconds: float) -> None:
        erased.append(lab.bench.call("people.erase", person=CROWD[0], evidence="a letter"))

    lab.bench.verbs.code.wait = wait
    assert raised(lambda: lab.run(holder, FIGURE)).rule == "subjects.erased"
    assert [one["kind"] for one in erased[0]["effects"]].count("aggregate") == 0


def test_whoever_is_erased_after_a_figure_was_made_finds_it_in_the_receipt(lab):
    """That nobody was erased, and the result, are one step: no erasure looks between them."""
    lab.send(*[5.0] * 10)
    release, found = lab.bench.verbs.work.release, []
    thread = Thread(
        target=lambda: found.append(
            lab.bench.call("people.erase", person=CROWD[0], evidence="a letter")
        )
    )
    close = release.close

    def late(*given):
        thread.start()
        thread.join(2.0)  # it would be through by then, and waits for the result instead
        return close(*given)

    release.close = late
    answer = lab.run(lab.holder(FIGURE), FIGURE)
    thread.join()
    (effect,) = [one for one in found[0]["effects"] if one["kind"] == "aggregate"]
    assert effect["id"] == f"{name_code(FIGURE)}:{answer['intent']}"
    assert (effect["status"], effect["epsilon_micro"]) == ("bounded", 500_000)


def test_no_exact_count_about_real_people(lab):
    lab.send(5.0)
    error = raised(lambda: lab.run(lab.holder(COUNTS), COUNTS))
    assert error.rule == "code.exact"
    assert lab.groups == []


def test_only_a_purpose_that_releases_aggregates_gives_a_figure(lab, monkeypatch):
    lab.send(5.0)
    monkeypatch.setattr(code, "RELEASE", "alert")  # which this purpose does not release
    assert raised(lambda: lab.run(lab.holder(FIGURE), FIGURE)).rule == "purpose.releases"
    assert lab.groups == []


def test_another_script_is_refused_and_the_attempt_is_in_the_ledger(lab):
    lab.send(5.0)
    holder = lab.holder(FIGURE)
    other = FIGURE + b"# one line more\n"
    error = raised(lambda: lab.run(holder, other))
    leaf = lab.bench.desk.ledger.detail(error.entry)
    assert error.rule == leaf["detail"]["rule"] == "capability.recipe"
    assert leaf["object"] == name_code(other)
    assert lab.groups == []


def test_two_seats_that_give_a_training_do_not_give_a_script(lab):
    error = raised(lambda: lab.holder(FIGURE, "privacy", "legal"))
    assert (error.rule, error.message.partition(";")[0]) == ("approval.quorum", "2 of 3 approvals")


def test_seats_are_shown_how_many_must_agree(lab):
    grant, _, _ = lab.ask(FIGURE)
    assert lab.bench.call("request.show", request=grant.id)["needed"] == 3


def test_a_script_is_asked_for_by_itself(lab):
    recipes = [name_code(FIGURE), "train"]
    assert raised(lambda: lab.ask(FIGURE, recipes=recipes)).rule == "grant.code"
    assert raised(lambda: lab.ask(FIGURE, break_glass=True)).rule == "grant.code"


def test_an_agent_runs_no_code_of_its_own(lab):
    grant, _, _ = lab.ask(FIGURE)
    agent = Agent(id="agent-1", role="agent", operator="ana")
    charter = lab.bench.charter()
    check_grant(grant, charter)
    assert (
        raised(lambda: check_grant(replace(grant, requester=agent), charter)).rule == "grant.code"
    )


@pytest.mark.parametrize(
    ("script", "rule"),
    [
        (b"# /// safehold\n# streams = []\n# ///\n", "code.streams"),
        (FIGURE.replace(b"pointer", b"screen"), "grant.stream"),
    ],
)
def test_a_script_reads_what_its_purpose_uses(lab, script, rule):
    with pytest.raises(SafeholdError) as caught:
        lab.run(lab.holder(script), script)
    assert caught.value.rule == rule


def test_the_gate_of_a_script_is_that_of_its_own_block():
    gate = EgressGatekeeper().open(name_code(COUNTS), {"script": COUNTS.decode()}, frozenset())
    said = gate.admit(Frame({"type": "word", "word": "done"}, memoryview(b"")))
    assert (said.kind, said.values) == ("code", {"word": "done"})
    with pytest.raises(SafeholdError):
        gate.admit(Frame({"type": "figure", "value": 1.0}, memoryview(b"")))
