"""A query file: SQL, and at its head the figure that may leave.

The head is a block of comments whose text is TOML 1.0, as inline script metadata has it (PyPA specification)::

    -- /// safehold
    -- release = "mean"
    -- keys = ["mail", "browser"]
    -- rows = 20
    -- low = 0
    -- high = 500
    -- step = 1
    -- epsilon = 0.5
    -- ///
    SELECT app AS k, x AS v FROM pointer

A query is named by the SHA-256 of the whole file, as ``sql:<hex>``. That name stands where a grant names a recipe, so
approvals, price, capability and ledger cover SQL, template and epsilon, and nothing else. A grant that names ``sql``
alone is for queries that nobody has reviewed.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from safehold.access.code import SQL
from safehold.errors import InvalidError
from safehold.privacy.template import Template

LARGEST: Final = 64 * 1024  # bytes of a file
_HEAD: Final = re.compile(
    r"\A\s*^-- /// safehold$\n((?:^--(?:| .*)$\n)+?)^-- ///$\n?", re.MULTILINE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query file that was read.

    Args:
        name: ``sql:`` and the SHA-256 of the file, hex.
        sql: The SQL behind the head.
        template: What its head declares.
    """

    name: str
    sql: str
    template: Template


def name_query(text: str) -> str:
    """Return the name of a query file."""
    return f"{SQL}:{hashlib.sha256(text.encode()).hexdigest()}"


def is_query(recipe: str) -> bool:
    """Return whether a recipe of a grant is a query, reviewed or not."""
    return recipe == SQL or recipe.startswith(f"{SQL}:")


def read_query(text: str) -> Query:
    """Read a query file.

    Raises:
        InvalidError: It is too large, has no head, or its head is no template.
    """
    if len(text.encode()) > LARGEST:
        raise InvalidError(f"a query is at most {LARGEST} bytes", rule="sql.size")
    found = _HEAD.match(text.replace("\r\n", "\n"))
    if found is None:
        raise InvalidError(
            "a query begins with what it releases",
            rule="sql.head",
            fix="-- /// safehold, settings, -- ///: see docs/reference/sql.md",
        )
    lines = (line[3:] for line in found[1].splitlines())
    try:
        given = tomllib.loads("\n".join(lines))
    except (tomllib.TOMLDecodeError, RecursionError):
        raise InvalidError("the head of a query is TOML", rule="sql.head") from None
    sql = text.replace("\r\n", "\n")[found.end() :].strip()
    if not sql:
        raise InvalidError("there is no SQL behind the head", rule="sql.empty")
    return Query(name=name_query(text), sql=sql, template=Template.of(given))


def write_query(sql: str, settings: Mapping[str, Any]) -> str:
    """Return the text of a query file.

    Args:
        sql: The SQL.
        settings: The template as people write it: numbers, words, and lists of them.
    """
    head = "".join(f"-- {name} = {_toml(value)}\n" for name, value in settings.items())
    return f"-- /// safehold\n{head}-- ///\n{sql.strip()}\n"


def _toml(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        plain = value.replace("\\", "\\\\").replace('"', '\\"')
        if not plain.isprintable():
            raise InvalidError("a word of a template is printable", rule="privacy.template")
        return f'"{plain}"'
    return repr(value)
