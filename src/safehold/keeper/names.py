"""Which names a home masks when data comes in: its operator's choice, in a file of the home.

The choice goes into what each sandbox and each device is told, so into the version of the rules that the ledger
and every lease name: whoever changes it, by the command or by hand, is seen. A tier that is chosen and not
installed is refused; nothing is ever taken in by a lesser one instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safehold import canonical
from safehold.dlp import Rules
from safehold.dlp.named import ROSTER, TIERS, admit_names
from safehold.errors import DeniedError, InvalidError, TamperedError
from safehold.ledger.files import replace_file
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


def told_rules(rules: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the rules as a sandbox is told them: with the version that the ledger names.

    A sandbox that finds other patterns, or another model, than the keeper refuses them.

    Raises:
        UnavailableError: They ask for what is not installed.
    """
    return {stream: Rules.from_spec(spec).to_spec() for stream, spec in rules.items()}


def rules_version(told: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the SHA-256 over the versions of the rules of all streams, hex."""
    return canonical.digest({stream: rule["version"] for stream, rule in told.items()}).hex()


def require_leased(leased: Mapping[str, str], told: Mapping[str, Mapping[str, Any]]) -> None:
    """Pass what was minimised by the rules that are in force now.

    Args:
        leased: Versions of the rules it was recorded by, by stream.
        told: The rules in force, of every stream.

    Raises:
        DeniedError: A rule is another one.
    """
    versions = {stream: rule["version"] for stream, rule in told.items()}
    if any(versions.get(stream) != version for stream, version in leased.items()):
        raise DeniedError(
            "the lease is for other rules", rule="lease.rules", fix="obtain a new lease"
        )


def choose_names(home: Home, tier: str) -> None:
    """Set the tier of names of a home; what is taken in from now on follows it.

    Raises:
        InvalidError: There is no such tier.
        UnavailableError: It is not installed.
    """
    data = canonical.encode({"v": VERSION, "names": admit_names(tier)})
    replace_file(home.names_file, data)
