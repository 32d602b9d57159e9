"""Averaging, differencing and reconstruction end at the budget; nothing gives a budget back.

Each attack is shown to be alive: without a budget the same code finds out what it is after.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from tests.query_attacks import Gate, advantage, average, difference, reconstruct
from tests.query_desk import Asking, begin, copy_asking, made_asking
from tests.world import outside

from safehold.errors import SafeholdError, TamperedError

COUNT = "SELECT x AS v FROM pointer"
SURE = 1e-7  # the chance that a test of this file fails by itself


@pytest.fixture
def asking(tmp_path):
    found = copy_asking(made_asking(), tmp_path)
    yield found
    found.bench.stop()


def fate(asking: Asking, permit, text: str) -> str:
    """Return ``ok`` or the rule of the refusal."""
    try:
        asking.ask(permit, text)
    except SafeholdError as error:
        return error.rule or error.code
    return "ok"


def test_averaging_ends_at_the_budget_and_finds_no_more_than_one_question_would():
    people = [True] * 100 + [False] * 20
    free = average(Gate(None), people, epsilon=1.0, most=200)
    assert abs(sum(free) / len(free) - 100) < 1.5, "without a budget the noise averages away"
    gate = Gate(1.0)
    answers = average(gate, people, epsilon=0.1, most=2_000)
    assert (len(answers), gate.refused) == (10, "privacy.budget")
    # ten answers at a tenth are worse than one at the whole: of ten draws of scale 10 the mean
    # has a standard deviation of 14 / sqrt(10), the one draw has 1.36


def test_differencing_guesses_no_better_than_the_budget_allows():
    rng, trials, budget, each = np.random.default_rng(5), 200, 1.0, 0.25
    free = right = asked = 0
    for at in range(trials):
        bit = bool(rng.integers(2))
        people = [bit, *[True] * 20]
        gate = Gate(budget)
        right += difference(gate, people, 0, epsilon=each, most=500) == bit
        asked += gate.refused == "privacy.budget"
        if at < 6:
            free += difference(Gate(None), people, 0, epsilon=4.0, most=100) == bit
    assert asked == trials
    # the mean of a hundred gaps is ten of its deviations from the half that decides
    assert free == 6, "without a budget it is told"
    slack = np.sqrt(np.log(1 / SURE) / (2 * trials))
    assert right / trials <= advantage(budget) + slack


def test_reconstruction_with_many_subsets_ends_at_the_budget():
    count, questions = 40, 160
    secret = np.random.default_rng(8).random(count) < 0.5

    def choose(at: int) -> np.ndarray:
        return np.random.default_rng(at).random(count) < 0.5

    found, asked = reconstruct(Gate(None), secret, epsilon=4.0, most=questions, choose=choose)
    assert asked == questions
    # each asked as if it were the only one: of forty bits none is wrong but for a chance below 10^-9
    assert np.mean(found == secret) >= 0.9, "without a budget everybody's bit is told"
    for each in (1.0, 0.1, 4.0 / questions):
        gate = Gate(4.0)
        found, asked = reconstruct(gate, secret, epsilon=each, most=2 * questions, choose=choose)
        assert gate.refused == "privacy.budget"
        assert asked == round(4.0 / each)
        # guesses get 37 of 40 right once in 10^7 times
        assert np.mean(found == secret) <= 0.9


def test_the_verb_ends_each_of_them_by_the_same_rule(asking):
    """Through the keeper: repeated, cut into subsets, split over grants, everything is one budget."""
    one = asking.text(COUNT, release="events", epsilon=0.5)
    two = asking.text("SELECT x AS v FROM pointer WHERE x <> 7", release="events", epsilon=0.5)
    three = asking.text(
        "SELECT x AS v FROM pointer WHERE hash(x) % 2 = 0", release="events", epsilon=1
    )
    first, second = asking.grant(one), asking.grant(two)
    wild = asking.grant(seats=("privacy", "legal", "security"))
    fates = [fate(asking, first, one), fate(asking, second, two), fate(asking, first, one)]
    fates += [fate(asking, wild, three), fate(asking, wild, three), fate(asking, second, two)]
    assert fates == ["ok"] * 6
    assert fate(asking, wild, three) == "privacy.budget"
    assert fate(asking, first, one) == "privacy.budget", "what is too dear for what is left"
    assert asking.left() == 0.0


def test_two_who_race_for_what_is_left_do_not_both_get_it(asking):
    text = asking.text(COUNT, release="events", epsilon=3.0)
    together, fates = threading.Barrier(4), []
    permits = [asking.grant(text) for _ in range(4)]

    def ask(permit) -> None:
        together.wait(300)
        fates.append(fate(asking, permit, text))

    threads = [threading.Thread(target=ask, args=(permit,)) for permit in permits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert sorted(fates) == ["ok", *["privacy.budget"] * 3]
    assert asking.left() == 1.0


def test_a_keeper_that_is_killed_before_it_answered_has_spent_what_it_cost(asking, tmp_path):
    text = asking.text(COUNT, release="events", epsilon=3.0)
    permit, bench = asking.grant(text), asking.bench
    bench.stop()
    permit.holder._key.write(tmp_path / "holder.key")
    told = [bench.path, str(bench.clock.at_us), permit.holder.token, tmp_path / "holder.key", text]
    done = subprocess.run(
        [sys.executable, "-m", "tests.query_kill", *map(str, told), *permit.grant.streams],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    begin(bench)
    assert asking.left() == 1.0
    leaves = [leaf for _, leaf in bench.desk.ledger.leaves(0)]
    assert [leaf["pub"]["outcome"] for leaf in leaves if leaf["k"] == "access.result"] == ["lost"]
    assert fate(asking, asking.grant(text), text) == "privacy.budget"


def test_an_older_control_database_gives_nothing_back(asking, tmp_path):
    bench = asking.bench
    text = asking.text(COUNT, release="events", epsilon=3.0)
    bench.stop()
    older = tmp_path / "older.db"
    shutil.copy(bench.home.control, older)
    begin(bench)
    asking.ask(asking.grant(text), text)
    bench.stop()
    for file in bench.home.path.glob("control.db*"):
        file.unlink()
    shutil.copy(older, bench.home.control)
    begin(bench)
    assert asking.left() == 1.0, "what was spent stands in the ledger"
    assert fate(asking, asking.grant(text), text) == "privacy.budget"


def test_a_home_that_is_put_back_opens_no_key(asking, tmp_path):
    """Ledger, database and all: the witness outside remembers the intent."""
    bench = asking.bench
    text = asking.text(COUNT, release="events", epsilon=3.0)
    bench.stop()
    shutil.copytree(bench.home.path, tmp_path / "older")
    begin(bench)
    asking.ask(asking.grant(text), text)
    bench.stop()
    shutil.rmtree(bench.home.path)
    shutil.copytree(tmp_path / "older", bench.home.path)
    with outside(bench.path), pytest.raises(TamperedError):
        begin(bench)
