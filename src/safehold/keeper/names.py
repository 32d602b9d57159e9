"""Which names a home masks when data comes in: its operator's choice, in a file of the home.

The choice goes into what each sandbox and each device is told, so into the version of the rules that the ledger
and every lease name: whoever changes it, by the command or by hand, is seen. A tier that is chosen and not
installed is refused; nothing is ever taken in by a lesser one instead.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from safehold import canonical
from safehold.dlp import Rules
from safehold.dlp.named import ROSTER, TIERS, admit_names
from safehold.errors import InvalidError, TamperedError
from safehold.settings import Home

VERSION = "safehold-names/1"


def chosen_names(home: Home) -> str:
    """Return the tier of names a home has chosen; the roster alone if nobody chose.

    Raises:
        TamperedError: The file says something else than a tier.
    """
    try:
        said = canonical.decode(home.names_file.read_bytes())
    except FileNotFoundError:
        return ROSTER
    except (InvalidError, OSError) as error:
        raise TamperedError("the choice of names cannot be read", rule="dlp.names") from error
    match said:
        case {"v": "safehold-names/1", "names": str(tier)} if tier in TIERS and len(said) == 2:
            return tier
        case _:
            raise TamperedError(
                "the choice of names is no tier", rule="dlp.names", fix="safehold source names TIER"
            )


def rules_version(rules: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the SHA-256 over the versions of the minimisation rules of all streams, hex.

    Raises:
        UnavailableError: They ask for what is not installed.
    """
    versions = {stream: Rules.from_spec(spec).version for stream, spec in rules.items()}
    return canonical.digest(versions).hex()


def choose_names(home: Home, tier: str) -> None:
    """Set the tier of names of a home; what is taken in from now on follows it.

    Raises:
        InvalidError: There is no such tier.
        UnavailableError: It is not installed.
    """
    data = canonical.encode({"v": VERSION, "names": admit_names(tier)})
    part = home.names_file.with_name(home.names_file.name + ".part")
    with contextlib.ExitStack() as undo:
        undo.callback(part.unlink, missing_ok=True)
        part.write_bytes(data)
        part.replace(home.names_file)
