"""Another root for a home: everything that the old one wrapped is wrapped by the new one, in one transaction.

What can be done before is done before: opened and wrapped under the new root from a snapshot, with as few calls as
both can do with. The transaction, which keeps others from writing, only changes rows, and wraps again what somebody
changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from safehold.errors import MissingError
from safehold.vault import tables
from safehold.vault.guarded import scrub
from safehold.vault.keyring import kek_context
from safehold.vault.kms.current import CurrentRoot
from safehold.vault.kms.interface import Item, Root
from safehold.vault.secret import MARKER, secret_context

_Held = dict[tuple[str, str], Item]  # (table, name of a row) to what is wrapped there


def reroot(
    engine: sa.Engine, current: CurrentRoot, new: Root, *, reached: Callable[[str], None]
) -> int:
    """Wrap every segment KEK and every small secret under another root; releases go on meanwhile.

    Args:
        engine: The control database.
        current: The root in use; when this returns it is the new one.
        new: The new root, with the derivation secret of the old one.
        reached: Told each step; tests crash there.

    Returns:
        How many were wrapped anew.

    Raises:
        UnavailableError: One of the roots does not answer; nothing was changed.
    """
    with engine.execution_options(reading=True).begin() as connection:
        before = _held(connection)
    ready = _again(current, new, before)
    current.prepare(new)
    turned = False
    try:
        reached("commit")
        with engine.begin() as connection:
            held = _held(connection)
            changed = {row: item for row, item in held.items() if before.get(row) != item}
            fresh = _again(current, new, changed)
            for row in held:
                _write(connection, row, fresh[row] if row in fresh else ready[row])
            current.turn()
            turned = True
            reached("turned")
    except BaseException:
        if turned:
            current.turn()
        current.settle()
        raise
    current.settle()
    return len(held)


def check_marker(engine: sa.Engine, root: Root) -> None:
    """Pass if a root is the one of a database, after whatever was about to change that.

    It takes its turn as a writer: a server may still be committing for a session that was cut off, and what is read
    beside that is out of date a moment later, when a root file may be gone for it.

    Raises:
        TamperedError: It is another's.
        MissingError: The database has none yet.
    """
    with engine.begin() as connection:
        sealed = connection.execute(
            sa.select(tables.secret.c.sealed).where(tables.secret.c.name == MARKER)
        ).scalar_one_or_none()
    if sealed is None:
        raise MissingError("the database knows no root yet", rule="vault.root")
    root.unwrap(sealed, context=secret_context(MARKER))


def _held(connection: sa.Connection) -> _Held:
    found: _Held = {}
    for row in connection.execute(sa.select(tables.segment)):
        context = kek_context(row.segment, row.epoch, row.secret)
        found["segment", row.segment] = Item(row.wrapped, context)
    for row in connection.execute(sa.select(tables.secret)):
        found["secret", row.name] = Item(row.sealed, secret_context(row.name))
    return found


def _again(old: Root, new: Root, held: _Held) -> dict[tuple[str, str], bytes]:
    if not held:
        return {}
    items = list(held.values())
    opened = old.unwrap_many(items)
    try:
        wrapped = new.wrap_many(
            [Item(data, item.context) for data, item in zip(opened, items, strict=True)]
        )
    finally:
        for one in opened:
            scrub(one)
    return dict(zip(held, wrapped, strict=True))


def _write(connection: sa.Connection, row: tuple[str, str], data: bytes) -> None:
    table, name = row
    if table == "segment":
        connection.execute(
            sa.update(tables.segment).where(tables.segment.c.segment == name).values(wrapped=data)
        )
    else:
        connection.execute(
            sa.update(tables.secret).where(tables.secret.c.name == name).values(sealed=data)
        )
