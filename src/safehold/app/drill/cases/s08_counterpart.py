"""S08: the colleague abroad. Somebody who has not opted in writes with somebody who has.

One of the two abroad is on the roll, in a place where nothing is collected; the other is nobody here. What they write
comes in from the other side's export: as their own message, in a conversation with them, quoted in an answer, as an
edit, and as the words of a message that an answer repeats. Each of their words stands nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from safehold.app.drill.cases.opened import open_all, texts_of
from safehold.app.drill.company import EVIDENCE, PURPOSE, Company, take_file
from safehold.app.drill.place import Place
from safehold.app.drill.unguarded import replace
from safehold.app.search import search
from safehold.assurance.drill.outcome import Exposure, Findings
from safehold.clock import SECOND_US, SystemClock
from safehold.keeper.client import KeeperClient
from safehold.signing import SigningKey

US: Final = "emp-00002"  # has opted in
ABROAD: Final = ("abroad-enrolled", "abroad-unknown")
WORDS: Final = tuple(f"zeitgeist{number:02}qx" for number in range(10))  # of those abroad
BESIDE: Final = tuple(
    f"besides{number:02}qx" for number in range(3)
)  # said to them: dropped as well
OURS: Final = "harvesttime77qx"  # of a message among people who have all opted in
LIMITS: Final = "words that somebody who has opted in copies by hand into a prompt are theirs, for all that is known"


def attempt(place: Place) -> Findings:
    """Bring a conversation in, and search for the words of those abroad."""
    company = place.company("s08")
    with company.keeper() as client:
        counted = _bring(company, client)
    return _search(company, counted)


def control(place: Place) -> Findings:
    """The same where everybody passes for somebody who has opted in."""
    company = place.company("s08-control")
    with company.keeper(off=[f"{__name__}:without_consent"]) as client:
        counted = _bring(company, client)
    return _search(company, counted)


def without_consent() -> None:
    """Let everybody on the roll, and those who are not on it, pass for people who have opted in."""

    def told(standing: Any, _charter: Any, **_: Any) -> dict[str, Any]:
        return {"streams": sorted(standing.streams) or ["chat"], "pauses": []}

    replace("safehold.keeper.intake:roll_entry", told)
    replace("safehold.keeper.chunk:Chunks._stays", staticmethod(lambda *_: True))
    replace("safehold.keeper.drift:Drift.require_none", lambda *_: None)


def lake(place: Place) -> Findings:
    """The same conversation as a table."""
    folder = place.bin("s08-lake")
    rows = list(_conversation(SystemClock().now_us() - 60 * SECOND_US))
    pq.write_table(pa.Table.from_pylist(rows), folder / "chat.parquet")
    text = "\n".join(pq.ParquetFile(folder / "chat.parquet").read()["text"].to_pylist())
    found = sum(word in text for word in WORDS)
    authors = pc.unique(pq.ParquetFile(folder / "chat.parquet").read()["person"]).to_pylist()
    return Findings(
        live=Exposure(
            people=len(set(authors) & set(ABROAD)), records=found, segments=1, canaries=found
        )
    )


def _conversation(t_us: int) -> Iterator[dict[str, Any]]:
    one, two = ABROAD
    word, beside = iter(WORDS), iter(BESIDE)

    def turn(
        number: int, person: str, text: str, people: Sequence[str], **more: Any
    ) -> dict[str, Any]:
        base = {
            "person": person, "device": f"dev-{person}", "session": f"s08-{person}", "seq": number,
            "t": t_us + number * SECOND_US, "mono": number * 1000, "app": "chat", "ctx": 1, "platform": "chat",
            "channel": "team-0", "channel_kind": "channel", "msg": f"s08-{number}", "reply_to": None,
            "participants": list(people), "text": text, "lang": "en", "attachments": 0, "edit_of": None,
        }  # fmt: skip
        return base | more

    yield turn(1, one, f"my own words: {next(word)}", [one])
    yield turn(2, two, f"and mine: {next(word)}", [two])
    yield turn(3, US, f"in a talk with both of you {next(beside)}", [US, one])
    yield turn(4, US, f"> {next(word)} as you wrote\nI agree", [US], reply_to="s08-1")
    yield turn(
        5,
        US,
        f"on Monday somebody wrote: {next(word)}\n-----Original message-----\n{next(word)}",
        [US],
    )
    spoken = f"a long sentence with {next(word)} in it"
    yield turn(6, one, spoken, [one])
    yield turn(7, US, f"{spoken} is what I heard", [US], reply_to="s08-6")
    yield turn(8, US, f"edited to say {next(beside)}", [US], edit_of="s08-3")
    yield turn(9, two, f"a private word {next(word)}", [two, US], channel_kind="dm")
    yield turn(10, US, f"my side of it {next(beside)}", [US, two], channel_kind="dm")
    yield turn(
        11, two, f"unknown people {next(word)}", [], participants=None, channel_kind="private"
    )
    yield turn(12, US, f"an answer after that {OURS}", [US])
    yield turn(13, one, f"last {next(word)}", [one, US])


def _bring(company: Company, client: KeeperClient) -> dict[str, int]:
    client.call(
        "people.enrol",
        people=[
            {"person": ABROAD[0], "jurisdiction": "DE", "key": SigningKey.generate().public.text()}
        ],
        evidence=EVIDENCE,
    )
    before = client.call("status")["dropped_of_others"]
    file = company.temporary / "chat.jsonl"
    rows = _conversation(SystemClock().now_us() - 60 * SECOND_US)
    file.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    tally = take_file(client, file)["tally"]
    file.unlink()
    client.call("feature", purpose=PURPOSE)
    # what anybody who reaches the keeper is shown, whoever they are
    counter = client.call("status")["dropped_of_others"] - before
    return {"counter": counter, **tally["dropped"], "taken": sum(tally["taken"].values())}


def _search(company: Company, counted: dict[str, int]) -> Findings:
    texts = [text for _, stream, table in open_all(company) for text in texts_of(stream, table)]
    whole = "\n".join(texts)
    found = [word for word in WORDS if word in whole]
    beside = sum(word in whole for word in BESIDE)
    # sealed or not, in any file: its log, its index, what its processes left behind
    files, _ = search(
        [company.folder / "home", company.folder / "outside", company.temporary], WORDS
    )
    wrong = []
    if OURS not in whole:
        wrong.append("what may be stored of the conversation was not stored either")
    if beside:
        wrong.append(f"{beside} messages of conversations with them were stored")
    if not counted["counter"]:
        wrong.append("nothing counts what was dropped of those abroad")
    return Findings(
        at_rest=Exposure(people=int(bool(files)), records=len(files), segments=int(bool(files)), canaries=len(files)),
        live=Exposure(
            people=len(ABROAD) if found else 0,
            records=len(found),
            segments=int(bool(found)),
            canaries=len(found),
            wrong=tuple(wrong),
            told={"words": len(WORDS), "counted": counted, "limits": LIMITS},
        ),
    )  # fmt: skip


__all__ = ["attempt", "control", "lake", "without_consent"]
