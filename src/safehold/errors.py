"""The one error tree.

Every error says what happened, which rule said so, and what to do next. None carries a data value:
a message may name a file, a row number, a field and a rule, never what the field held.

Exit codes (``safehold`` command line): 1 failed, 2 usage or bad input, 3 denied, 4 sign-in, 5 tampered,
6 unavailable.
"""

from __future__ import annotations

from typing import ClassVar


class SafeholdError(Exception):
    """Say what happened, which rule applied and how to go on.

    Args:
        message: What happened, without any data value.
        rule: The rule that was applied, for example ``charter.red_line.no-raw-to-people``.
        fix: What the reader can do next.
        entry: Index of the ledger entry that records the refusal, where there is one.
    """

    code: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = 1
    status: ClassVar[int] = 500

    def __init__(
        self,
        message: str,
        *,
        rule: str | None = None,
        fix: str | None = None,
        entry: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.rule = rule
        self.fix = fix
        self.entry = entry

    def payload(self) -> dict[str, str | int | None]:
        """Return the error as it crosses a process border or is printed as JSON."""
        return {
            "code": self.code,
            "message": self.message,
            "rule": self.rule,
            "fix": self.fix,
            "entry": self.entry,
        }


class DeniedError(SafeholdError):
    """A policy said no."""

    code = "denied"
    exit_code = 3
    status = 403


class RedLineError(DeniedError):
    """The request would cross a red line; nobody can lift it."""

    code = "denied.red_line"


class ConsentError(DeniedError):
    """A person has not agreed, has paused, or has withdrawn."""

    code = "denied.consent"


class BudgetSpentError(DeniedError):
    """The privacy budget of this purpose does not cover the request."""

    code = "denied.budget"


class QuorumError(DeniedError):
    """Too few valid signatures of board seats."""

    code = "denied.quorum"


class SignInError(SafeholdError):
    """The caller has not proved who they are."""

    code = "sign_in"
    exit_code = 4
    status = 401


class TamperedError(SafeholdError):
    """A proof, a signature or a seal does not hold."""

    code = "tampered"
    exit_code = 5
    status = 409


class ShreddedError(SafeholdError):
    """The key was destroyed: by erasure or by the end of retention."""

    code = "shredded"
    status = 410


class MissingError(SafeholdError):
    """What was named does not exist."""

    code = "missing"
    status = 404


class ConflictError(SafeholdError):
    """Something changed under the caller, or exists already."""

    code = "conflict"
    status = 409


class InvalidError(SafeholdError):
    """The input is wrong; nothing was written.

    Args:
        message: What is wrong, without the value.
        file: Name of the input, where there is one.
        row: Where in that input: the row of a table, from 0, or the line of a text (a charter, a mapping), from 1.
        field: Name of the field.
    """

    code = "invalid"
    exit_code = 2
    status = 422

    def __init__(
        self,
        message: str,
        *,
        rule: str | None = None,
        fix: str | None = None,
        entry: int | None = None,
        file: str | None = None,
        row: int | None = None,
        field: str | None = None,
    ) -> None:
        place = ", ".join(
            part
            for part in (
                f"file {file}" if file is not None else "",
                f"row {row}" if row is not None else "",
                f"field {field}" if field is not None else "",
            )
            if part
        )
        super().__init__(
            f"{message} ({place})" if place else message, rule=rule, fix=fix, entry=entry
        )


class UnavailableError(SafeholdError):
    """A part that is needed cannot be reached, so nothing is released."""

    code = "unavailable"
    exit_code = 6
    status = 503


class WentAwayError(UnavailableError):
    """Whoever was asked went away before it answered: whether it was carried out is not known."""

    code = "unavailable.went_away"


ERRORS: dict[str, type[SafeholdError]] = {
    kind.code: kind
    for kind in (
        SafeholdError,
        DeniedError,
        RedLineError,
        ConsentError,
        BudgetSpentError,
        QuorumError,
        SignInError,
        TamperedError,
        ShreddedError,
        MissingError,
        ConflictError,
        InvalidError,
        UnavailableError,
        WentAwayError,
    )
}


def revive(payload: dict[str, str | int | None]) -> SafeholdError:
    """Rebuild an error that crossed a process border from its ``payload``."""
    kind = ERRORS.get(str(payload.get("code")), SafeholdError)
    entry = payload.get("entry")
    rule, fix = payload.get("rule"), payload.get("fix")
    return kind(
        str(payload.get("message")),
        rule=None if rule is None else str(rule),
        fix=None if fix is None else str(fix),
        entry=entry if isinstance(entry, int) else None,
    )


def in_file(error: SafeholdError, file: str) -> SafeholdError:
    """Return an error about input with the file it is about, unless it names one already."""
    if not isinstance(error, InvalidError) or "(file " in error.message:
        return error
    return revive(error.payload() | {"message": f"{error.message} (file {file})"})


def place_of(error: BaseException) -> str:
    """Return the innermost place in our own source that an error passed: module and line, no values."""
    place = "an unknown place"
    step = error.__traceback__
    while step is not None:
        module = str(step.tb_frame.f_globals.get("__name__", ""))
        if module.split(".", maxsplit=1)[0] == "safehold":
            place = f"{module}:{step.tb_lineno}"
        step = step.tb_next
    return place
