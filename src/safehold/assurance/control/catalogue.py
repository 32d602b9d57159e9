"""The catalogue as records, read strictly: an unknown key, a missing one, or a word nobody knows is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from safehold.charter import source
from safehold.errors import InvalidError

VERSION: Final = "safehold-controls/1"
AUTO: Final = "auto"
ASSIST: Final = "assist"
FILE: Final = Path(__file__).with_name("catalogue.yaml")
_ID: Final = re.compile(r"[a-z][a-z0-9-]{1,39}")
_CONTROL: Final = re.compile(r"[A-Z]{2,4}-[0-9]{1,2}")
_PROBE: Final = re.compile(r"[a-z][A-Za-z0-9._]{2,60}")
_ROW: Final = frozenset(
    {"id", "framework", "clause", "demands", "controls", "evidence", "mode", "probes", "limits"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """A law or a standard.

    Args:
        id: Its name in tables and files.
        title: In words.
    """

    id: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """What Safehold does about it.

    Args:
        id: Such as ``SEC-1``.
        says: In words.
    """

    id: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One obligation.

    Args:
        id: Its name.
        framework: Id of its framework.
        clause: Where it stands there.
        demands: What it asks for, in our words; counsel has not checked it.
        controls: Ids of the controls that answer it.
        evidence: Kind of evidence, in words.
        mode: ``auto``: the system shows it; ``assist``: it prepares, and people decide.
        probes: Ids of the probes that show it.
        limits: What the evidence does not show.
    """

    id: str
    framework: str
    clause: str
    demands: str
    controls: tuple[str, ...]
    evidence: str
    mode: str
    probes: tuple[str, ...]
    limits: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as canonical JSON values."""
        return {
            "id": self.id,
            "framework": self.framework,
            "clause": self.clause,
            "demands": self.demands,
            "controls": list(self.controls),
            "evidence": self.evidence,
            "mode": self.mode,
            "probes": list(self.probes),
            "limits": list(self.limits),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All of it.

    Args:
        frameworks: By id.
        controls: By id.
        limits: What no evidence of this system shows; printed with all of it.
        rows: The obligations, in the order of the file.
    """

    frameworks: Mapping[str, Framework]
    controls: Mapping[str, Control]
    limits: tuple[str, ...]
    rows: tuple[Row, ...]

    def probes(self) -> tuple[str, ...]:
        """Return the ids of all probes that a row names, in the order of their first use."""
        return tuple(dict.fromkeys(one for row in self.rows for one in row.probes))


@cache
def shipped() -> Catalogue:
    """Return the catalogue of this version."""
    return parse(FILE.read_text("utf-8"), name=FILE.name)


def parse(text: str, *, name: str = "catalogue") -> Catalogue:
    """Read a catalogue.

    Args:
        text: YAML 1.2.
        name: Named in errors.

    Raises:
        InvalidError: It is none, or a row names what there is not, twice, or too little.
    """
    tree = _plain(source.read(text, name=name))
    _keys(tree, {"catalogue", "frameworks", "limits", "controls", "rows"}, "catalogue")
    if tree["catalogue"] != VERSION:
        raise _wrong("another version of the catalogue", "catalogue")
    frameworks = {
        _word(_ID, one, "frameworks"): Framework(id=one, title=_only(said, "title", one))
        for one, said in _mapping(tree["frameworks"], "frameworks").items()
    }
    controls = {
        _word(_CONTROL, one, "controls"): Control(id=one, says=_only(said, "says", one))
        for one, said in _mapping(tree["controls"], "controls").items()
    }
    rows = tuple(_row(one, frameworks, controls) for one in _list(tree["rows"], "rows"))
    twice = {one.id for one in rows if sum(other.id == one.id for other in rows) > 1}
    if twice:
        raise _wrong("a row stands twice", min(twice))
    unused = set(controls) - {one for row in rows for one in row.controls}
    if unused:
        raise _wrong("no row names this control", min(unused))
    limits = tuple(_text(one, "limits") for one in _list(tree["limits"], "limits"))
    return Catalogue(frameworks=frameworks, controls=controls, limits=limits, rows=rows)


def _row(tree: Any, frameworks: Mapping[str, Framework], controls: Mapping[str, Control]) -> Row:
    _keys(tree, _ROW, "rows")
    name = _word(_ID, tree["id"], "rows")
    row = Row(
        id=name,
        framework=_text(tree["framework"], name),
        clause=_text(tree["clause"], name),
        demands=_text(tree["demands"], name),
        controls=tuple(_word(_CONTROL, one, name) for one in _list(tree["controls"], name)),
        evidence=_text(tree["evidence"], name),
        mode=_text(tree["mode"], name),
        probes=tuple(_word(_PROBE, one, name) for one in _list(tree["probes"], name)),
        limits=tuple(_text(one, name) for one in _list(tree["limits"], name)),
    )
    if row.framework not in frameworks or not set(row.controls) <= set(controls):
        raise _wrong("a row names a framework or a control that there is not", name)
    if row.mode not in (AUTO, ASSIST):
        raise _wrong("a mode is auto or assist", name)
    if not row.controls or not row.probes or len(set(row.probes)) < len(row.probes):
        raise _wrong("a row names at least one control and one probe, each once", name)
    if row.mode == ASSIST and not row.limits:
        raise _wrong("a row that people decide says what they decide", name)
    return row


def _plain(node: source.Node) -> Any:
    match node:
        case source.Scalar(text=text):
            return text
        case source.Sequence(items=items):
            return [_plain(one) for one in items]
        case source.Mapping(items=items):
            return {key: _plain(one) for key, one in items.items()}


def _keys(tree: Any, wanted: set[str] | frozenset[str], where: str) -> None:
    if not isinstance(tree, dict) or set(tree) != wanted:
        raise _wrong("not exactly the keys that belong here", where)


def _only(tree: Any, key: str, where: str) -> str:
    _keys(tree, {key}, where)
    return _text(tree[key], where)


def _mapping(tree: Any, where: str) -> dict[str, Any]:
    if not isinstance(tree, dict) or not tree:
        raise _wrong("not a mapping", where)
    return tree


def _list(tree: Any, where: str) -> list[Any]:
    if not isinstance(tree, list):
        raise _wrong("not a list", where)
    return tree


def _text(tree: Any, where: str) -> str:
    if not isinstance(tree, str) or not tree.strip() or not tree.isprintable():
        raise _wrong("not a text", where)
    return tree


def _word(pattern: re.Pattern[str], tree: Any, where: str) -> str:
    text = _text(tree, where)
    if pattern.fullmatch(text) is None:
        raise _wrong("not a name of this kind", where)
    return text


def _wrong(what: str, where: str) -> InvalidError:
    return InvalidError(what, field=where, rule="evidence.catalogue")
