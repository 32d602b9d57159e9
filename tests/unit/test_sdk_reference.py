"""The reference of the SDK is what the code says: every public call with its defaults, every column."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import safehold
from safehold.sdk import Request, Result, Session, Use, table
from safehold.sdk.session import LedgerView

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "sdk.md").read_text("utf-8")
CAPSULES = ("__arrow_c_schema__", "__arrow_c_stream__")


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def listed(title: str) -> set[str]:
    """Return what the tables of a section name in their first column."""
    return set(re.findall(r"^\| `([^`]+)` \|", section(title), re.MULTILINE))


def call(name: str, function: Any) -> str:
    """Return a call with its defaults and without types."""
    signature = inspect.signature(function)
    plain = [
        one.replace(annotation=inspect.Parameter.empty)
        for one in signature.parameters.values()
        if one.name != "self"
    ]
    return name + str(
        signature.replace(parameters=plain, return_annotation=inspect.Signature.empty)
    )


def public(kind: type) -> set[str]:
    """Return the public calls and properties of a class."""
    found = set()
    for name, member in vars(kind).items():
        if name.startswith("_") and name not in CAPSULES:
            continue
        if isinstance(member, property):
            found.add(name)
        elif inspect.isfunction(member):
            found.add(call(name, member))
    return found


@pytest.mark.parametrize("kind", [Request, Use, Result])
def test_every_public_call_is_there_as_it_is(kind: type) -> None:
    assert listed(kind.__name__) == public(kind)


def test_the_session_and_its_ledger() -> None:
    ledger = {f"ledger.{one}" for one in public(LedgerView)}
    assert listed("Session") == (public(Session) - {"ledger"}) | ledger
    assert listed("connect") == {call("connect", safehold.connect)}


def test_every_column_is_there() -> None:
    said = dict(re.findall(r"^\| ([A-Z]+) \| ([a-z0-9_, ]+) \|$", section("Result"), re.MULTILINE))
    code = {
        name: ", ".join(schema.names)
        for name, schema in vars(table).items()
        if isinstance(schema, pa.Schema)
    }
    assert said == code


def test_every_public_thing_says_what_it_is() -> None:
    for kind in (Session, Request, Use, Result, LedgerView):
        assert inspect.getdoc(kind)
        for name, member in vars(kind).items():
            if not name.startswith("_"):
                assert inspect.getdoc(member), f"{kind.__name__}.{name}"


def test_every_rule_of_ours_is_there() -> None:
    sources = Path(inspect.getfile(Session)).parent
    code = "\n".join(file.read_text("utf-8") for file in sources.glob("*.py"))
    rules = set(re.findall(r'rule="((?:sdk|request)\.[a-z_]+)"', code))
    assert rules >= {"sdk.use", "request.waiting"}
    assert rules <= set(re.findall(r"`([a-z_.]+)`", section("Errors")))
