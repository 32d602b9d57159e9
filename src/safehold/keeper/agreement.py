"""What several houses agreed on before any of them computes: who they are, by which keys, and what is done.

Its digest is in every order, mask and leaf. No house takes part under an agreement that names another key for it, so
whoever carries the messages cannot put itself in the place of one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from safehold import canonical
from safehold.errors import InvalidError
from safehold.signing import VerifyKey

RECIPE: Final = "federate"
VERSION: Final = "safehold.federation/1"
ORDER: Final = "safehold.federation.order.v1"  # the domain of the coordinator's signature
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_HEX = re.compile(r"[0-9a-f]{64}")
# name -> (least, most)
_NUMBERS: Final = {
    "epsilon_micro": (1, 50_000_000),
    "delta_e12": (2, 10**10),
    "steps": (1, 10_000),
    "checks": (0, 100),
    "sampling_ppm": (1_000, 1_000_000),
    "held_out_ppm": (0, 500_000),
    "clip_micro": (100, 100_000_000),
    "rate_micro": (100, 1_000_000_000),
    "actions_per_person": (1, 4_096),
    "people": (2, 10**9),
    "parameters": (1, 1 << 26),
    "honest": (1, 1_000),
    "deviation": (1 << 16, 1 << 48),
    "check_micro": (0, 10**12),
    "colluding": (0, 1_000),
    "worse_ppm": (1, 1_000_000),
}


@dataclass(frozen=True, slots=True)
class Silo:
    """One house.

    Args:
        identity: Its key; it signs what it says to the others.
        node: The public key its node proves itself with to the wire, PEM.
    """

    identity: VerifyKey
    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The terms; see ``from_json`` for what is checked.

    Args:
        tree: The whole text.
        purpose: The one purpose.
        silos: The houses, by name.
        coordinator: Verifies the coordinator's orders.
        certificate: SHA-256 of the coordinator's TLS certificate (DER), hex.
        vocabulary: Digest of the public vocabulary.
        numbers: ``epsilon_micro`` and ``delta_e12`` of the whole run; ``steps`` (sums that may be seen, lost ones
            among them); ``checks`` (of the sum by the people held out); ``sampling_ppm``, ``held_out_ppm``,
            ``clip_micro``, ``rate_micro``, ``actions_per_person``; ``people`` (what sums are divided by);
            ``deviation`` (of one silo's noise, in steps of the grid) and ``check_micro`` (of a check's, in millionths);
            ``parameters``; ``honest`` (silos whose noise counts); ``colluding`` (silos that may help the
            coordinator); ``worse_ppm`` (by how much a model may be worse on those held out).
    """

    tree: Mapping[str, Any]
    purpose: str
    silos: Mapping[str, Silo]
    coordinator: VerifyKey
    certificate: str
    vocabulary: str
    numbers: Mapping[str, int]

    @classmethod
    def from_json(cls, tree: Any) -> Agreement:
        """Read an agreement.

        Raises:
            InvalidError: A field is missing, unknown or out of range; two silos share a key; or it wants more honest
                and colluding silos than there are.
        """
        fields = {"v", "purpose", "silos", "coordinator", "certificate", "vocabulary", "numbers"}
        if not isinstance(tree, dict) or set(tree) != fields or tree["v"] != VERSION:
            raise _wrong("its fields")
        numbers, silos = tree["numbers"], tree["silos"]
        if not isinstance(numbers, dict) or set(numbers) != set(_NUMBERS):
            raise _wrong("its numbers")
        for name, (least, most) in _NUMBERS.items():
            if type(numbers[name]) is not int or not least <= numbers[name] <= most:
                raise _wrong(name)
        if not isinstance(silos, dict) or not 2 <= len(silos) <= 1_000:
            raise _wrong("its silos")
        read = {}
        for name, one in silos.items():
            if not _NAME.fullmatch(name) or set(one) != {"identity", "node"}:
                raise _wrong("a silo")
            read[name] = Silo(VerifyKey.from_text(str(one["identity"])), str(one["node"]))
        keys = {one.identity.raw for one in read.values()}
        if len(keys) != len(read) or len({one.node for one in read.values()}) != len(read):
            raise _wrong("two silos with one key")
        for name in ("certificate", "vocabulary"):
            if not _HEX.fullmatch(str(tree[name])):
                raise _wrong(name)
        made = cls(
            tree=tree,
            purpose=str(tree["purpose"]),
            silos=read,
            coordinator=VerifyKey.from_text(str(tree["coordinator"])),
            certificate=str(tree["certificate"]),
            vocabulary=str(tree["vocabulary"]),
            numbers=dict(numbers),
        )
        if made.least > len(read):
            raise _wrong("more honest and colluding silos than there are")
        return made

    @property
    def least(self) -> int:
        """The fewest members of a step: so many honest ones are left beside those that collude, and never one alone."""
        return max(2, self.numbers["honest"] + self.numbers["colluding"])

    def silo(self, name: str) -> Silo:
        """Return one house.

        Raises:
            InvalidError: There is none of that name.
        """
        if name not in self.silos:
            raise InvalidError("the agreement has no such silo", rule="federation.silo")
        return self.silos[name]

    def digest(self) -> str:
        """Return the hash of the whole text, hex."""
        return canonical.digest(dict(self.tree)).hex()

    @property
    def recipe(self) -> str:
        """What a grant for it names: the recipe, and this agreement and no other."""
        return f"{RECIPE}:{self.digest()}"


def _wrong(what: str) -> InvalidError:
    return InvalidError(f"the agreement is wrong: {what}", rule="federation.agreement")
