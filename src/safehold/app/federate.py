"""Training across houses: a silo's node, and the coordinator."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from safehold.app.permit import Pass
from safehold.canonical import b64, unb64
from safehold.clock import SystemClock
from safehold.enclave.artifact import Provenance, sign_provenance
from safehold.enclave.model import Shape
from safehold.enclave.vocabulary import MINIWOB, WORKFORCE, Vocabulary
from safehold.errors import ConflictError, DeniedError, InvalidError
from safehold.keeper.agreement import VERSION, Agreement
from safehold.keeper.client import KeeperClient
from safehold.keeper.commission import noise_of
from safehold.keeper.messages import use_message
from safehold.signing import SigningKey
from safehold.vault import durable


@dataclass(slots=True)
class GrantedKeeper:
    """Asks a keeper under a grant.

    Args:
        client: The keeper.
        permit: The grant, with its holder's key.
        renew: Returns the same grant with a new capability, for a run that is longer than one lives.
    """

    client: KeeperClient
    permit: Pass
    renew: Callable[[], Pass] | None = None

    def ask(self, verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keeper's answer to one use, proved anew."""
        try:
            return self._ask(verb, arguments)
        except DeniedError as error:
            if self.renew is None or error.rule != "capability.expired":
                raise
        self.permit = self.renew()  # nothing was used up: a capability is looked at before a step
        return self._ask(verb, arguments)

    def _ask(self, verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        nonce = unb64(self.client.call("nonce")["nonce"])
        holder = self.permit.holder
        return self.client.call(
            verb,
            **{name: value for name, value in arguments.items() if name != "purpose"},
            token=holder.token,
            nonce=b64(nonce),
            proof=b64(holder.prove(nonce, use_message(verb, str(arguments["purpose"])))),
        )


def recipe_of(agreement: Path | None) -> str:
    """Return what a grant for an agreement names.

    Raises:
        InvalidError: There is none: a grant for any agreement would be one for whatever somebody makes up.
    """
    if agreement is None:
        raise InvalidError(
            "federated training is asked for with its agreement",
            rule="request.agreement",
            fix="--agreement FILE",
        )
    return read_agreement(agreement).recipe


def read_agreement(path: Path) -> Agreement:
    """Return the agreement of a file.

    Raises:
        InvalidError: It holds none.
    """
    try:
        tree = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError:
        raise InvalidError("the file holds no JSON", rule="federation.agreement") from None
    return Agreement.from_json(tree)


def silo_card(client: KeeperClient, name: str, key: Path) -> dict[str, Any]:
    """Return what an agreement says of this house; the node's key is made if it is not there."""
    from safehold.federation.identity import make_node_key, read_node_key

    node = read_node_key(key) if key.exists() else make_node_key(key)
    return {name: {"identity": client.call("federate.identity")["identity"], "node": node}}


def draft_agreement(
    cards: list[Path], *, purpose: str, key: Path, certificate: Path, synthetic: bool, **given: int
) -> Agreement:
    """Return an agreement of the houses whose cards are given, with the least noise that keeps its promise.

    Args:
        cards: Files of ``silo_card``.
        purpose: The one purpose.
        key: The coordinator's signing key; made if it is not there.
        certificate: The coordinator's TLS certificate.
        synthetic: The people are made up.
        given: Numbers of the agreement; see ``keeper.agreement``.
    """
    from safehold.federation.identity import certificate_hash

    if not key.exists():
        SigningKey.generate().write(key)
    vocabulary = vocabulary_of(synthetic=synthetic)
    shape = Shape(tokens=len(vocabulary.tokens), apps=len(vocabulary.apps))
    silos: dict[str, Any] = {}
    for card in cards:
        silos |= orjson.loads(card.read_bytes())
    numbers = {"parameters": shape.parameters, **given}
    numbers |= noise_of(numbers)
    return Agreement.from_json(
        {
            "v": VERSION,
            "purpose": purpose,
            "silos": silos,
            "coordinator": SigningKey.read(key).public.text(),
            "certificate": certificate_hash(certificate),
            "vocabulary": vocabulary.digest(),
            "numbers": numbers,
        }
    )


def vocabulary_of(*, synthetic: bool) -> Vocabulary:
    """Return the public vocabulary that a home's models have."""
    return WORKFORCE if synthetic else MINIWOB


def run_node(
    client: KeeperClient,
    permit: Pass,
    *,
    agreement: Agreement,
    name: str,
    coordinator: str,
    ca: Path,
    key: Path,
    renew: Callable[[], Pass] | None = None,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Answer a coordinator until it is gone.

    Raises:
        UnavailableError: The coordinator is not there, shows a certificate of another authority, or does not know
            this node; or it has gone.
    """
    from safehold.federation.identity import read_node_key
    from safehold.federation.pipe import flower
    from safehold.federation.silo import Silo

    if read_node_key(key) != agreement.silo(name).node:
        raise InvalidError("the agreement names another node key", rule="federation.node-key")
    silo = Silo(GrantedKeeper(client, permit, renew), agreement, name)
    config = {
        "be": "node",
        "server": coordinator,
        "ca": str(ca.resolve()),
        "key": str(key.resolve()),
        "patience": 60.0,
    }
    with flower(config) as (line, _):
        ready()
        silo.serve(line)


def run_coordinator(
    agreement: Agreement,
    *,
    key: Path,
    certificate: Path,
    tls_key: Path,
    host: str,
    port: int,
    out: Path,
    step_s: float,
    patience_s: float,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
    listening: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Run a run, or go on with the one whose state lies in ``out``; the model and its statement are written there.

    Raises:
        UnavailableError: Nobody answered, or too few silos are there.
        DeniedError: The model was found ruined.
    """
    from safehold.federation.identity import certificate_hash
    from safehold.federation.round import Coordinator
    from safehold.federation.wire import flower_wire

    if certificate_hash(certificate) != agreement.certificate:
        raise InvalidError("the agreement names another certificate", rule="federation.cert")
    signer = SigningKey.read(key)
    if signer.public.raw != agreement.coordinator.raw:
        raise InvalidError("the agreement names another coordinator", rule="federation.key")
    out.mkdir(parents=True, exist_ok=True)
    if (out / "model.safetensors").exists():
        raise ConflictError("there is a model already", rule="federation.out", fix="another folder")
    started = SystemClock().now_us()
    with flower_wire(agreement, host=host, port=port, certificate=certificate, key=tls_key) as wire:
        listening(wire.port)
        wire.await_online(set(agreement.silos), within_s=patience_s)
        coordinator = Coordinator(
            agreement,
            key=signer,
            wire=wire,
            place=out / "state.json",
            step_s=step_s,
            progress=progress,
        )
        made = coordinator.run()
    return keep(agreement, made, signer=signer, out=out, started_us=started)


def keep(
    agreement: Agreement,
    made: Mapping[str, Any],
    *,
    signer: SigningKey,
    out: Path,
    started_us: int,
) -> dict[str, Any]:
    """Write the model and a signed statement that names the silos and the heads of their ledgers."""
    from safehold.enclave.flat import write_flat

    body = write_flat(made["model"], agreement.vocabulary)
    heads = {name: said for name, said in made["silos"].items() if "leaf" in said}
    statement = sign_provenance(
        Provenance(
            name="model.safetensors",
            sha256=hashlib.sha256(body).digest(),
            recipe="federate",
            parameters={
                "purpose": agreement.purpose,
                "rounds": made["rounds"],
                "lost": len(made["lost"]),
                **dict(agreement.numbers),
                **{f"ledger-size/{name}": said["size"] for name, said in heads.items()},
                **{f"ledger-entry/{name}": said["entry"] for name, said in heads.items()},
            },
            materials={
                "agreement": agreement.digest(),
                "certificate": agreement.certificate,
                **{f"ledger/{name}": said["leaf"] for name, said in heads.items()},
            },
            run=made["run"],
            intent=0,
            builder="safehold-federation",
            started_us=started_us,
            finished_us=SystemClock().now_us(),
        ),
        signer,
    )
    durable.replace(out / "model.intoto.json", statement)
    durable.replace(out / "model.safetensors", body)
    return {
        "run": made["run"],
        "rounds": made["rounds"],
        "lost": list(made["lost"]),
        "silos": sorted(heads),
        "sha256": hashlib.sha256(body).hexdigest(),
        "promise": promise(agreement),
    }


def promise(agreement: Agreement) -> str:
    """Return what is promised, and what is not, in words."""
    numbers = agreement.numbers
    return (
        f"epsilon {numbers['epsilon_micro'] / 1e6:g} and delta {numbers['delta_e12'] / 1e12:g} for each person's "
        f"whole contribution, while in each sum at least {numbers['honest']} silos add their noise and help nobody; "
        f"a silo that lies is not bounded"
    )
