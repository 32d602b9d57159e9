"""Move a home that is stopped, so that whatever happens exactly one place of it works, or none until it is finished.

1. ``copying``: a file outside the home says that it is being moved; no keeper starts any more. Journal, control
   database and objects are copied, each whole or not at all, and the copy is proved by computing everything again.
   The old places are only read. What broke off is begun again by the same call, or taken back.
2. ``switching``: the file says that the new places count. The old ones are set aside under other names, the outside
   names the new ones, and the ledger, opened there, notes the move. What broke off can only be finished.
3. The file goes; another keeps the old places in mind until somebody removes them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from typing import Any, Final

from safehold import db
from safehold.app.control import engine_at, postgres_of, require_restored
from safehold.app.custody import unlock
from safehold.app.journal import rows_at
from safehold.app.keeper import equip_desk
from safehold.app.outside import put_url
from safehold.app.profile import Places
from safehold.app.relocation.parts import part_of
from safehold.app.relocation.plan import admit, kind_of, require_quiet, require_two_buckets, units
from safehold.app.relocation.proof import prove_control, prove_journal, prove_objects
from safehold.app.relocation.record import COPYING, SWITCHING, Record
from safehold.clock import SystemClock
from safehold.db.place import schema_of
from safehold.errors import ConflictError, MissingError, UnavailableError
from safehold.keeper.client import Progress
from safehold.ledger import Entry
from safehold.ledger.store import hold_directory
from safehold.settings import Home
from safehold.vault.kms.current import CurrentRoot

ORDER: Final[tuple[str, ...]] = ("journal", "control", "objects")
Reached = Callable[[str], None]


def move(
    home: Home,
    secret: Mapping[str, Any],
    new: Places | None,
    *,
    progress: Progress = lambda _message: None,
    reached: Reached = lambda _step: None,
) -> dict[str, Any]:
    """Move a home, or finish a move that broke off; return what was copied and how it was proved.

    Args:
        home: The home; no keeper of it may run.
        secret: What opens its root.
        new: Where it goes; None only finishes what broke off.
        progress: Told how far it is.
        reached: Told each step; tests crash there.

    Raises:
        ConflictError: A keeper runs, or a move to another place is under way.
        TamperedError: The copy does not hold; the old places still count.
        UnavailableError: A place does not answer; the same call goes on.
    """
    with _alone(home) as held:
        require_restored(home)
        record = Record.find(home)
        if record is None and new is None:
            raise MissingError("no move is under way", rule="migrate.none")
        if record is not None and new not in (None, record.new):
            raise ConflictError(
                "a move to another place is under way",
                rule="migrate.other",
                fix="finish it: safehold migrate --yes; or take it back: safehold migrate --back",
            )
        held.hold(Places.of(home) if record is None else record.old)
        held.hold_new(new if record is None else record.new)
        with closing(unlock(home, secret)) as root:
            if record is None and new is not None:
                fresh = Record(id="", old=Places.of(home), new=new, step=COPYING)
                admit(home, fresh)
                require_quiet(home)
                record = Record.begin(home, new)
                reached("begun")
            if record is None:  # pragma: no cover - one of both is there
                raise MissingError("no move is under way", rule="migrate.none")
            proof: dict[str, Any] = {}
            if record.step == COPYING:
                require_quiet(home)  # also of one that is begun again: the old places still count
                proof = _copy(home, record, root, progress, reached)
                record = record.switch(home)
                reached("switched")
            progress({"title": "putting the new places in force", "done": 0, "of": 1})
            return {**_switch(home, record, root, held, reached), "proof": proof}


def go_back(home: Home) -> dict[str, Any]:
    """Take back a move that has not switched yet: the copy is removed, and the old places work again.

    Raises:
        MissingError: No move is under way.
        ConflictError: The new places count already; it can only be finished.
    """
    with _alone(home):
        record = Record.find(home)
        if record is None:
            raise MissingError("no move is under way", rule="migrate.none")
        if record.step == SWITCHING:
            raise ConflictError(
                "the new places count already",
                rule="migrate.switched",
                fix="finish it: safehold migrate --yes; then move back as you came",
            )
        stays = {}
        for name in record.parts:
            try:
                part_of(name, home, record.new, coming=True).remove()
            except (
                UnavailableError
            ) as error:  # a server that died must not keep a home from going back
                stays[name] = error.rule
        shutil.rmtree(home.incoming, ignore_errors=True)
        Record.forget(home.moving_file)
    return {
        "home": home.id,
        "profile": record.old.profile,
        "taken_back": record.parts,
        "not_removed": stays,
    }


def remove_old(home: Home) -> dict[str, Any]:
    """Remove the places that a move left behind; a keeper may work meanwhile.

    What a bucket keeps of removed objects, and what a server's log and backups keep of tables, is not reached.

    Raises:
        MissingError: None was left.
    """
    record = Record.left_by(home)
    if record is None:
        raise MissingError("no move has left anything behind", rule="migrate.none")
    if home.moving_file.exists():
        raise ConflictError("a move is under way", rule="migrate.unfinished")
    require_two_buckets(record)
    for name in record.parts:
        part_of(name, home, record.old).remove(moved=True)
    shutil.rmtree(home.moved, ignore_errors=True)
    Record.forget(home.left_file)
    return {"home": home.id, "removed": {one: kind_of(one, record.old) for one in record.parts}}


def _copy(
    home: Home, record: Record, root: CurrentRoot, progress: Progress, reached: Reached
) -> dict[str, Any]:
    total = units(home, record)

    def told(name: str) -> Callable[[int], None]:
        done = 0

        def tell(more: int) -> None:
            nonlocal done
            done += more
            progress({"title": f"copying {name}", "done": done, "of": max(total[name], done, 1)})

        return tell

    for name in [one for one in ORDER if one in record.parts]:
        part_of(name, home, record.new, coming=True).copy_from(
            part_of(name, home, record.old), told(name)
        )
        reached(name)
    found: dict[str, Any] = {}
    progress({"title": "computing everything again", "done": 0, "of": 1})
    if "control" in record.parts:
        found["control"] = prove_control(home, record, root)
    if "journal" in record.parts:
        found["journal"] = prove_journal(home, record, root)
    if "objects" in record.parts:
        found["objects"] = prove_objects(home, record, lambda _count: None)
    reached("proved")
    return found


def _switch(
    home: Home,
    record: Record,
    root: CurrentRoot,
    held: _Held,
    reached: Reached,
) -> dict[str, Any]:
    new = record.new.to_json()
    for name in [one for one in ORDER if one in record.parts]:
        if new[name] is None and name == "objects":
            continue  # they were copied to where keepers look, and a bucket needs no setting aside
        part_of(name, home, record.old).set_aside()
        reached(f"aside {name}")
        part_of(name, home, record.new, coming=True).place()
        reached(f"placed {name}")
    shutil.rmtree(home.incoming, ignore_errors=True)
    files = {
        "control": home.control_url_file,
        "journal": home.ledger_url_file,
        "objects": home.objects_url_file,
    }
    for name in record.parts:
        put_url(files[name], new[name])
        reached(f"named {name}")
    held.let_go_of_ledger()
    engine = engine_at(home, record.new.control)
    try:
        number = db.advance(engine)
        desk = equip_desk(home, root, engine, clock=SystemClock())
        try:
            reached("opened")
            [receipt] = desk.ledger.append([_entry(home, record)])
            reached("noted")
            desk.ledger.publish()
            size = desk.ledger.size
        finally:
            desk.ledger.close()
    finally:
        engine.dispose()
    record.leave(home)
    reached("left")
    return {
        "home": home.id,
        "from": record.old.profile,
        "to": record.new.profile,
        "moved": record.parts,
        "entry": receipt.index,
        "size": size,
        "leader": number,
        "old": "set aside: no keeper opens it; safehold migrate --remove-old removes it",
    }


def _entry(home: Home, record: Record) -> Entry:
    return Entry(
        kind="home",
        actor="keeper",
        object=home.id,
        detail={
            "move": record.id,
            "from": record.old.profile,
            "to": record.new.profile,
            "parts": record.parts,
        },
        public={"synthetic": int(home.synthetic), "profile": record.new.profile},
        key=f"move/{record.id}",  # one entry, however often the end of a move is gone through
    )


class _Held:
    """The locks of everything that a keeper of the home would need, wherever it is."""

    def __init__(self, home: Home, undo: ExitStack) -> None:
        self._home, self._undo = home, undo
        self._servers: set[str] = set()
        self._logs: set[str] = set()
        self._ledger = undo.enter_context(ExitStack())
        undo.callback(db.FileLead(home.lead_file).close)
        self._ledger.callback(os.close, hold_directory(home.ledger))

    def hold(self, places: Places) -> None:
        """Hold what servers say of who leads, and of who writes, at the old place."""
        self._hold_lead(places)
        if places.journal is not None:
            rows = rows_at(self._home, places.journal, directory=self._home.ledger)
            self._ledger.enter_context(closing(rows.hold()))
            self._logs.add(places.journal)

    def hold_new(self, places: Places | None) -> None:
        """Hold who leads at the new place; a log that is copied there is opened to prove it, so it is only asked for.

        Two names of one database are found here: what holds it already is this process. So no copy is ever begun by
        removing what is to be copied.

        Raises:
            ConflictError: Somebody has it.
        """
        if places is None:
            return
        self._hold_lead(places)
        if places.journal is not None and places.journal not in self._logs:
            rows_at(self._home, places.journal, directory=self._home.ledger).hold().close()

    def _hold_lead(self, places: Places) -> None:
        if places.control is not None and places.control not in self._servers:
            lead = postgres_of().SessionLead(places.control, schema=schema_of(self._home.origin))
            self._undo.callback(lead.close)
            self._servers.add(places.control)

    def let_go_of_ledger(self) -> None:
        """Let the ledger be opened at its new place; the right to lead stays ours."""
        self._ledger.close()


@contextmanager
def _alone(home: Home) -> Iterator[_Held]:
    with ExitStack() as undo:
        yield _Held(home, undo)
