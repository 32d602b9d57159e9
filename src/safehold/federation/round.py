"""The coordinator: orders steps, adds up what is masked, and believes no count but its own.

Rules:
1. A step counts if every member answered it; else it is lost, whatever arrived is thrown away, and the next one goes on
   without whoever was missing, while enough are left. Who comes back joins again.
2. A step that nobody answered ends the run as an error, never as a success with the same model.
3. The number of a step is durable before it is ordered, so none is ordered twice.
4. A sum that is longer than all people together could make it is thrown away, and ends the run.
5. A model that a silo's held-out people find ruined is not released.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from safehold import canonical
from safehold.canonical import b64
from safehold.errors import DeniedError, SafeholdError, TamperedError, UnavailableError
from safehold.federation.mask import add_up, verify_hello
from safehold.federation.message import pack, unpack
from safehold.federation.state import State
from safehold.keeper.agreement import ORDER, Agreement
from safehold.privacy.distributed import GRID_BITS
from safehold.signing import SigningKey

MOMENTUM: Final = 0.9
_FAR: Final = 6.0  # deviations of the length of the noise that are still believed


class Wire(Protocol):
    """Carries messages to silos and brings their answers."""

    def online(self) -> set[str]:
        """Return who is connected."""
        ...

    def ask(self, messages: Mapping[str, bytes], *, within_s: float) -> dict[str, bytes]:
        """Return the answers that came in time."""
        ...


class Coordinator:
    """Runs one run.

    Args:
        agreement: What the houses agreed on.
        key: Signs orders; the agreement names its public half.
        wire: Carries messages.
        place: The file that the state lies in.
        step_s: How long a step may take, seconds.
        progress: Told steps done and their number.
    """

    def __init__(
        self,
        agreement: Agreement,
        *,
        key: SigningKey,
        wire: Wire,
        place: Path,
        step_s: float,
        progress: Callable[[int, int], None] = lambda _done, _of: None,
    ) -> None:
        self._agreement, self._key, self._wire, self._place = agreement, key, wire, place
        self._step_s, self._progress = step_s, progress
        digest, size = agreement.digest(), agreement.numbers["parameters"]
        self.state = State.read(place, digest) if place.exists() else State.new(digest, size)
        self._hello: dict[str, dict[str, str]] = {}
        self.refused: dict[str, str] = {}  # why somebody did not join, by rule

    def run(self) -> dict[str, Any]:
        """Order the steps that are left and the checks, and return the model and what each silo said at the end.

        Raises:
            UnavailableError: Nobody answered, or too few silos are left.
            DeniedError: The model was found ruined.
            TamperedError: A sum cannot be.
        """
        state, numbers = self.state, self._agreement.numbers
        if state.ended:
            raise DeniedError(f"this run is over: {state.ended}", rule="federation.over")
        marks = {
            math.ceil(numbers["steps"] * (at + 1) / numbers["checks"])
            for at in range(numbers["checks"])
        }
        while state.step < numbers["steps"]:
            self._step()
            self._progress(state.step, numbers["steps"])
            if state.step in marks:
                self._check()
        if state.rounds == 0:
            self._end("no step went through")
            raise UnavailableError("no step went through", rule="federation.no-step")
        model = self._best()
        body = _wire_form(model)
        answers = self._order("done", 1, {"model": _hash(body), "rounds": state.rounds})
        self._end("done")
        return {
            "run": state.run,
            "model": body,
            "rounds": state.rounds,
            "lost": state.lost,
            "silos": {name: header for name, (header, _) in answers.items()},
        }

    def _step(self) -> None:
        state, agreement = self.state, self._agreement
        members = self._members()
        state.step += 1
        state.write(self._place)
        body = _wire_form(state.model)
        answers = self._order(
            "step",
            state.step,
            {
                "model": _hash(body),
                "aggregate": state.aggregate,
                "members": {name: self._hello[name] for name in members},
            },
            body,
        )
        size = 8 * agreement.numbers["parameters"]
        good = {name: one for name, (header, one) in answers.items() if len(one) == size}
        if not good:
            self._end("a step that nobody answered")
            raise UnavailableError(
                "every silo failed in a step: "
                + ", ".join(
                    sorted({str(h.get("rule")) for h, _ in answers.values()}) or ["no answer"]
                ),
                rule="federation.all-failed",
                fix="see the ledgers of the silos",
            )
        missing = sorted(set(members) - set(good))
        if missing:
            # what came cannot be read without the others, and is not kept
            state.lost.append({"step": state.step, "missing": missing})
            for name in missing:
                self._hello.pop(name, None)
            state.write(self._place)
            return
        total = add_up([np.frombuffer(good[name], dtype="<u8") for name in members])
        self._take(total.astype(np.float64), len(members))
        state.aggregate = hashlib.sha256(total.tobytes()).hexdigest()
        state.rounds += 1
        state.write(self._place)

    def _take(self, total: Any, members: int) -> None:
        """Step along a sum, as training in one house does."""
        state, numbers = self.state, self._agreement.numbers
        clip = numbers["clip_micro"] / 1e6
        grid = clip / 2**GRID_BITS
        size = numbers["parameters"]
        noise = numbers["deviation"] * math.sqrt(members) * grid
        longest = numbers["people"] * clip + noise * (math.sqrt(size) + _FAR)
        gradient = total * grid
        if float(np.linalg.norm(gradient)) > longest:
            self._end("a sum that cannot be")
            raise TamperedError(
                "a sum is longer than all people together could make it: a silo sent something else",
                rule="federation.norm",
            )
        expected = max(1.0, numbers["people"] * numbers["sampling_ppm"] / 1e6)
        state.speed = MOMENTUM * state.speed + gradient / expected
        state.model = state.model - numbers["rate_micro"] / 1e6 * state.speed
        if state.step > numbers["steps"] // 2:
            state.late = state.late + state.model
            state.counted += 1

    def _best(self) -> Any:
        state = self.state
        return state.late / state.counted if state.counted else state.model

    def _check(self) -> None:
        """Let the people held out in each silo judge the model."""
        state = self.state
        self._members()
        state.check += 1
        state.write(self._place)
        body, before = _wire_form(self._best()), _wire_form(state.accepted)
        answers = self._order(
            "check", state.check, {"model": _hash(body), "before": _hash(before)}, body + before
        )
        verdicts = {name: header.get("ruined") for name, (header, _) in answers.items()}
        against = sorted(name for name, ruined in verdicts.items() if ruined is True)
        if against or not any(ruined is False for ruined in verdicts.values()):
            self._end("the model was found ruined" if against else "nobody could judge the model")
            raise DeniedError(
                f"the model is not released: found ruined by {', '.join(against)}"
                if against
                else "the model is not released: no silo could judge it",
                rule="federation.ruined",
                fix="find out who sent what: no single silo's part can be seen here",
            )
        state.accepted = self._best()
        state.write(self._place)

    def _members(self) -> list[str]:
        """Return who takes part in the next step; who is new, or was missing, joins first.

        Raises:
            UnavailableError: Too few are left for the noise that was agreed on.
        """
        online = self._wire.online() & set(self._agreement.silos)
        new = sorted(online - set(self._hello))
        if new:
            asked = pack({"do": "join", "run": self.state.run})
            for name, data in self._wire.ask(
                dict.fromkeys(new, asked), within_s=self._step_s
            ).items():
                header, _ = _read(data)
                try:
                    self._hello[name] = self._heard(name, header)
                except SafeholdError as error:
                    self.refused[name] = str(error.rule)
        members = sorted(set(self._hello) & online)
        if len(members) < self._agreement.least:
            raise UnavailableError(
                f"{len(members)} silos take part, and the noise that was agreed on takes {self._agreement.least}"
                + "".join(
                    f"; {name} refused: {rule}" for name, rule in sorted(self.refused.items())
                ),
                rule="federation.least",
                fix="start the others and run again: it goes on where it was",
            )
        return members

    def _heard(self, name: str, header: Mapping[str, Any]) -> dict[str, str]:
        """Return the key of the run that a silo made, if all others can use it; else every step would fail for them."""
        hello = header.get("hello")
        if not isinstance(hello, dict):
            raise DeniedError("a silo did not join", rule=str(header.get("rule")))
        return verify_hello(self._agreement, self.state.run, name, hello)

    def _order(
        self, what: str, number: int, said: Mapping[str, Any], body: bytes = b""
    ) -> dict[str, tuple[dict[str, Any], bytes]]:
        text = canonical.encode(
            {
                "v": "safehold.federation.order/1",
                "what": what,
                "run": self.state.run,
                "agreement": self._agreement.digest(),
                "number": number,
                **said,
            }
        )
        header = {
            "do": what,
            "run": self.state.run,
            "order": text.decode(),
            "signature": b64(self._key.sign(ORDER, text)),
        }
        message = pack(header, body)
        to = sorted(said["members"]) if "members" in said else sorted(self._hello)
        answers = self._wire.ask(dict.fromkeys(to, message), within_s=self._step_s)
        return {name: _read(data) for name, data in answers.items() if name in to}

    def _end(self, why: str) -> None:
        self.state.ended = why
        self.state.write(self._place)


def _read(data: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        return unpack(data)
    except SafeholdError as error:
        return {"error": error.code, "rule": error.rule}, b""


def _wire_form(model: Any) -> bytes:
    return np.ascontiguousarray(model, dtype="<f4").tobytes()


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
