"""A request as z3 variables: one symbol for each thing that a request may state.

1. A member of an enumeration is one bit of a bit-vector, and a set of members any bits of it, so
   that all operations on sets are exact. Names that stand in a policy without being declared get
   bits too, which no request can have: a misspelt purpose equals nothing.
2. ``Long`` is a vector of 64 bits, compared with its sign; nothing is computed with it.
3. Strings are only compared for equality, so each is a code. The codes outnumber all strings that
   a formula can tell apart.
4. A set of strings is asked only whether it holds a certain string and whether it is empty. Each
   question is a variable; equal strings get equal answers, and an empty set holds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import z3

from safehold.charter.prove.refusal import unsupported
from safehold.charter.prove.shape import Shape, Type

CODE_BITS: Final = 16
LONG_BITS: Final = 64

Term = Any  # a z3 expression; z3 ships no types
Truth = Any  # a z3 Bool or a Python bool


@dataclass(frozen=True, slots=True)
class Value:
    """A typed term.

    Args:
        type: What it is.
        term: The z3 expression; for ``bool`` a Python bool where it is constant; for ``strings``
            the name of the set.
    """

    type: Type
    term: Term


class Symbols:
    """The variables of one proof, in a z3 context of their own.

    Args:
        shape: The types.
        names: Entities that stand in the policies, as pairs of type and id.
        strings: Strings that stand in the policies.
    """

    def __init__(
        self, shape: Shape, *, names: Iterable[tuple[str, str]], strings: Iterable[str]
    ) -> None:
        self.shape = shape
        self.z3 = z3.Context()
        self.axioms: list[Term] = []
        self.codes = {text: code for code, text in enumerate(dict.fromkeys(("", *strings)))}
        if len(self.codes) > 2 ** (CODE_BITS - 1):
            raise unsupported("more strings than the prover tells apart")
        self.members: dict[str, tuple[str, ...]] = {}
        written = list(names)
        for kind, declared in shape.enums.items():
            others = [name for of, name in written if of == kind and name not in declared]
            self.members[kind] = (*declared, *dict.fromkeys(others))
        self._bit = {
            kind: {name: 1 << place for place, name in enumerate(members)}
            for kind, members in self.members.items()
        }
        self._asked: dict[str, list[tuple[Term, Term]]] = {}
        self._vacant: dict[str, Term] = {}
        self._values: dict[str, Value] = {}
        self.uid = {
            name: self._variable(f"{name}.uid", Type("string"))
            for name in ("principal", "resource")
        }
        self._declare("context", shape.context)
        self._declare("resource", shape.data)
        for kind, fields in shape.principals.items():
            # one variable serves all kinds of principal that have the attribute with one type
            for name, type_ in fields.items():
                known = self._values.get(f"principal.{name}")
                if known is not None and known.type != type_:
                    raise unsupported(f"an attribute of {kind} whose type depends on the principal")
            self._declare("principal", fields)

    def of(self, owner: str, name: str, *, principal: str) -> Value | None:
        """Return an attribute, or None if this kind of principal has none of that name."""
        if owner == "principal" and name not in self.shape.principals[principal]:
            return None
        return self._values.get(f"{owner}.{name}")

    def get(self, path: str) -> Value:
        """Return an attribute by its path, for example ``context.purpose``.

        Raises:
            InvalidError: The types lack it.
        """
        if path not in self._values:
            raise unsupported(f"types without {path}")
        return self._values[path]

    def member(self, kind: str, name: str) -> Term:
        """Return a member of an enumeration.

        Raises:
            InvalidError: The enumeration, or the policy, never named it.
        """
        if name not in self._bit.get(kind, {}):
            raise unsupported(f"types without {kind}::{name}")
        return z3.BitVecVal(self._bit[kind][name], len(self.members[kind]), self.z3)

    def mask(self, kind: str, names: Iterable[str]) -> Term:
        """Return the set of some members of an enumeration."""
        total = 0
        for name in names:
            if name not in self._bit.get(kind, {}):
                raise unsupported(f"types without {kind}::{name}")
            total |= self._bit[kind][name]
        return z3.BitVecVal(total, len(self.members[kind]), self.z3)

    def code(self, text: str) -> Term:
        """Return a string.

        Raises:
            InvalidError: It was not announced, so it has no code.
        """
        if text not in self.codes:
            raise unsupported("a string without a code")
        return z3.BitVecVal(self.codes[text], CODE_BITS, self.z3)

    def long(self, number: int) -> Term:
        """Return a whole number."""
        return z3.BitVecVal(number, LONG_BITS, self.z3)

    def holds(self, name: str, text: Term) -> Term:
        """Return whether a set of strings holds one."""
        asked = self._asked.setdefault(name, [])
        for term, answer in asked:
            if term.eq(text):
                return answer
        answer = z3.Bool(f"{name}[{len(asked)}]", self.z3)
        for term, other in asked:
            self.axioms.append(z3.Implies(term == text, answer == other))
        self.axioms.append(z3.Implies(answer, z3.Not(self.vacant(name))))
        asked.append((text, answer))
        return answer

    def vacant(self, name: str) -> Term:
        """Return whether a set of strings is empty."""
        return self._vacant.setdefault(name, z3.Bool(f"{name}.empty", self.z3))

    def asked(self, name: str) -> Mapping[Term, Term]:
        """Return every question about a set of strings, with its answer."""
        return dict(self._asked.get(name, ()))

    def values(self) -> Mapping[str, Value]:
        """Return every attribute by its path."""
        return self._values

    def _declare(self, owner: str, fields: Mapping[str, Type]) -> None:
        for name, type_ in fields.items():
            path = f"{owner}.{name}"
            if path not in self._values:
                self._values[path] = Value(type_, self._variable(path, type_))

    def _variable(self, path: str, type_: Type) -> Term:
        match type_.kind:
            case "bool":
                return z3.Bool(path, self.z3)
            case "long":
                return z3.BitVec(path, LONG_BITS, self.z3)
            case "string":
                return z3.BitVec(path, CODE_BITS, self.z3)
            case "strings":
                return path
            case "member" | "set":
                return self._bits(path, type_)
            case _:
                raise unsupported("an attribute of another type")

    def _bits(self, path: str, type_: Type) -> Term:
        width = len(self.members[type_.of])
        declared = (1 << len(self.shape.enums[type_.of])) - 1
        bits = z3.BitVec(path, width, self.z3)
        self.axioms.append(bits & ~declared == 0)
        if type_.kind == "member":
            self.axioms += [bits != 0, bits & (bits - 1) == 0]
        return bits
