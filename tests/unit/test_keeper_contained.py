"""The fold of containments, and that no door was forgotten."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import safehold
from safehold.errors import DeniedError, InvalidError
from safehold.keeper.contained import (
    CAPABILITY,
    GRANT,
    KINDS,
    SEALED,
    Contained,
    Held,
    block_hash,
    things,
)
from safehold.keeper.containing import Wish, read_order, write_order

KEEPER = Path(safehold.__file__).parent / "keeper"
# what opens something, or starts something that could; and where that is done, each with its own check
OPENINGS = r"log_charged\(|workshop\.start\(|vault\.read(_batches)?\(|models\.read\(|pool\.open\(|crossing\.start\("
CHECKED = {
    "decision", "federation", "intake", "joins", "packing", "pull", "quarantine", "release", "repair", "symmetry", "trial",
}  # fmt: skip
OWN = {"export"}  # a person's own copy goes on, whatever is contained
# where it is defined; a release record, which holds no weights; envelopes, for which the way in asks; rows, for which a release does
OTHER = {"spending", "card", "batch", "rows"}


def held(entry: int, what: str, key: str, **more: Any) -> Held:
    return Held(what=what, key=key, entry=entry, at_ms=entry, **more)


def leaf(what: str, state: str = "begun", target: str = "", ref: int | None = None) -> Any:
    public = {"what": what, "state": state} | ({"target": target} if target else {})
    return {"k": "containment", "t": 7, "pub": public} | ({} if ref is None else {"ref": ref})


def test_a_leaf_holds_until_a_later_one_lifts_it():
    fold = Contained()
    details: Mapping[int, Any] = {4: {"key": "12", "reason": "x"}, 6: {"key": "ab", "grant": 12}}
    fold.open(
        [
            (2, leaf("segment", target="us-ca.key")),
            (3, leaf("purpose", target="train")),
            (4, leaf(GRANT)),
            (5, leaf("segment", "lifted", "us-ca.key", ref=2)),
            (6, leaf(CAPABILITY, ref=1)),
        ],
        lambda index: details[index],
    )
    assert [one.entry for one in fold.all()] == [3, 4, 6]
    fold.require_free(things(segments=["us-ca.key"], grants=[13], principals=["ana"]))
    with pytest.raises(DeniedError) as caught:
        fold.require_free(things(purpose="train", grants=[12, 14]))
    assert caught.value.rule == "containment.purpose"
    assert "(entry 3)" in caught.value.message
    assert caught.value.fix
    with pytest.raises(DeniedError, match=r"\(entry 6\)"):
        fold.require_minted([12])
    fold.require_minted([13])
    fold.lift(3, at_ms=9)
    with pytest.raises(DeniedError, match=r"\(entry 4\)"):
        fold.require_free(things(purpose="train", grants=[12, 14]))


@pytest.mark.parametrize("what", sorted(SEALED))
def test_what_nobody_can_name_is_held_back_with_all_of_its_kind(what):
    fold = Contained()
    fold.open([(2, leaf(what))], lambda _index: {})
    everything = {
        GRANT: things(grants=[5]),
        CAPABILITY: things(tokens=["x"]),
        "principal": things(principals=["ana"]),
    }
    for kind, touched in everything.items():
        if kind == what:
            with pytest.raises(DeniedError, match=r"\(entry 2\)"):
                fold.require_free(touched)
        else:
            fold.require_free(touched)
    if what == CAPABILITY:
        with pytest.raises(DeniedError):
            fold.require_minted([5])
    fold.lift(2, at_ms=9)
    fold.require_free(frozenset().union(*everything.values()))


def test_collection_is_held_back_whole_by_stream_or_by_segment():
    fold = Contained()
    fold.require_collected([("us-ca.key", "key")])
    for at, key in enumerate(("all", "key", "us-ca.key")):
        fold.begin(held(at, "collection", key))
        assert not fold.collects("us-ca.key", "key")
        with pytest.raises(DeniedError):
            fold.require_collected([("us-wa.chat", "chat"), ("us-ca.key", "key")])
        assert fold.collects("us-wa.chat", "chat") is (key != "all")
        fold.lift(at, at_ms=50 + at)
    fold.require_collected([("us-ca.key", "key")])


def test_when_collection_was_held_back_is_known_afterwards_and_from_its_leaves_alone():
    def leaf(state: str, key: str, at: int, ref: int = -1) -> dict[str, object]:
        public = {"what": "collection", "state": state, "target": key}
        return {"pub": public, "t": at, "ref": ref}

    leaves = [
        (5, leaf("begun", "key", 5)),
        (6, leaf("begun", "us-ca.pointer", 6)),
        (7, leaf("lifted", "key", 8, ref=5)),
    ]
    read, live = Contained(), Contained()
    read.open(leaves, lambda _: {})
    live.begin(held(5, "collection", "key"))
    live.begin(held(6, "collection", "us-ca.pointer"))
    live.lift(5, at_ms=8)
    for fold in (read, live):
        assert fold.quiet("us-ca.key", "key") == [(5000, 8000)]
        assert fold.quiet("us-ca.pointer", "pointer") == [(6000, None)]
        assert fold.quiet("us-wa.pointer", "pointer") == []


def test_a_token_is_known_by_the_hash_of_its_id():
    assert things(tokens=["id"]) == {(CAPABILITY, block_hash("id"))}
    assert things() == frozenset()


@pytest.mark.parametrize("what", KINDS)
def test_an_order_says_what_it_says(what):
    said = {"what": what, "target": "x", "reason": "y"}
    text = write_order("contain", home="h", at_us=5, **said, of=4)
    order = read_order(text, order="contain", home="h")
    assert order.wish == Wish(**said, of=4)
    text = write_order("lift", home="h", at_us=5, entry=9, **said)
    assert read_order(text, order="lift", home="h").entry == 9


@pytest.mark.parametrize(
    ("act", "said"),
    [
        ("lift", {}), ("lift", {"entry": "9"}), ("lift", {"entry": True}), ("lift", {"entry": 9, "of": 1}),
        ("contain", {"entry": 9}), ("contain", {"more": 1}), ("contain", {"what": "all"}),
    ],
)  # fmt: skip
def test_what_is_no_order_is_none(act, said):
    whole = {"what": "segment", "target": "x", "reason": "y"} | said
    text = write_order(act, home="h", at_us=5, **whole)
    with pytest.raises(InvalidError):
        read_order(text, order=act, home="h")


def test_every_place_that_opens_something_asks_what_is_contained():
    found = {
        file.stem for file in KEEPER.glob("*.py") if re.search(OPENINGS, file.read_text("utf-8"))
    }
    assert found == CHECKED | OWN | OTHER, "a new door: let it ask, and say so here"
    for name in CHECKED:
        text = (KEEPER / f"{name}.py").read_text("utf-8")
        assert re.search(r"contained\.require_|release\.going\(", text), name
    assert "contained" not in (KEEPER / "export.py").read_text("utf-8")
    assert "contained" not in (KEEPER / "erasure.py").read_text("utf-8")


def test_the_reference_names_every_kind_and_every_rule():
    page = (Path(__file__).resolve().parents[2] / "docs/reference/containment.md").read_text(
        "utf-8"
    )
    rules = {f"containment.{what}" for what in KINDS}
    for file in KEEPER.glob("*.py"):
        rules |= set(re.findall(r'rule="(containment\.[a-z-]+)"', file.read_text("utf-8")))
    assert not [rule for rule in rules if f"`{rule}`" not in page]
    assert not [what for what in KINDS if f"| `{what}` |" not in page]
