"""The life of keys: which there are, and changing those of every level while the keeper serves.

A change is a leaf before it and a leaf after it. A note outside the home, durable before the first of them, tells
what stood before, so that after a crash the keeper writes the second leaf: ``done`` if the change went through,
``undone`` if nothing changed. No leaf and no answer holds a key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from safehold import canonical, ids
from safehold.errors import ConflictError, DeniedError, InvalidError, SafeholdError, TamperedError
from safehold.keeper.minting import Minting
from safehold.keeper.server import Report
from safehold.ledger import Entry, Receipt
from safehold.vault import durable
from safehold.vault.census import take_census
from safehold.vault.kms import RemoteRoot
from safehold.vault.reroot import check_marker

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

ROOT, SEGMENT, MINT = "root", "segment", "mint"
# a root that the keeper cannot see, or that nobody holds alone, is not given up by whoever runs the keeper
_LOWER: Final = {
    "shares": ("passphrase", "pkcs11", "aws-kms", "hcvault"),
    **dict.fromkeys(("pkcs11", "aws-kms", "hcvault"), ("passphrase",)),
}
FIXED: Final = {
    "derivation": "every key below comes from it; it goes along from root to root",
    "catalog-mac": "every row of the catalogue carries its code",
    "lookup": "rows of people and devices are found by it",
    "records": "records of people are sealed under it",
    "silence": "ends of recording are found by it",
    "pseudonym": "rows of one segment are joined by it",
    "index-padding": "trees of closed epochs are padded by it",
    "lease-signing": "gap records that people keep are verified by it",
    "session-mint": "tickets of sessions are verified by it; none lives longer than an hour",
    "federation": "other houses know this one by it, and its masks and sides come from it",
    "reach": "the index behind the blast radius is found to be this home's by it; without it the index is made again",
    "join-commitment": "what was brought into a join is shown by it",
    "provenance": "statements about artifacts are verified by it",
    "model-signing": "files of artifacts are verified by it, with tools of others",
    "trial": "who was held out of a training, and what was planted in it, is found again by it",
}


def _go_on(_step: str) -> None:
    """Let a step begin."""


class Lifecycle:
    """The verbs about keys.

    Args:
        desk: What the keeper works with.
        minting: The key of capabilities.
    """

    def __init__(self, desk: Desk, minting: Minting) -> None:
        self._desk = desk
        self._minting = minting
        self._lock = Lock()
        self.reached: Callable[[str], None] = _go_on  # told each step; tests crash there

    def rotate(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Change the keys of one level.

        Raises:
            ConflictError: Another change is under way.
            DeniedError: The new root would be kept less well.
            SignInError: Whoever asks for another root does not know what opens the present one.
        """
        if not self._lock.acquire(blocking=False):
            raise ConflictError("keys are being changed", rule="key.rotate", fix="wait for it")
        try:
            match arguments:
                case {"level": "segment"}:
                    name = arguments.get("segment")
                    return self._segments(None if name is None else str(name))
                case {"level": "mint"}:
                    return self._mint()
                case {"level": "root", "present": dict(present), "new": dict(new)}:
                    with self._desk.custody.changing():
                        return self._root(present, new, destroy=arguments.get("destroy") is True)
                case _:
                    raise InvalidError(
                        "the levels are root, segment and mint",
                        rule="key.level",
                        fix="the log's key has its own command: safehold ledger rotate",
                    )
        finally:
            self._lock.release()

    def recover(self) -> None:
        """Write the last leaf of changes that a crash cut short.

        Raises:
            UnavailableError: The ledger cannot take it.
        """
        folder = self._desk.home.turns
        for file in sorted(folder.iterdir()) if folder.is_dir() else ():
            if file.name.startswith("."):
                file.unlink()  # a draft that a crash left
                continue
            note = _read(file)
            begun = self._begin(note)
            state = "undone" if self._stands(note["level"]) == note["before"] else "done"
            self._end(file, note, begun, state=state)
        self._minting.retire()

    def listing(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return every level of keys, how it is kept, since when, and how it is changed; never a key."""
        desk, since = self._desk, self._since()
        census, root = take_census(desk.engine), desk.vault.root
        kept: dict[str, Any] = {"kept": root.kind}
        if isinstance(root, RemoteRoot):
            kept["where"] = dict(root.kek.where)
        changed = max(since[ROOT], since["home"])
        return {
            "levels": [
                {
                    "level": "root",
                    **kept,
                    "since_ms": changed,
                    "change": "safehold key rotate --root",
                },
                {
                    "level": "segment",
                    "kept": "control database, under the root and epoch secrets outside the home",
                    "epochs": census.segments,
                    "since_ms": max(since[SEGMENT], since["home"]),
                    "change": "safehold key rotate --segments; every erasure and expiry does it too",
                },
                {
                    "level": "row",
                    "kept": "control database, under their segment's key",
                    "numbers": census.keys,
                    "change": "wrapped anew with their segment; they are made once and end with erasure or expiry",
                },
                {
                    "level": "log",
                    "kept": "control database, under the root",
                    "keys": list(desk.ledger.vkeys),
                    "since_ms": max(since["log"], since["home"]),
                    "change": "safehold ledger rotate",
                },
                {
                    "level": "mint",
                    "kept": "control database, under the root",
                    "key": self._minting.public.text(),
                    "since_ms": max(since[MINT], since["home"]),
                    "change": "safehold key rotate --mint",
                },
                {
                    "level": "derived",
                    "kept": "in no file: derived when the keeper starts",
                    "since_ms": since["home"],
                    "fixed": dict(FIXED),
                },
            ],
            "secrets": census.secrets,
        }

    def _segments(self, segment: str | None) -> dict[str, Any]:
        def change() -> tuple[int, dict[str, Any]]:
            done = self._desk.vault.renew(segment)
            return len(done.segments), {
                "segments": list(done.segments),
                "rewrapped": done.survivors,
            }

        return self._changed(SEGMENT, "database", change)

    def _mint(self) -> dict[str, Any]:
        def change() -> tuple[int, dict[str, Any]]:
            self._minting.rotate()
            return 1, {"key": self._minting.public.text()}

        return self._changed(MINT, "database", change)

    def _root(
        self, present: Mapping[str, Any], new: Mapping[str, Any], *, destroy: bool
    ) -> dict[str, Any]:
        desk, custody = self._desk, self._desk.custody
        old = desk.vault.root
        custody.prove(present, old)
        place = str(new.get("place", "")).partition(":")[0]
        kind = place or ("shares" if "split" in new else "passphrase")
        if kind in _LOWER.get(old.kind, ()) and not desk.home.synthetic:
            raise DeniedError(
                "the new root would be kept less well than the present one",
                rule="key.lower",
                fix="a home for made-up people may; for others the board's way down is not built yet",
            )
        self.reached("draft")
        following, shares = custody.draft(new, old)

        def change() -> tuple[int, dict[str, Any]]:
            try:
                count = desk.vault.reroot(following, reached=self.reached)
            except BaseException:
                self._take_back(old)
                raise
            self.reached("adopt")
            custody.adopt()
            return count, {"rewrapped": count, "kept": following.kind, "shares": shares}

        try:
            answer = self._changed(ROOT, kind, change)
        except SafeholdError:
            if desk.home.next_root_file.exists():  # the leaf could not be written: nothing began
                self._take_back(old)
            raise
        self.reached("destroy")
        if isinstance(old, RemoteRoot):
            answer["old"] = "the old key is still there: destroy it when no backup needs it"
            if destroy:
                try:
                    answer["old"] = old.kek.destroy()
                except SafeholdError as error:  # the change is through all the same
                    answer["old"] = f"the old key is still there: {error.message}"
        return answer

    def _take_back(self, old: Any) -> None:
        """Discard the next root, but only if the database is still under the old one."""
        try:
            check_marker(self._desk.engine, old)
        except TamperedError:
            return  # it went through after all: the next start adopts it
        self._desk.custody.discard()

    def _changed(
        self, level: str, kept: str, change: Callable[[], tuple[int, dict[str, Any]]]
    ) -> dict[str, Any]:
        folder = self._desk.home.turns
        folder.mkdir(exist_ok=True, mode=0o700)
        note = {
            "id": ids.opaque_id("key"),
            "level": level,
            "kept": kept,
            "before": self._stands(level),
        }
        file = folder / str(note["id"])
        self.reached("note")
        durable.write_new(file, canonical.encode(note))
        self.reached("begun")
        begun = self._begin(note)
        self.reached("change")
        try:
            count, answer = change()
        except SafeholdError:
            # where the next root could not be taken back, the next start knows how it ended
            open_end = level == ROOT and self._desk.home.next_root_file.exists()
            if not open_end and self._stands(level) == note["before"]:
                self._end(file, note, begun, state="undone")
            raise
        self.reached("done")
        done = self._end(file, note, begun, state="done", count=count)
        return {"level": level, **answer, "entry": begun.index, "result": done.index}

    def _begin(self, note: Mapping[str, Any]) -> Receipt:
        return self._log(note, "begun", None, {})

    def _end(
        self,
        file: Path,
        note: Mapping[str, Any],
        begun: Receipt,
        *,
        state: str,
        count: int | None = None,
    ) -> Receipt:
        public = {} if count is None else {"count": count}
        receipt = self._log(note, state, begun.index, public)
        file.unlink()
        durable.sync(file.parent)
        return receipt

    def _log(
        self, note: Mapping[str, Any], state: str, ref: int | None, public: Mapping[str, int]
    ) -> Receipt:
        desk = self._desk
        (receipt,) = desk.log(
            Entry(
                kind="key.change",
                actor="keeper",
                object=str(note["id"]),
                detail={},
                charter=desk.trust.digest(),
                public={
                    "level": str(note["level"]),
                    "kept": str(note["kept"]),
                    "state": state,
                    **public,
                },
                ref=ref,
                key=f"{note['id']}/{'begun' if ref is None else 'end'}",
            )
        )
        return receipt

    def _stands(self, level: str) -> str:
        """Return a word that is another one once the keys of a level have changed."""
        desk = self._desk
        match level:
            case "root":
                return hashlib.sha256(desk.home.root_file.read_bytes()).hexdigest()
            case "segment":
                epochs = take_census(desk.engine).segments
                return hashlib.sha256(canonical.encode(epochs)).hexdigest()
            case _:
                return self._minting.public.text()

    def _since(self) -> dict[str, int]:
        """Return when the keys of each level were changed last, and when the home was made; ms, 0 for never."""
        found = dict.fromkeys((ROOT, SEGMENT, MINT, "log", "home"), 0)
        for _, leaf in self._desk.ledger.leaves(0, self._desk.ledger.size):
            public = leaf.get("pub", {})
            if leaf["k"] == "key.change" and public.get("state") == "done":
                found[str(public["level"])] = int(leaf["t"])
            elif leaf["k"] == "key.rotate":
                found["log"] = int(leaf["t"])
            elif leaf["k"] == "home":
                found["home"] = found["home"] or int(leaf["t"])
        return found


def _read(file: Path) -> dict[str, Any]:
    try:
        note = canonical.decode(file.read_bytes())
    except InvalidError as error:
        raise TamperedError("the note of a change of keys is damaged", rule="key.note") from error
    match note:
        case {"id": str(), "level": "root" | "segment" | "mint", "kept": str(), "before": str()}:
            return dict(note)
        case _:
            raise TamperedError("the note of a change of keys is damaged", rule="key.note")
