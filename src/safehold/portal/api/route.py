"""One line of the API: a path, and the verb of the keeper that answers it.

The table of all lines is the API. From it come the endpoints, the OpenAPI document, the reference page and the tests
that look for what nobody may have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from safehold.portal.api.field import Given, Nothing

PREFIX: Final = "/api/v1"
Method = Literal["GET", "POST", "PUT", "DELETE"]
WHOLE: Final = frozenset(
    {"alert", "engagement", "entry", "epoch", "incident", "proposal"}
)  # names in paths that are numbers
_NAMES: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One line.

    Args:
        method: The HTTP method; whatever looks is a GET, unless it takes a proof.
        path: Behind ``/api/v1``; names in braces are arguments of the verb.
        verb: What the keeper is asked for.
        says: What it does, in one sentence.
        answer: The shape of the answer, a ``TypedDict``.
        given: What the body (or of a GET the query) may carry.
        name: Of the operation, where one verb has several lines.
        listed: The list in the answer that is given out in pages.
        fixed: Arguments that the line itself fills in.
        renamed: Names in the path whose argument is called otherwise.
        mine: The argument ``person`` is whoever is signed in.
        upload: The body is a file, which is handed to the keeper; what else it takes stands in the query.
        download: The answer is a file that the keeper writes; what else it says stands in a header.
        long: It may take minutes, and is then best asked for with ``Prefer: respond-async``.
        under: The operation whose answer ``If-Match`` is about.
        again: The keeper itself knows a repetition, so one whose outcome nobody knows is asked for again.
        status: Of an answer.
    """

    method: Method
    path: str
    verb: str
    says: str
    answer: Any
    given: type[Given] = Nothing
    name: str = ""
    listed: str = ""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    mine: bool = False
    upload: bool = False
    download: bool = False
    long: bool = False
    under: str = ""
    again: bool = False
    status: int = 200

    @property
    def id(self) -> str:
        """Name of the operation."""
        return self.name or self.verb

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the path."""
        return tuple(_NAMES.findall(self.path))

    @property
    def tag(self) -> str:
        """The noun it belongs to."""
        return self.path.split("/")[1]

    def looks(self) -> bool:
        """Tell whether its query, and no body, says what is wanted."""
        return self.method in {"GET", "DELETE"}
