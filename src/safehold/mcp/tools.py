"""The tools: a closed table with fixed words. Nothing that comes from data, a charter or an agent changes it.

A call is decided by the keeper, and in the ledger, before its arguments are even looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import orjson

from safehold.access import Holder
from safehold.canonical import b64, unb64
from safehold.errors import InvalidError
from safehold.keeper.messages import use_message
from safehold.keeper.signed import Line
from safehold.mcp.words import mark
from safehold.signing import SigningKey

_WORD: Final = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"}
_LONGEST: Final = 500  # characters of a reason
_MOST_MINUTES: Final = 1440
_REQUEST: Final = {"request": _WORD | {"description": "Id of a request that people approved."}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One tool.

    Args:
        name: Its name.
        words: What it does, for whoever chooses among tools.
        fields: Its arguments, as JSON Schema; all but ``optional`` must be there.
        optional: Those that may be left out.
        reads: Whether it changes nothing.
    """

    name: str
    words: str
    fields: Mapping[str, Mapping[str, Any]]
    optional: frozenset[str] = frozenset()
    reads: bool = True

    def told(self) -> dict[str, Any]:
        """Return it as a client sees it."""
        return {
            "name": self.name,
            "description": self.words,
            "inputSchema": {
                "type": "object",
                "properties": dict(self.fields),
                "required": sorted(set(self.fields) - self.optional),
                "additionalProperties": False,
            },
            "outputSchema": {"type": "object"},
            "annotations": {
                "readOnlyHint": self.reads,
                "destructiveHint": False,
                "openWorldHint": False,
            },
        }


TOOLS: Final = (
    Tool(
        name="describe_purposes",
        words="List the purposes of the charter in force, and the red lines that nobody can lift.",
        fields={},
    ),
    Tool(
        name="request_grant",
        words="Ask people for a grant under one of your operator's. Nothing opens before seats of the board agree.",
        fields={
            "parent": _WORD | {"description": "Id of your operator's grant."},
            "recipe": _WORD | {"description": "train, reidentify or feature."},
            "minutes": {"type": "integer", "minimum": 1, "maximum": _MOST_MINUTES},
            "reason": {
                "type": "string",
                "maxLength": _LONGEST,
                "description": "Why; people read it.",
            },
        },
        reads=False,
    ),
    Tool(name="show_request", words="Show how a request of yours stands.", fields=_REQUEST),
    Tool(
        name="build_features",
        words="Build features in a sandbox, under an approved request. Counters come back, never data.",
        fields=_REQUEST,
        reads=False,
    ),
    Tool(
        name="train",
        words="Train a private model in a sandbox, under an approved request. Figures come back, never data.",
        fields=_REQUEST,
        reads=False,
    ),
    Tool(
        name="attack_dataset",
        words="Attack what a dataset was made from, under an approved request. Counters come back.",
        fields=_REQUEST | {"dataset": _WORD | {"description": "Its id; the newest if left out."}},
        optional=frozenset({"dataset"}),
        reads=False,
    ),
    Tool(
        name="show_budget", words="Show what is left of each purpose's privacy budget.", fields={}
    ),
    Tool(name="show_counters", words="Show how often your grants were used.", fields={}),
)
BY_NAME: Final = {one.name: one for one in TOOLS}
_VERBS: Final = {
    "build_features": "feature.granted",
    "train": "train",
    "attack_dataset": "attack.dataset",
}


class Bench:
    """Carries tools out for agents.

    Args:
        line: A line to the keeper, as ourselves.
        holder: The key that grants of agents are held by.
    """

    def __init__(self, line: Line, holder: SigningKey) -> None:
        self._line = line
        self._holder = holder
        self._carry: Mapping[str, Callable[[str, Mapping[str, Any]], dict[str, Any]]] = {
            "describe_purposes": lambda _agent, _asked: self._line.call("purpose.list"),
            "request_grant": self._request,
            "show_request": self._show,
            "build_features": self._use("build_features"),
            "train": self._use("train"),
            "attack_dataset": self._use("attack_dataset"),
            "show_budget": lambda _agent, _asked: self._line.call("budget.show"),
            "show_counters": lambda agent, _asked: self._line.call("counter.show", agent=agent),
        }

    def call(self, agent: str, name: str, arguments: Any) -> dict[str, Any]:
        """Return what a tool gives an agent, marked; with the entry that records the call.

        Raises:
            SafeholdError: The keeper or the tool refused it.
        """
        said = orjson.dumps(arguments, option=orjson.OPT_SORT_KEYS)
        entry = self._line.call(
            "tool.call", agent=agent, tool=name, digest=sha256(said).hexdigest()
        )["entry"]
        tool = BY_NAME[name]
        found = mark(self._carry[name](agent, _check(tool, arguments)))
        return {**found, "ledger_entry": entry}

    def _request(self, agent: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        drafted = self._line.call(
            "agent.draft", agent=agent, holder=self._holder.public.text(), **asked
        )
        answer = self._line.call("request.new", grant=drafted["grant"], people=drafted["people"])
        return {
            "request": answer["request"],
            "digest": answer["digest"],
            "state": "open",
            "waits_for": "seats-of-the-board",
        }

    def _show(self, _agent: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        shown = self._line.call("request.show", request=asked["request"])
        return {
            name: shown[name]
            for name in ("request", "state", "purpose", "needed", "minutes", "reason")
        } | {"decided": len(shown["decisions"])}

    def _use(self, tool: str) -> Callable[[str, Mapping[str, Any]], dict[str, Any]]:
        verb = _VERBS[tool]

        def use(_agent: str, asked: Mapping[str, Any]) -> dict[str, Any]:
            grant = self._line.call("request.show", request=asked["request"])["grant"]
            made = self._line.call("grant.enact", grant=grant, approvals=[])
            nonce, purpose = str(self._line.call("nonce")["nonce"]), str(grant["purpose"])
            holder = Holder(str(made["token"]), self._holder)
            more: dict[str, Any] = (
                {"stage": grant["stages"][0], "dataset": asked.get("dataset")}
                if tool == "attack_dataset"
                else {}
            )
            answer = self._line.call(
                verb,
                purpose=purpose,
                token=holder.token,
                nonce=nonce,
                proof=b64(holder.prove(unb64(nonce), use_message(verb, purpose))),
                **more,
            )
            return {**answer, "runs_left": made["runs_left"] - 1}

        return use


def _check(tool: Tool, arguments: Any) -> Mapping[str, Any]:
    """Return arguments that are what a tool takes, and nothing else."""
    wrong = InvalidError("these are not the arguments of this tool", rule="tool.arguments")
    if not isinstance(arguments, Mapping) or not set(arguments) <= set(tool.fields):
        raise wrong
    if set(tool.fields) - tool.optional - set(arguments):
        raise wrong
    for name, value in arguments.items():
        if tool.fields[name]["type"] == "integer":
            if type(value) is not int:
                raise wrong
        elif not isinstance(value, str) or len(value) > _LONGEST:
            raise wrong
    return arguments
