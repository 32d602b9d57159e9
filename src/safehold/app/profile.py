"""Where the parts of a home lie: all in the home (embedded), or in PostgreSQL and a bucket (server).

The places of a server come from flags, from one settings file or from the environment, and hold no secret: a
password in any of them is refused. Each is proved before anything is made of it.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Self

from safehold.app.outside import read_url
from safehold.errors import InvalidError, UnavailableError
from safehold.settings import Home

PROFILES: Final = ("embedded", "server")
PARTS: Final = ("control", "journal", "objects")
SETTINGS: Final = ("database", *PARTS)
_RULES: Final = {"control": "control.url", "journal": "ledger.url", "objects": "object.url"}
PROBE: Final = "home_probe"  # a home that is never made: under it the bucket is tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where each part of a home lies.

    Args:
        control: URL of the control database; None for a file of the home.
        journal: URL of the ledger's journal; likewise.
        objects: URL of the bucket of the sealed objects; likewise a folder.
    """

    control: str | None = None
    journal: str | None = None
    objects: str | None = None

    @classmethod
    def of(cls, home: Home) -> Self:
        """Return what the outside of a home names."""
        files = {
            "control": home.control_url_file,
            "journal": home.ledger_url_file,
            "objects": home.objects_url_file,
        }
        return cls(**{part: read_url(file, rule=_RULES[part]) for part, file in files.items()})

    @property
    def profile(self) -> str:
        """``embedded``, ``server``, or ``mixed`` if some parts lie elsewhere and others do not."""
        elsewhere = sum(getattr(self, part) is not None for part in PARTS)
        return {0: "embedded", len(PARTS): "server"}.get(elsewhere, "mixed")

    def to_json(self) -> dict[str, str | None]:
        """Return the URLs by part."""
        return {part: getattr(self, part) for part in PARTS}


def server_places(
    *, settings: Path | None = None, given: Mapping[str, str | None] | None = None
) -> Places:
    """Return the places of a server profile: flags first, then the file, then the environment.

    Args:
        settings: TOML with ``database`` (for both databases), ``control``, ``journal``, ``objects``.
        given: The same words from the command line.

    Raises:
        InvalidError: The file is none, holds another word, or a part is named nowhere.
    """
    environment = {
        name: os.environ.get(f"SAFEHOLD_{name.upper()}_URL") or None for name in SETTINGS
    }
    layers = (given or {}, _read(settings) if settings is not None else {}, environment)

    def find(*names: str) -> str | None:
        # within one layer the closer word wins: control before database
        return next((found for one in layers for name in names if (found := one.get(name))), None)

    found = Places(
        control=find("control", "database"),
        journal=find("journal", "database"),
        objects=find("objects"),
    )
    if missing := [part for part, url in found.to_json().items() if url is None]:
        raise InvalidError(
            f"a server profile names where {' and '.join(missing)} lie",
            rule="profile.places",
            fix="--database postgresql://... and --objects s3://..., or --settings FILE, "
            "or SAFEHOLD_DATABASE_URL and SAFEHOLD_OBJECTS_URL",
        )
    return found


def prove(places: Places, *, origin: str) -> dict[str, dict[str, Any]]:
    """Try every place that is not in the home; what is found of each is returned.

    A database must be new enough, keep what it acknowledges, answer itself (no pooler in its place), let us make a
    schema, and hold nothing of this home. A bucket must refuse to replace an object, and give back what it was given.

    Args:
        places: The places.
        origin: Name of the log of the home that is to lie there.

    Raises:
        InvalidError: A URL is malformed or holds a secret.
        ConflictError: Something of this home lies there.
        UnavailableError: It does not answer, or would not keep its part.
    """
    found: dict[str, dict[str, Any]] = {}
    if places.control is not None:
        found["control"] = _control().prove(places.control, schema=_schema_of(origin))
    if places.journal is not None:
        found["journal"] = _journal().PostgresRows(places.journal, origin=origin).prove()
    if places.objects is not None:
        from safehold.vault import Bucket
        from safehold.vault import Place as BucketPlace

        found["objects"] = Bucket(BucketPlace.parse(places.objects), home=PROBE).prove()
    return found


def take_back(home: Home, places: Places) -> None:
    """Remove what was made in databases for a home that could not be finished.

    For the caller of ``Home.create`` alone: its name is new, so whatever bears it was made just now.
    """
    if places.control is not None:
        _control().drop(places.control, schema=_schema_of(home.origin))
    if places.journal is not None:
        _journal().PostgresRows(places.journal, origin=home.origin).remove()


def told(home: Home) -> dict[str, str]:
    """Return which profile a home has and what each part lies in; no host and no user, for any caller may ask."""
    places = Places.of(home)
    kinds = dict.fromkeys(PARTS, "the home")
    for part, url in places.to_json().items():
        if url is not None:
            kinds[part] = "a bucket" if part == "objects" else "PostgreSQL"
    return {"name": places.profile, **kinds}


def examine(home: Home) -> str:
    """Say which profile a home has, where each part lies, and that its databases answer.

    Raises:
        UnavailableError: A database does not answer, or would not keep what it acknowledges.
    """
    places, said = Places.of(home), told(home)
    versions = {}
    if places.control is not None:
        versions["control"] = _control().look(places.control, schema=_schema_of(home.origin))
    if places.journal is not None:
        versions["journal"] = _journal().PostgresRows(places.journal, origin=home.origin).look()
    lines = [
        f"{part} in {said[part]}"
        + (f" {versions[part]['version']}, {versions[part]['schema']}" if part in versions else "")
        for part in PARTS
    ]
    return f"{said['name']}: {'; '.join(lines)}"


def _read(settings: Path) -> dict[str, str]:
    try:
        tree = tomllib.loads(settings.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidError(
            "the settings file cannot be read", file=settings.name, rule="profile.settings"
        ) from error
    if not tree.keys() <= set(SETTINGS) or not all(type(one) is str for one in tree.values()):
        raise InvalidError(
            "the settings file holds something else than places",
            file=settings.name,
            rule="profile.settings",
            fix=f"only {', '.join(SETTINGS)}, each a text without a password",
        )
    return tree


def _schema_of(origin: str) -> str:
    from safehold.db import place

    return place.schema_of(origin)


def _control() -> ModuleType:
    from safehold.app.control import postgres_of

    return postgres_of("control.url")


def _journal() -> ModuleType:
    try:
        from safehold.ledger import store_postgres_rows
    except ImportError as error:
        raise UnavailableError(
            "the driver for PostgreSQL is not installed",
            rule="ledger.url",
            fix="pip install 'safehold[postgres]'",
        ) from error
    return store_postgres_rows
