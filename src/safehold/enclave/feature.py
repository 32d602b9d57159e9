"""Recipe: sealed events of a shard of people to one sequence of UI actions per person.

Parts in:  {"person": run-scoped id, "stream": key|pointer|chat|ai, "window": UTC day}, rest-form
rows Frames out: {"type": "derived", "person": id, "rows": n} with ``SCHEMA``; people without an
action have none Spec: vocabulary, apps (``vocabulary.py``); optional max_actions, corrections
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from safehold.dlp.feature import Feature
from safehold.enclave.action import SCHEMA, Actions, Events, order_actions, read_events
from safehold.enclave.vocabulary import Vocabulary
from safehold.errors import InvalidError
from safehold.sandbox.channel import read_parts

Emit = Callable[..., None]

# what each column of ``SCHEMA`` is made from; judged before a block is opened
_ACTIONS: Final = frozenset(
    {
        "key.kind", "key.key", "pointer.kind", "pointer.target_role", "chat.platform", "ai.role",
    }
)  # fmt: skip
_APPS: Final = frozenset({"key.app", "pointer.app", "chat.app", "ai.app"})
_SESSIONS: Final = frozenset({"key.session", "pointer.session", "chat.session", "ai.session"})

_KEYS: Final = frozenset({"vocabulary", "apps", "max_actions", "corrections"})


def declare(spec: Mapping[str, Any]) -> tuple[Feature, ...]:
    """Return the columns this recipe makes with a spec, and from what.

    The order of events is that of ``mono``: their rank where a stream has no times, and nothing but
    the order where it has.
    """
    folded = spec.get("corrections", "fold") == "fold"
    return (
        Feature(
            name="token",
            sources=_ACTIONS,
            reductions=frozenset({"fold_corrections"} if folded else ()),
        ),
        Feature(name="app", sources=_APPS),
        Feature(name="start", sources=_SESSIONS),
    )


def main(spec: dict[str, Any], inputs: Sequence[int], emit: Emit) -> None:
    """Run the recipe.

    Args:
        spec: See the module.
        inputs: Descriptors of sealed parts.
        emit: Writes one frame.

    Raises:
        InvalidError: The spec or a part is wrong.
    """
    if set(spec) - _KEYS:
        raise InvalidError("the feature spec has an unknown key", rule="enclave.feature.spec")
    vocabulary = Vocabulary.from_spec(spec)
    most = spec.get("max_actions", 8192)
    corrections = spec.get("corrections", "fold")
    if type(most) is not int or not 2 <= most <= 10**6 or corrections not in ("fold", "keep"):
        raise InvalidError("a feature setting is out of range", rule="enclave.feature.spec")
    people: dict[str, list[Events]] = {}
    for fd in inputs:
        for header, table in read_parts(fd):
            person, stream, window = _read_header(header)
            events = read_events(stream, table, vocabulary, window=window)
            people.setdefault(person, []).append(events)
    for person in sorted(people):
        actions = order_actions(people.pop(person), fold=corrections == "fold", most=most)
        if len(actions.token):
            emit(
                {"type": "derived", "person": person, "rows": len(actions.token)},
                write_actions(actions, vocabulary),
            )


def write_actions(actions: Actions, vocabulary: Vocabulary) -> bytes:
    """Return a person's actions as an Arrow stream; its dictionaries are the closed lists."""
    columns = [
        pa.DictionaryArray.from_arrays(pa.array(codes, pa.int16()), pa.array(words, pa.string()))
        for codes, words in ((actions.token, vocabulary.tokens), (actions.app, vocabulary.apps))
    ]
    batch = pa.record_batch([*columns, pa.array(actions.start)], schema=SCHEMA)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SCHEMA) as stream:
        stream.write_batch(batch)
    return bytes(sink.getvalue())


def _read_header(header: Mapping[str, Any]) -> tuple[str, str, int]:
    person, stream, window = (header.get(name) for name in ("person", "stream", "window"))
    if not isinstance(person, str) or not isinstance(stream, str) or type(window) is not int:
        raise InvalidError("a part lacks its person, stream or window", rule="enclave.feature")
    return person, stream, window
