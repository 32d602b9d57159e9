"""Whose word counts (C2SP tlog-policy)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from safehold_verify.errors import VerificationError
from safehold_verify.files import read_file
from safehold_verify.notes import COSIGNATURE, ED25519, ML_DSA, VKey, parse_vkey

LARGEST_POLICY = 1_000_000  # bytes
_LOG_TYPES = (ED25519, ML_DSA)  # C2SP tlog-checkpoint: a log signs with either, or with both
_WITNESS_TYPES = (COSIGNATURE, ML_DSA)

_ALLOWED = bytes([0x09, 0x0A, *range(0x20, 0x7F), *range(0x80, 0x100)])


@dataclass(frozen=True, slots=True)
class Group:
    """Members of which at least ``need`` must have cosigned."""

    need: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """Trusted logs and witnesses, and the quorum a head must reach.

    Args:
        logs: Keys of trusted logs; several of one name while a log changes its key.
        witnesses: Keys of witnesses by the policy's short name.
        groups: Groups by name; each names only witnesses and groups before it.
        quorum: Name of a witness or group, or ``none``.
    """

    logs: tuple[VKey, ...]
    witnesses: Mapping[str, VKey]
    groups: Mapping[str, Group]
    quorum: str

    def keys(self) -> list[VKey]:
        """Return every key of the policy."""
        return [*self.logs, *self.witnesses.values()]

    def check_quorum(self, signers: Iterable[VKey], *, where: str) -> None:
        """Let a head through only if enough witnesses have cosigned it.

        Raises:
            VerificationError: Too few.
        """
        held = set(signers)
        reached = {name: key in held for name, key in self.witnesses.items()}
        for name, group in self.groups.items():  # in order, so that no depth of groups matters
            reached[name] = sum(reached[member] for member in group.members) >= group.need
        if self.quorum != "none" and not reached[self.quorum]:
            raise VerificationError("too few witnesses have cosigned", where=where)


def load_policy(policy: Policy | Path | str) -> Policy:
    """Return a policy that is given parsed or as the path of its file.

    Raises:
        VerificationError: The file cannot be read, or is no policy.
    """
    if isinstance(policy, Policy):
        return policy
    return parse_policy(read_file(policy, Path(policy).name, limit=LARGEST_POLICY))


def parse_policy(data: bytes) -> Policy:
    """Read a policy.

    Raises:
        VerificationError: Wrong syntax, a name used before it is defined or in two groups, a key
            named twice, or not exactly one quorum.
    """
    if type(data) is not bytes or len(data) > LARGEST_POLICY:
        raise VerificationError("not a policy", where="policy")
    if wrong := data.translate(None, _ALLOWED):
        at = data.index(wrong[:1])
        raise VerificationError("a byte that is not allowed", where=f"policy, byte {at}")
    reader = _Reader()
    # Names are opaque bytes, so nothing is lost or merged in decoding them.
    for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), 1):
        words = line.replace("\t", " ").split(" ")
        words = [word for word in words if word]
        if words and not words[0].startswith("#"):
            reader.read(words, f"policy, line {number}")
    if reader.quorum is None:
        raise VerificationError("no quorum", where="policy")
    return Policy(tuple(reader.logs), reader.witnesses, reader.groups, reader.quorum)


class _Reader:
    def __init__(self) -> None:
        self.logs: list[VKey] = []
        self.witnesses: dict[str, VKey] = {}
        self.groups: dict[str, Group] = {}
        self.quorum: str | None = None
        self._seen: set[bytes] = set()
        self._members: set[str] = set()

    def read(self, words: list[str], where: str) -> None:
        match words:
            case ["log", vkey] | ["log", vkey, _]:  # a URL may follow; it decides nothing
                self.logs.append(self._key(vkey, _LOG_TYPES, where))
            case ["witness", name, vkey] | ["witness", name, vkey, _]:
                self.witnesses[self._fresh(name, where)] = self._key(vkey, _WITNESS_TYPES, where)
            case ["group", name, need, *members] if members:
                self._group(self._fresh(name, where), need, members, where)
            case ["quorum", name] if self.quorum is None:
                if name != "none" and name not in self.witnesses and name not in self.groups:
                    raise VerificationError("an unknown name", where=where)
                self.quorum = name
            case _:
                raise VerificationError("not a line of a policy", where=where)

    def _group(self, name: str, need: str, members: list[str], where: str) -> None:
        for member in members:
            if member not in self.witnesses and member not in self.groups:
                raise VerificationError("an unknown name", where=where)
            if member in self._members:
                raise VerificationError("a name in two groups", where=where)
            self._members.add(member)
        if need in ("any", "all"):
            count = 1 if need == "any" else len(members)
        elif re.fullmatch(r"[1-9][0-9]{0,8}", need, re.ASCII):
            count = int(need)
        else:
            raise VerificationError("not a number of members", where=where)
        if not 1 <= count <= len(members):
            raise VerificationError("not a number of members", where=where)
        self.groups[name] = Group(count, tuple(members))

    def _fresh(self, name: str, where: str) -> str:
        if name == "none" or name in self.witnesses or name in self.groups:
            raise VerificationError("a name is defined twice", where=where)
        return name

    def _key(self, text: str, types: tuple[int, ...], where: str) -> VKey:
        try:
            key = parse_vkey(text)
        except VerificationError as error:
            raise VerificationError(error.message, where=where) from error
        if key.algorithm not in types:
            raise VerificationError("a key of the wrong type", where=where)
        if key.key in self._seen:
            raise VerificationError("the same key twice", where=where)
        self._seen.add(key.key)
        return key
