"""From leaves to events: which words of an entry the sentinel may know, by a closed list for every kind.

Holds: what comes out of a side-car is who, did what, to which named thing, in which segment, for which purpose,
under which grant; never text, a reason, a rule, a figure about people, or whose data it was. A kind that is not in
``OPENED`` is never opened; a word of a detail that is not named there is dropped before anything looks at it. Rows,
bytes and outcomes are public facts of the leaf.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from safehold.access.code import is_code, is_own
from safehold.keeper.agents import TOOLS
from safehold.keeper.caller import AGENT, HUMAN, WORKLOAD
from safehold.keeper.door import KINDS_OF
from safehold.keeper.nobody import NOBODY
from safehold.ledger.opening import Said

WATCH: Final = "watch"  # the public action of an intent under which the ledger itself is read
RIGHTS: Final = "right-of-access"  # the purpose of a person's own copy: nobody's business

# what of a detail may be read, by kind: paths of keys, nothing below or beside them
OPENED: Final[Mapping[str, tuple[str, ...]]] = {
    "access.intent": ("grant", "role", "segments"),
    "access.result": (),
    "refusal": ("rule", "via"),
    "grant": ("grant.id", "grant.purpose", "grant.requester.id", "grant.requester.kind", "grant.requester.role"),
    "request": ("purpose",),
    "embed.export": (),
    "join": (),
    "federation": (),
    "session": ("kind",),
    "tool": (),
}  # fmt: skip
# of these kinds only leaves with one of these states say what a caller did
_STATES: Final[Mapping[str, frozenset[str]]] = {
    "grant": frozenset({"approved", "revoked", "narrowed"}),
    "request": frozenset({"asked"}),
    "session": frozenset({"opened", "token"}),
}
# what a caller does in a name of their own choice, so that no name hides it
_ASKING: Final = frozenset({("grant", "approved"), ("request", "asked")})
# callers who proved nothing, and names under which the pipeline works
_KINDS: Final[Mapping[str, str]] = {
    "caller": HUMAN, "operator": HUMAN, "engineer": WORKLOAD, "pipeline": WORKLOAD,
}  # fmt: skip
# what a thing is called whichever way it was tried: asked for, refused at the door, refused under a grant
_SAME: Final[Mapping[str, str]] = {
    "pull_artifact": "artifact.download", "artifact.pull": "artifact.download", "pull": "artifact.download",
    "embed.export": "embedding.export", "export_vectors": "embedding.export",
    "attack.model": "attack.model", "attack.canary": "attack.model",
    "membership": "attack.model", "canary": "attack.model",
}  # fmt: skip
# at least so many rows were asked for, by the public size class of an attempt
_AT_LEAST: Final[Mapping[str, int]] = {"1-999": 1, "1k-99k": 1_000, "100k+": 100_000}
_CLOSED: Final = (
    "agent.missing",
    "agent.via",
)  # refusals that prove nothing about the agent that was named
# what may be said of an attempt: a caller chooses these words, so they are taken from closed lists
_TRIED: Final = frozenset(
    {
        *KINDS_OF, *(f"tool/{one}" for one in TOOLS), "tool", "reidentify", "head", "near", "join", "sql",
    }
)  # fmt: skip
_WORD: Final = re.compile(r"[A-Za-z0-9._:/+=@#-]{1,128}")
UNNAMED: Final = "unnamed"  # stands for what is no plain name: a caller may say anything


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of the entry that a leaf refers to.

    Args:
        grant: Id of the grant, if it stands under one.
        principal: Who holds the grant.
        kind: Their kind, empty if unknown.
        role: Their role, empty if unknown.
        purpose: The purpose.
        action: What the intent did, if it is one.
        objects: What it was done to.
        segment: The segment.
    """

    grant: str = ""
    principal: str = ""
    kind: str = ""
    role: str = ""
    purpose: str = ""
    action: str = ""
    objects: tuple[str, ...] = ()
    segment: str = ""


def opens(leaf: Mapping[str, Any], *, skip: Callable[[int], bool]) -> bool:
    """Return whether the side-car of a leaf may be opened for an event.

    Args:
        leaf: The leaf.
        skip: Says of an intent, by its index, whether it ``is_apart``.
    """
    kind, facts = leaf["k"], leaf.get("pub", {})
    if kind not in OPENED:
        return False
    if kind in _STATES and facts.get("state") not in _STATES[kind]:
        return False
    if kind == "access.intent":
        return not is_apart(leaf)
    return kind != "access.result" or not skip(int(leaf["ref"]))


def is_apart(leaf: Mapping[str, Any]) -> bool:
    """Return whether an intent is no use of data by a caller: the ledger is read, or a person gets their own.

    Whatever is done under a grant is a use, under whichever purpose and name.
    """
    facts = leaf.get("pub", {})
    return "ref" not in leaf and (facts.get("action") == WATCH or facts.get("purpose") == RIGHTS)


def told(kind: str, said: Said) -> Said:
    """Return a side-car without everything that no event may know."""
    return Said(said.actor, said.object, {path: _at(said.detail, path) for path in OPENED[kind]})


def derive(
    index: int,
    leaf: Mapping[str, Any],
    said: Said,
    *,
    above: Known | None,
    kind_of: Callable[[str], tuple[str, str]],
) -> dict[str, Any] | None:
    """Return the event of one leaf, or nothing if it tells of nobody who asks for data.

    Args:
        index: Number of the leaf.
        leaf: The leaf.
        said: Its side-car, as ``told`` left it.
        above: What is known of the entry it refers to.
        kind_of: Returns kind and role of a principal, as the register has them; empty where it has not.
    """
    kind, facts, above = leaf["k"], leaf.get("pub", {}), above or Known()
    actor = _actor(kind, said, above)
    if actor in NOBODY and not above.grant and (kind, facts.get("state")) not in _ASKING:
        return None
    action, objects = _done(kind, facts, said, above)
    if not action:
        return None
    registered, role = kind_of(actor)
    segments = _words(said.detail.get("segments"))
    purpose = facts.get("purpose") or said.detail.get("purpose") or said.detail.get("grant.purpose")
    held = above if actor == above.principal else Known()
    return {
        "number": index,
        "t_us": int(leaf["t"]) * 1000,
        "principal": _word(actor),
        "kind": registered or held.kind or _kind(kind, said, actor),
        "role": _word(said.detail.get("role") or role or held.role, empty=True),
        "team": "",
        "action": action,
        "objects": list(objects),
        "segment": segments[0] if segments else (leaf["seg"] or above.segment),
        "purpose": _word(purpose or above.purpose, empty=True),
        "rows": _rows(kind, facts),
        "bytes": int(facts.get("size", 0) if kind == "access.intent" else facts.get("bytes", 0)),
        "grant": _grant(kind, said, above),
        "outcome": _outcome(kind, facts),
    }


def known(leaf: Mapping[str, Any], said: Said, above: Known | None) -> Known:
    """Return what later leaves may know of a grant or an intent that they refer to.

    Args:
        leaf: The leaf of a grant, or of an intent.
        said: Its side-car, as ``told`` left it.
        above: Of an intent, what is known of its grant.
    """
    above, detail = above or Known(), said.detail
    if leaf["k"] == "grant":
        return Known(
            grant=_word(detail["grant.id"] or said.object),
            principal=_word(detail["grant.requester.id"] or said.actor),
            kind=_one_of_kinds(detail["grant.requester.kind"]),
            role=_word(detail["grant.requester.role"], empty=True),
            purpose=_word(detail["grant.purpose"], empty=True),
        )
    action, objects = _done(leaf["k"], leaf.get("pub", {}), said, above)
    segments = _words(detail.get("segments"))
    return Known(
        grant=above.grant,
        principal=_word(said.actor),
        kind=above.kind if above.principal == said.actor else "",
        role=above.role if above.principal == said.actor else "",
        purpose=_word(leaf.get("pub", {}).get("purpose"), empty=True),
        action=action,
        objects=objects,
        segment=segments[0] if segments else "",
    )


def _actor(kind: str, said: Said, above: Known) -> str:
    """Return who did it: of an attempt that named somebody else without proof, whoever made it."""
    if kind == "refusal":
        if said.object.startswith("tool/") and said.detail["rule"] in _CLOSED:
            return str(said.detail["via"] or said.actor)
        if said.actor == "caller" and above.principal:
            return above.principal  # nobody else has a token of that grant, or it was stolen
    return said.actor


_Done = tuple[str, tuple[str, ...]]  # the action, and the names of what it was done to


def _done(kind: str, facts: Mapping[str, Any], said: Said, above: Known) -> _Done:
    """Return the action, empty if a leaf is none of its own, and the names of what it was done to."""
    return _DOES.get(kind, _other)(facts, said, above)


def _use(facts: Mapping[str, Any], said: Said, _above: Known) -> _Done:
    if "artifact" in facts:
        return _SAME.get(str(facts.get("action")), UNNAMED), (str(facts["artifact"]),)
    recipe = "code" if is_own(said.object) else _word(said.object)
    return _SAME.get(recipe, f"run.{recipe}"), _words(said.detail["segments"]) or (recipe,)


def _result(facts: Mapping[str, Any], _said: Said, above: Known) -> _Done:
    outcome = facts.get("outcome")
    told_more = outcome == "denied" or (outcome == "ok" and facts.get("bytes"))
    return ("result", above.objects) if told_more else ("", ())


def _attempt(facts: Mapping[str, Any], said: Said, _above: Known) -> _Done:
    tried = str(facts.get("action") or said.object)
    if tried not in _SAME and tried not in _TRIED:
        tried = "code" if is_code(tried) else UNNAMED
    action = _SAME.get(tried, tried)
    return action, (action,)


def _other(facts: Mapping[str, Any], said: Said, _above: Known) -> _Done:
    """Of a run of several houses, by its random id; of a join with another house."""
    kind = "federation" if "run" in facts else "join"
    return f"{kind}.{_word(facts.get('state'))}", (_word(facts.get("run") or said.object),)


_DOES: Final[Mapping[str, Callable[[Mapping[str, Any], Said, Known], _Done]]] = {
    "access.intent": _use,
    "access.result": _result,
    "refusal": _attempt,
    "grant": lambda facts, said, _: (
        "grant.enact" if facts["state"] == "approved" else "grant.revoke",
        (_word(said.object),),
    ),
    "request": lambda _facts, said, _: ("grant.ask", (_word(said.object),)),
    "embed.export": lambda _facts, _said, _: ("embedding.export", ("vectors",)),
    "tool": lambda facts, _said, _: (f"tool.{_word(facts.get('tool'))}", ()),
    "session": lambda facts, _said, _: (f"session.{facts['state']}", ()),
}


def _kind(kind: str, said: Said, actor: str) -> str:
    """Return a kind for somebody whom the register does not have."""
    stated = said.detail.get("kind") if kind == "session" else None
    stated = said.detail["grant.requester.kind"] if kind == "grant" else stated
    return _one_of_kinds(stated) or _KINDS.get(actor) or (AGENT if kind == "tool" else HUMAN)


def _one_of_kinds(stated: Any) -> str:
    return str(stated) if stated in (HUMAN, AGENT, WORKLOAD) else ""


def _rows(kind: str, facts: Mapping[str, Any]) -> int:
    if kind == "embed.export":
        return _AT_LEAST.get(str(facts.get("size")), 0)
    return int(facts.get("rows", 0)) if kind == "access.intent" else 0


def _grant(kind: str, said: Said, above: Known) -> str | None:
    if kind == "grant":
        return _word(said.detail["grant.id"] or said.object)
    stated = said.detail.get("grant") if kind == "access.intent" else None
    return above.grant or (_word(stated) if stated else None)


def _outcome(kind: str, facts: Mapping[str, Any]) -> str:
    refused = kind in ("refusal", "embed.export") or facts.get("outcome") == "denied"
    return "denied" if refused else "ok"


def _at(tree: Any, path: str) -> Any:
    """Return a plain word, number or list of words at a path of a detail; nothing deeper comes out."""
    for key in path.split("."):
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    if isinstance(tree, str | int):
        return tree
    return [one for one in tree if isinstance(one, str)] if isinstance(tree, list) else None


def _words(stated: Any) -> tuple[str, ...]:
    return tuple(map(_word, stated)) if isinstance(stated, list) else ()


def _word(stated: Any, *, empty: bool = False) -> str:
    if empty and not stated:
        return ""
    text = str(stated)
    return text if _WORD.fullmatch(text) else UNNAMED
