"""The sentinel's loop: stopped, killed or doubled anywhere it loses no alert and doubles none."""

from __future__ import annotations

import threading

import orjson
import pytest
from tests.agency import Agency, with_agents
from tests.keeper_desk import Bench, copy_bench, found_bench
from tests.watching import Post, knock
from tests.world import raised

from safehold.app.sentinel import Reader, answers_now, answers_of, watch
from safehold.canonical import b64, unb64
from safehold.errors import DeniedError, SignInError, UnavailableError
from safehold.sentinel.answers import Answers
from safehold.sentinel.detector import FORMAT


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Bench:
    bench = found_bench(tmp_path_factory.mktemp("reader"), charter=with_agents()).start()
    agency = Agency(bench)
    agency.person("ana-x")
    helper = agency.agent("helper", "ana-x")
    knock(bench, 25)
    raised(lambda: helper.ask("principal.restore", principal="helper"))
    raised(lambda: helper.ask("embed.export", purpose="train_ui_agent", dataset="x"))
    bench.stop()
    return bench


@pytest.fixture
def bench(made, tmp_path):
    bench = copy_bench(made, tmp_path).start()
    yield bench
    bench.stop()


def seen(post: Post) -> list[tuple[str, str, tuple[int, ...]]]:
    found = []
    for one in post.alerts():
        shown = post.bench.call("alert.show", alert=one["alert"])
        found.append((one["signal"], one["principal"], tuple(shown["events"])))
        assert len(shown["done"]) <= 1
    return sorted(found)


@pytest.fixture(scope="module")
def expected(made, tmp_path_factory):
    bench = copy_bench(made, tmp_path_factory.mktemp("expected")).start()
    post = Post(bench)
    post.read()
    found = seen(post)
    bench.stop()
    assert [one[:2] for one in found] == [
        ("agent_overreach", "helper"), ("denied_burst", "caller"), ("vectors_asked", "helper"),
    ]  # fmt: skip
    return found


class Killed(BaseException):
    """The process is gone: nothing of it is carried on."""


class Mortal(Post):
    """A line on which the sentinel dies at a call, before or after the keeper carried it out."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self.left, self.after = -1, False

    def call(self, verb, **arguments):
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Killed
        answer = super().call(verb, **arguments)
        if self.left == 0:
            raise Killed
        return answer


def test_killed_at_any_call_before_or_after_it_is_carried_out(bench, expected):
    post = Mortal(bench)
    for number in range(1, 9):
        for after in (False, True):
            post.left, post.after = number, after
            with pytest.raises(Killed):
                while True:
                    post.read()
    post.left = -1
    post.read()
    assert seen(post) == expected


def test_with_nothing_kept_it_reads_again_and_raises_nothing_twice(bench, expected):
    post = Post(bench)
    post.read()
    for damage in (None, b"", b"x" * 200, "cut", "edited"):
        file = bench.home.sentinel_file
        whole = file.read_bytes()
        assert b"helper" not in whole
        assert b"caller" not in whole
        if damage is None:
            file.unlink()
        elif damage == "cut":
            file.write_bytes(whole[:-1])
        elif damage == "edited":
            file.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
        else:
            file.write_bytes(damage)
        reader = post.read()
        assert reader.read > 20, "it began at the first"
        assert seen(post) == expected


def test_what_another_version_kept_is_not_used_and_loses_and_doubles_no_alert(bench, expected):
    post = Post(bench)
    post.read().keep()
    found = post.call("sentinel.recall")
    tree = orjson.loads(unb64(found["state"]))
    detector = orjson.loads(unb64(tree["detector"]))
    assert detector["format"] == FORMAT
    before = {**detector, "format": "safehold-sentinel/5"}
    del before["idle"]
    tree["detector"] = b64(orjson.dumps(before))
    post.call("sentinel.keep", next=found["next"], state=b64(orjson.dumps(tree)))
    reader = post.read()
    assert reader.read > 20, "it began at the first"
    assert seen(post) == expected
    reader.keep()
    kept = orjson.loads(unb64(post.call("sentinel.recall")["state"]))
    assert orjson.loads(unb64(kept["detector"]))["format"] == FORMAT


def test_what_was_kept_for_another_ledger_is_not_used(bench, made, tmp_path, expected):
    post = Post(bench)
    knock(bench, 1)
    post.read()
    old = bench.home.sentinel_file.read_bytes()
    (tmp_path / "other").mkdir()
    other = copy_bench(made, tmp_path / "other").start()
    knock(other, 40)  # the same home, put back and gone another way
    other.home.sentinel_file.write_bytes(old)
    assert Post(other).call("sentinel.recall") == {"next": 0, "state": None, "lost": "other"}
    other.stop()
    assert Post(bench).call("sentinel.recall")["lost"] is None
    assert seen(post) == expected


def test_two_at_once_are_one(bench, expected):
    post = Post(bench)
    one, two = post.reader(), post.reader()
    threads = [threading.Thread(target=reader.turn) for reader in (one, two)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(3):
        one.turn()
        two.turn()
    assert seen(post) == expected


def test_a_keeper_that_is_started_again_under_it(bench, expected, monkeypatch):
    post = Post(bench)
    reader = post.reader()
    monkeypatch.setattr(
        type(bench.desk.ledger), "find", lambda *_: (_ for _ in ()).throw(UnavailableError("gone"))
    )
    assert isinstance(raised(reader.turn), UnavailableError)
    monkeypatch.undo()
    reader.keep()
    assert not bench.home.sentinel_file.exists(), "an alert waits: nothing is kept"
    bench.restart()
    assert raised(reader.turn).rule == "door.sentinel", "its word ends with the keeper"
    post.word = bench.verbs.door.admit_sentinel()
    while reader.turn():
        pass
    assert seen(post) == expected
    assert reader.read == len(post.events()["events"]), (
        "each event once, though it broke off among them"
    )


def test_the_boards_stop_does_not_blind_it(bench, expected):
    bench.call("stop", **bench.order("stop", "privacy"))
    knock(bench, 25, verb="request.new")
    post = Post(bench)
    post.read()
    assert {one[0] for one in seen(post)} >= {one[0] for one in expected}
    assert any(one["events"] for one in [bench.call("alert.show", alert=post.alerts()[0]["alert"])])


def test_it_waits_without_a_word_until_a_charter_lets_it(bench, monkeypatch):
    charter = bench.changed(
        purposes=lambda tree: {
            name: one for name, one in tree.items() if name != "secure_the_pipeline"
        }
    )
    monkeypatch.setattr(bench.desk.trust, "charter", lambda: charter)
    post, size = Post(bench), bench.desk.ledger.size
    post.read()
    assert bench.desk.ledger.size == size, "that it asks is no refusal"
    assert bench.call("status")["sentinel"]["waits"] == "watch.purpose"
    refused = raised(lambda: bench.call("sentinel.events", reader="ab" * 16, since=0))
    assert isinstance(refused, DeniedError)
    assert refused.rule == "watch.purpose"
    assert "secure_the_pipeline" in (refused.fix or "")


def test_status_says_how_far_behind_it_is(bench):
    post = Post(bench)
    assert bench.call("status")["sentinel"]["alive"] is False
    reader = post.read()
    reader.turn()
    reader.turn()  # its own entries, too
    size = bench.desk.ledger.size
    assert bench.call("status")["sentinel"] == {
        "alive": True, "read": size, "behind": 0, "behind_s": 0, "alerts": {"open": 3, "of": 3},
    }  # fmt: skip
    bench.clock.advance(60_000_000)
    knock(bench, 2)
    bench.clock.advance(40_000_000)
    found = bench.call("status")["sentinel"]
    assert (found["alive"], found["behind"], found["behind_s"]) == (False, 2, 40)


def test_it_reads_on_waits_out_trouble_and_ends(bench):
    post, until, said = Post(bench), threading.Event(), []
    turns = iter(
        (
            UnavailableError("gone", rule="x"),
            UnavailableError("gone", rule="x"),
            None,
            SignInError("out"),
        )
    )
    reader = post.reader()

    def turn() -> bool:
        step = next(turns)
        if step is not None:
            raise step
        return True

    reader.turn = turn  # type: ignore[method-assign]
    until.wait = lambda _pause: False  # type: ignore[method-assign]
    with pytest.raises(SignInError):
        watch(reader, until=until, say=said.append)
    assert said == ["gone (x)"], "the same trouble is said once"


def test_a_house_turns_an_answer_down(bench):
    post = Post(bench)
    file = bench.home.answers_file
    assert answers_of(bench.home) == Answers()
    file.write_text("{}")
    assert raised(lambda: answers_of(bench.home)).rule == "sentinel.answers"
    assert answers_now(bench.home)() == Answers(), "what cannot be read turns nothing down"
    file.write_text('{"v": "safehold.answers/1", "review": ["agent_overreach", "vectors_asked"]}')
    Reader(post, answers=answers_now(bench.home), keep_s=0).turn()  # type: ignore[arg-type]
    assert bench.verbs.principals.find("helper").state == "active"
    assert {one["state"] for one in post.alerts()} == {"raised"}
