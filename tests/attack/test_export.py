"""A copy goes to the person who asked with their own key, holds all there is, and is in the ledger before it exists."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import io
import json
import os
import re
import threading
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.attack.test_erasure import forms
from tests.keeper_desk import Bench, copy_bench, found_bench, script_training
from tests.world import PURPOSE, raised

from safehold.app.trail import export_to
from safehold.clock import DAY_US
from safehold.errors import (
    ConflictError,
    DeniedError,
    InvalidError,
    SafeholdError,
    TamperedError,
    UnavailableError,
)
from safehold.keeper.client import KeeperClient
from safehold.keeper.dossier import CCPA
from safehold.keeper.export import PURPOSE as RIGHT
from safehold.signing import SigningKey
from safehold.telemetry.stream import STREAMS
from safehold.vault.letter import seal_letter
from safehold_verify import VerificationError, verify_log
from safehold_verify.package import verify_package
from safehold_verify.person import Person, unpack

# long enough that no name is in bytes of noise by chance
EVERYBODY = tuple(f"employee-{4700 + number}" for number in range(51))
SHE, HE = EVERYBODY[:2]


@dataclass
class Asking:
    """Somebody with a key of their own, and the keeper they ask."""

    bench: Bench
    key: SigningKey

    @property
    def person(self) -> Person:
        return Person(self.key.seed())

    def sign(self, person: str = SHE, **changes: Any) -> dict[str, str]:
        self.bench.clock.advance(1)  # no two requests are the same
        given = {"home": self.bench.home.id, "at_us": self.bench.clock.now_us()} | changes
        said: dict[str, str] = json.loads(self.person.ask(person=person, **given))
        return said

    def ask(self, said: Mapping[str, str] | None = None, *, name: str = "copy") -> Path:
        out = self.bench.path / name
        with out.open("wb") as file:
            self.answer = self.bench.call("people.export", file.fileno(), **(said or self.sign()))
        return out

    def opened(self, out: Path) -> dict[str, bytes]:
        with zipfile.ZipFile(io.BytesIO(self.person.open(out.read_bytes()))) as packed:
            return {name: packed.read(name) for name in packed.namelist()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, bytes]:
    """Everybody's data became features and a model; she and he have keys, for a week."""
    bench = found_bench(tmp_path_factory.mktemp("export"), people=EVERYBODY).start()
    keys = {one: SigningKey.generate() for one in (SHE, HE)}
    for one, key in keys.items():
        bench.call("source.add", person=one, device=key.public.text())
    bench.clock.advance(4 * DAY_US)
    bench.take(*EVERYBODY)
    bench.call("feature", purpose=PURPOSE)
    script_training(bench)
    bench.call("train", **bench.use(bench.pass_()))
    bench.stop()
    return bench, keys[SHE].seed() + keys[HE].seed()


@pytest.fixture
def asking(made: tuple[Bench, bytes], tmp_path: Path) -> Iterator[Asking]:
    copy = copy_bench(made[0], tmp_path).start()
    yield Asking(copy, SigningKey(made[1][:32]))
    copy.stop()


@pytest.fixture(scope="module")
def shared(made: tuple[Bench, bytes], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    """One keeper for all that changes nothing but the ledger."""
    copy = copy_bench(made[0], tmp_path_factory.mktemp("shared")).start()
    yield Asking(copy, SigningKey(made[1][:32]))
    copy.stop()


@pytest.fixture(scope="module")
def him(shared: Asking, made: tuple[Bench, bytes]) -> Asking:
    return Asking(shared.bench, SigningKey(made[1][32:]))


@pytest.fixture
def he(asking: Asking, made: tuple[Bench, bytes]) -> Asking:
    return Asking(asking.bench, SigningKey(made[1][32:]))


def test_a_copy_holds_all_there_is_in_files_that_anything_reads(asking: Asking) -> None:
    files = asking.opened(asking.ask())
    manifest = json.loads(files["manifest.json"])
    assert {one["file"] for one in manifest["files"]} == files.keys() - {"manifest.json"}
    for one in manifest["files"]:
        assert hashlib.sha256(files[one["file"]]).hexdigest() == one["sha256"]
    bench = asking.bench
    blocks = bench.desk.catalog.blocks_of(bench.desk.people.find(SHE))
    assert {one.stream for one in blocks} == {"pointer", "feature"}
    for stream, folder in (("pointer", "telemetry"), ("feature", "features")):
        (name,) = (one for one in files if one.startswith(folder) and one.endswith(".parquet"))
        table = pq.read_table(io.BytesIO(files[name]))
        assert table.num_rows == sum(one.rows for one in blocks if one.stream == stream)
        lines = files[name.replace(".parquet", ".jsonl")].splitlines()
        assert len(lines) == table.num_rows
        assert json.loads(lines[0]).keys() == set(table.column_names)
    for wanted in (
        *("purposes", "legal_basis", "categories", "recipients", "retention_days", "rights"),
        *("source", "automated_decisions", "transfers", "controller", "ccpa_categories"),
    ):
        assert manifest[wanted], wanted
    made = json.loads(files["made.json"])
    assert {one["kind"]: one["status"] for one in made} == {
        "source": "shredded",
        "feature": "shredded",
        "model": "bounded",
    }
    uses = json.loads(files["uses.json"])
    assert [one["recipe"] for one in uses if one["what"] == "access.intent"] == [
        "feature",
        "train",
        "export",
    ]
    assert json.loads(files["choices.json"])["chosen"]["external"] == SHE
    others = b"".join(files.values())
    assert not any(re.search(rf"\b{one}\b".encode(), others) for one in EVERYBODY[3:])


def test_every_stream_has_a_category() -> None:
    assert {*STREAMS, "feature", "embedding", "set_aside"} == CCPA.keys()


def test_the_proof_in_a_copy_holds_and_tells_of_the_copy_itself(
    asking: Asking, tmp_path: Path
) -> None:
    files = asking.opened(asking.ask())
    folder = tmp_path / "trail"
    folder.mkdir()
    (folder / "package.json").write_bytes(files["trail/package.json"])
    report = verify_package(
        folder, asking.bench.home.policy_file, receipt=files["trail/receipt.json"]
    )
    told = [(one.kind, one.purpose) for one in report.uses]
    assert ("access.intent", RIGHT) in told
    listed = {one["entry"] for one in json.loads(files["uses.json"])}
    assert listed == {one.index for one in report.uses}, "the page tells what the proof proves"
    desk = asking.bench.desk
    desk.ledger.publish()
    assert verify_log(desk.home.ledger, desk.home.policy_file).size == desk.ledger.size
    kinds = [leaf["k"] for _, leaf in desk.ledger.leaves(asking.answer["entry"])]
    assert kinds[0] == "access.intent"
    assert kinds[-2:] == ["release", "access.result"]


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"src", "href", "action"}]
        assert not [name for name, _ in attrs if name.startswith("on")]


def test_the_page_is_whole_and_fetches_nothing(shared: Asking) -> None:
    page = shared.opened(shared.ask())["index.html"].decode()
    read = Page()
    read.feed(page)
    assert not {"script", "link", "iframe", "object", "embed", "img", "form"} & set(read.tags)
    assert not read.links
    assert "default-src &#x27;none&#x27;" in page
    assert "svg" in read.tags
    assert "bounded" in page
    assert SHE in page


def test_text_that_is_not_ours_is_escaped(asking: Asking) -> None:
    evil = "<script>alert(1)</script>"
    asking.bench.call(
        "people.choose", person=SHE, choice="consent", streams=["pointer"], evidence=evil
    )
    page = asking.opened(asking.ask())["index.html"].decode()
    assert evil not in page
    assert "&lt;script&gt;" in page


def test_nobody_else_opens_it_and_nothing_in_it_is_readable(shared: Asking, him: Asking) -> None:
    out = shared.ask()
    with pytest.raises(VerificationError):
        him.person.open(out.read_bytes())
    sealed = bytearray(out.read_bytes())
    for word in (SHE.encode(), b"manifest.json", b"telemetry/"):
        assert word not in sealed
    sealed[len(sealed) // 2] ^= 1
    with pytest.raises(VerificationError):
        shared.person.open(bytes(sealed))


@pytest.mark.parametrize("why", ["his", "a stranger's", "nobody"])
def test_a_key_that_is_not_theirs_gets_nothing(shared: Asking, him: Asking, why: str) -> None:
    bench, asks, person = shared.bench, shared, SHE
    match why:
        case "his":
            asks = him
        case "a stranger's":
            asks = Asking(bench, SigningKey.generate())
        case "nobody":
            person = "nobody at all"
    size = bench.desk.ledger.size
    assert raised(lambda: asks.ask(asks.sign(person))).rule == "export.key"
    assert (bench.path / "copy").read_bytes() == b""
    assert bench.leaves(size) == ["refusal"], "and it is in the ledger"


def test_a_key_counts_after_three_days_and_until_it_is_removed(asking: Asking) -> None:
    bench, asks = asking.bench, Asking(asking.bench, SigningKey.generate())
    bench.call("source.remove", person=SHE, device=asking.key.public.text())
    error = raised(asking.ask)
    assert (type(error), error.rule) == (DeniedError, "export.key")
    bench.call("source.add", person=SHE, device=asks.key.public.text())
    assert raised(asks.ask).rule == "export.waiting"
    assert (bench.path / "copy").read_bytes() == b""
    bench.clock.advance(3 * DAY_US)
    assert asks.opened(asks.ask())["manifest.json"]


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said | {"person": HE},
        lambda said: said | {"open_to": base64.b64encode(os.urandom(32)).decode()},
        lambda said: said | {"at_us": said["at_us"] + 1},
    ],
)
def test_a_request_that_was_changed_on_its_way_is_refused(shared: Asking, change: Any) -> None:
    """Whoever carries it cannot put their own opening key into it."""
    signed = shared.sign()
    said = change(json.loads(signed["request"]))
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    error = raised(lambda: shared.ask({**signed, "request": text}))
    assert isinstance(error, TamperedError)
    assert (shared.bench.path / "copy").read_bytes() == b""


def test_a_request_counts_once_for_a_week_and_for_one_home(asking: Asking) -> None:
    said = asking.sign()
    asking.ask(said)
    assert raised(lambda: asking.ask(said)).rule == "export.replay"
    asking.bench.restart()
    assert raised(lambda: asking.ask(said)).rule == "export.replay"
    late = asking.sign()
    asking.bench.clock.advance(7 * DAY_US + 1)
    assert raised(lambda: asking.ask(late)).rule == "export.time"
    early = asking.sign(at_us=asking.bench.clock.now_us() + DAY_US)
    assert raised(lambda: asking.ask(early)).rule == "export.time"
    error = raised(lambda: asking.ask(asking.sign(home="home_other")))
    assert isinstance(error, InvalidError)
    small = base64.b64encode(bytes(32)).decode()  # a point that opens for everybody
    text = json.dumps(
        json.loads(asking.sign()["request"]) | {"open_to": small},
        sort_keys=True,
        separators=(",", ":"),
    )
    signature = asking.key.sign("safehold.request.v1", text.encode())
    error = raised(
        lambda: asking.ask({"request": text, "signature": base64.b64encode(signature).decode()})
    )
    assert (type(error), error.rule) == (InvalidError, "export.key")


def test_who_has_paused_or_withdrawn_still_gets_it_and_a_stop_holds_it_back(
    asking: Asking,
) -> None:
    bench = asking.bench
    bench.call("people.choose", person=SHE, choice="pause")
    assert asking.opened(asking.ask())["manifest.json"]
    bench.call("people.choose", person=SHE, choice="withdraw")
    files = asking.opened(asking.ask())
    assert any(one.startswith("telemetry/") for one in files), "it is held, so it is in the copy"
    bench.call("stop", **bench.order("stop"))
    assert raised(asking.ask).rule == "oversight.stop"


def test_nothing_is_opened_if_the_ledger_takes_no_intent(
    shared: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    monkeypatch.setattr(shared.bench.desk.vault, "read", lambda *a, **k: read.append(a) or iter(()))
    monkeypatch.setattr(
        shared.bench.desk.trust, "log_charged", _refuse("ledger.append", UnavailableError)
    )
    assert raised(shared.ask).rule == "ledger.append"
    assert not read


def test_nothing_is_handed_out_if_the_ledger_takes_no_release(
    shared: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = shared.bench.desk
    refuse = _refuse("ledger.append", UnavailableError)
    monkeypatch.setattr(type(desk.trust), "log_running", refuse)
    assert raised(shared.ask).rule == "ledger.append"
    assert (shared.bench.path / "copy").read_bytes() == b""


def _refuse(rule: str, kind: type[SafeholdError]) -> Any:
    def refuse(*_: Any, **__: Any) -> Any:
        raise kind("no", rule=rule)

    return refuse


def test_a_store_that_is_away_ends_it_with_a_result(
    shared: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = shared.bench.desk
    monkeypatch.setattr(
        desk.vault._reader._objects, "ranges", _refuse("object.store", UnavailableError)
    )
    size = desk.ledger.size
    assert raised(shared.ask).rule == "object.store"
    assert shared.bench.leaves(size)[-1] == "access.result"
    assert not desk.trust.unanswered()
    assert (shared.bench.path / "copy").read_bytes() == b""


def test_an_erasure_ends_a_copy_that_is_being_made(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = asking.bench.desk
    real = desk.vault.read

    def read(blocks: Any, **more: Any) -> Any:
        for one in real(blocks, **more):
            asking.bench.call("people.erase", person=SHE, evidence="x")
            yield one

    monkeypatch.setattr(desk.vault, "read", read)
    assert raised(asking.ask).rule == "subjects.erased"
    assert (asking.bench.path / "copy").read_bytes() == b""
    assert not desk.runs


def test_an_erasure_does_not_wait_for_a_copy_that_waits_for_it(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The erasure has the lock and waits for the copy, which is read to its end and wants the lock."""
    desk = asking.bench.desk
    real, end, ended = desk.vault.read, desk.end_runs, threading.Event()
    done: list[Any] = []

    def erase() -> None:
        done.append(asking.bench.call("people.erase", person=SHE, evidence="x"))

    def end_runs(_desk: Any, person: Any) -> int:
        ended.set()
        return int(end(person))

    thread = threading.Thread(target=erase)

    def read(blocks: Any, **more: Any) -> Iterator[Any]:
        yield from real(blocks, **more)
        if blocks[0].stream == "pointer":  # the last part
            thread.start()
            assert ended.wait(30)

    monkeypatch.setattr(desk.vault, "read", read)
    monkeypatch.setattr(type(desk), "end_runs", end_runs)
    assert raised(asking.ask).rule == "subjects.erased"
    thread.join()
    assert [one["late"] for one in done] == [False]
    assert (asking.bench.path / "copy").read_bytes() == b""


def test_whoever_carries_a_copy_and_takes_it_slowly_holds_up_no_erasure(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("safehold.keeper.run.PATIENCE_S", 10.0)
    bench, said = asking.bench, asking.sign()
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    writing, real = threading.Event(), os.write

    def write(descriptor: int, data: Any) -> int:
        if descriptor == writer:
            writing.set()
        return real(descriptor, data)

    def carry() -> None:
        with contextlib.suppress(SafeholdError):  # a pipe is not durable
            bench.call("people.export", writer, **said)
        os.close(writer)

    monkeypatch.setattr(os, "write", write)
    thread = threading.Thread(target=carry)
    thread.start()
    assert writing.wait(60)
    try:
        assert not bench.call("people.erase", person=SHE, evidence="x")["late"]
    finally:
        with os.fdopen(reader, "rb") as file:
            taken = file.read()
        thread.join()
    assert len(taken) > 4096


def test_a_stop_ends_a_copy_that_is_being_made(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, real = asking.bench, asking.bench.desk.vault.read
    for moment in ("opened", "sealed"):
        size = bench.desk.ledger.size

        def stop(*_: Any) -> None:
            bench.call("stop", **bench.order("stop"))

        def read(blocks: Any, **more: Any) -> Iterator[Any]:
            for number, one in enumerate(real(blocks, **more)):
                if number == 0 and not bench.desk.trust.stopped:
                    stop()
                yield one

        def seal(plain: bytes, key: bytes) -> bytes:
            stop()
            return seal_letter(plain, key)

        with monkeypatch.context() as patch:
            if moment == "opened":
                patch.setattr(bench.desk.vault, "read", read)
            else:
                patch.setattr("safehold.keeper.export.seal_letter", seal)
            assert raised(asking.ask).rule == "oversight.stop", moment
        assert (bench.path / "copy").read_bytes() == b""
        assert "release" not in bench.leaves(size)
        bench.call("resume", **bench.order("resume"))


def test_who_is_being_erased_asks_for_the_erasure_and_not_for_a_copy(asking: Asking) -> None:
    def cut(step: str) -> None:
        if step == "begin":
            raise UnavailableError("no", rule="test.cut")

    asking.bench.verbs.erasure.reached = cut
    raised(lambda: asking.bench.call("people.erase", person=SHE, evidence="x"))
    assert isinstance(raised(asking.ask), ConflictError)


def test_no_word_of_a_copy_leads_to_who_was_erased_since(asking: Asking) -> None:
    bench = asking.bench
    person = bench.desk.people.find(SHE)
    said = asking.sign()
    asking.ask(said)
    digest = hashlib.sha256(said["request"].encode()).hexdigest()
    bench.call("people.erase", person=SHE, evidence="x")
    looked = [
        form
        for name in (SHE, str(person), asking.key.public.text(), digest)
        for form in forms(bench, name.encode())
    ]
    for index, _ in bench.desk.ledger.leaves(asking.answer["entry"]):
        opening = bench.desk.ledger.opening(index)
        held = b"\0".join([*opening.values.values(), opening.key, bench.desk.ledger.leaf(index)])
        assert not [one for one in looked if one in held], index


def test_a_copy_is_unpacked_into_a_new_folder_and_nowhere_else(
    shared: Asking, tmp_path: Path
) -> None:
    archive = shared.person.open(shared.ask().read_bytes())
    names = unpack(archive, tmp_path / "mine")
    assert (tmp_path / "mine" / "index.html").stat().st_mode & 0o077 == 0
    assert len(names) == sum(one.is_file() for one in (tmp_path / "mine").rglob("*"))
    with pytest.raises(VerificationError):
        unpack(archive, tmp_path / "mine")
    for name in ("../out", "/etc/out", "a/b/c", "a\\..\\b"):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as made:
            made.writestr(name, b"x")
        with pytest.raises(VerificationError):
            unpack(packed.getvalue(), tmp_path / "other")
        assert not (tmp_path / "other").exists()


def test_a_copy_goes_through_the_door_of_a_keeper_that_serves(
    asking: Asking, tmp_path: Path
) -> None:
    """Request in, sealed file out, over the socket; and no file is left where it was refused."""
    bench = asking.bench
    assert bench.service is not None
    thread = threading.Thread(target=bench.service.serve, daemon=True)
    thread.start()
    client, request, out = KeeperClient(bench.home.socket), tmp_path / "asked", tmp_path / "sealed"
    request.write_text(json.dumps(asking.sign(HE)))
    assert raised(lambda: export_to(client, request, out)).rule == "export.key"
    assert not out.exists()
    request.write_text(json.dumps(asking.sign()))
    answer = export_to(client, request, out)
    assert out.stat().st_mode & 0o777 == 0o600
    assert hashlib.sha256(out.read_bytes()).hexdigest() == answer["sha256"]
    assert b"manifest.json" in asking.person.open(out.read_bytes())
    assert isinstance(raised(lambda: export_to(client, request, out)), ConflictError)
    request.write_text("{}")
    other = tmp_path / "other"
    assert isinstance(raised(lambda: export_to(client, request, other)), InvalidError)
    assert not other.exists()
    bench.service.close()
    thread.join(60)
