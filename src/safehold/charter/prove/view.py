"""A view of one environment of the symbols: the questions that promises ask."""

from __future__ import annotations

from dataclasses import dataclass

from safehold.charter.prove.symbol import Symbols, Term, Truth


@dataclass(frozen=True, slots=True)
class View:
    """One environment, with the questions that promises ask.

    Args:
        symbols: The variables.
        action: The action.
        principal: The kind of principal.
    """

    symbols: Symbols
    action: str
    principal: str

    def term(self, path: str) -> Term:
        """Return an attribute's term."""
        return self.symbols.get(path).term

    def among(self, path: str, names: tuple[str, ...]) -> Truth:
        """Return whether a member is one of some names, or a set holds one of them."""
        value = self.symbols.get(path)
        return (value.term & self.symbols.mask(value.type.of, names)) != 0

    def only(self, path: str, names: tuple[str, ...]) -> Truth:
        """Return whether a set holds nothing but some names."""
        value = self.symbols.get(path)
        return (value.term & ~self.symbols.mask(value.type.of, names)) == 0

    def all_of(self, path: str, names: tuple[str, ...]) -> Truth:
        """Return whether a set holds all of some names."""
        value = self.symbols.get(path)
        mask = self.symbols.mask(value.type.of, names)
        return (value.term & mask) == mask

    def holds(self, group: str, item: str) -> Truth:
        """Return whether a set holds what another attribute says."""
        found = self.symbols.get(group)
        if found.type.kind == "strings":
            return self.symbols.holds(found.term, self.term(item))
        return (found.term & self.term(item)) != 0

    def empty(self, path: str) -> Truth:
        """Return whether a set of members is empty."""
        return self.term(path) == 0

    def blank(self, path: str) -> Truth:
        """Return whether a string is empty."""
        return self.term(path) == self.symbols.code("")

    def below(self, path: str, number: int) -> Truth:
        """Return whether a whole number is below another."""
        return self.term(path) < self.symbols.long(number)

    def role(self, name: str) -> Truth:
        """Return whether the principal has a role."""
        return self.term("principal.role") == self.symbols.member("Role", name)
