"""Which version of the tables a database has, and the way to another."""

from __future__ import annotations

from importlib import resources

import sqlalchemy as sa

NEWEST = "0004"  # the newest revision under ``migrations``; a test compares the two


def migrate(engine: sa.Engine, revision: str = "head") -> None:
    """Bring a database to a version of the schema; all steps in one transaction.

    Args:
        engine: The control database.
        revision: ``head``, or an older revision to go back to.
    """
    if revision == "head" and _revision(engine) == NEWEST:
        return
    # loaded only when there is something to do: it would be a third of the keeper's start
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(resources.files("safehold") / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        if revision == "head":
            command.upgrade(config, revision)
        else:
            command.downgrade(config, revision)


def revision(connection: sa.Connection) -> str | None:
    """Return the version that a database says it has, or None for an empty one."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars()
    versions = [str(one) for one in found]
    return versions[0] if len(versions) == 1 else None


def _revision(engine: sa.Engine) -> str | None:
    with engine.begin() as connection:
        return revision(connection)
