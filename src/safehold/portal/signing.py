"""What a visitor signs with a key of their own, on its way to the browser and back. The portal signs nothing.

The draft goes to the browser whole and comes back whole: nothing is remembered here between the two. Whoever changes
it on its way changes what the signature is about, and then it does not hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from safehold import canonical
from safehold.app.signature import SIGNED, Call, Draft, complete, value_of_browser
from safehold.canonical import unb64
from safehold.errors import InvalidError, TamperedError
from safehold.portal.visit import Sent

FIELD: Final = "draft"
LONGEST: Final = 65_536
PASSKEY: Final = "passkey:"
# what is signed here: the verbs that a signature of a kind may finish, and the arguments that go with it. A paper may
# come from somebody else, and is handed on in the name of whoever is there: it says nothing but what was signed
SIGNED_HERE: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = {
    kind: (frozenset(verbs.split()), frozenset(arguments.split()))
    for kind, verbs, arguments in (
        ("choice", "people.choose people.erase", "statement signature key"),
        ("vote", "charter.vote", "vote"),
        ("rotation", "board.rotate", "roster"),
        ("decision", "request.decide", "request approval"),
        ("review", "grant.review", "review"),
        ("stop", "stop", "order signatures"),
        ("resume", "resume", "order signatures cause"),
        ("disclose", "people.disclose", "order signatures"),
    )
}


def show(draft: Draft, host: str) -> dict[str, Any]:
    """Return what ``parts/sign.html`` shows of a draft.

    Args:
        draft: What is to be signed.
        host: Of the portal: what its passkeys are bound to.
    """
    tree = draft.to_json()
    return {
        "challenge": tree["challenge"],
        "host": host,
        "paper": canonical.encode(tree).decode(),
        "message": draft.message.decode("utf-8", "replace"),
    }


def take(form: Sent, kind: str, keys: Iterable[str]) -> Call:
    """Return the call that a signature in a form finishes.

    Args:
        form: As ``parts/sign.html`` sends it.
        kind: What may be signed here.
        keys: Public keys of whoever is there; which passkey signed, a browser does not say.

    Raises:
        InvalidError: Nothing was signed, or something else than is asked for here.
        TamperedError: No key of theirs signed it.
    """
    answer = form.text("signature", default="")
    if answer:
        draft = _draft(_json(form.text(FIELD, longest=LONGEST)), kind)
        told = _json(answer)
        value = value_of_browser(told if isinstance(told, dict) else {})
        return _by_any(draft, [one for one in keys if one.startswith(PASSKEY)], value)
    paper = form.file("paper").decode("utf-8", "replace").strip()
    # one line that was pasted is as good as the file
    paper = paper or form.text("line", default="", longest=2 * LONGEST)
    match _json(paper) if paper else None:
        case {"v": str(version), "paper": tree, "key": str(key), "value": str(signed)} if (
            version == SIGNED
        ):
            return complete(_draft(tree, kind), key=key, value=unb64(signed))
        case _:
            raise InvalidError(
                "nothing was signed",
                field="paper",
                rule="portal.signature",
                fix="sign with your passkey, or hand in what `safehold portal sign` printed",
            )


def _by_any(draft: Draft, keys: list[str], value: bytes) -> Call:
    wrong: Exception | None = None
    for key in keys:
        try:
            return complete(draft, key=key, value=value)
        except TamperedError as error:
            wrong = error
    raise TamperedError(
        "this was signed with no key of yours", rule="portal.signature", fix="use your own passkey"
    ) from wrong


def _draft(tree: Any, kind: str) -> Draft:
    made = Draft.from_json(tree)
    verbs, arguments = SIGNED_HERE[kind]
    if made.kind != kind or made.verb not in verbs or not set(made.arguments) <= arguments:
        raise InvalidError("this signs something else", rule="portal.signature")
    return made


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidError("not a signature", rule="portal.signature") from error


__all__ = ["FIELD", "SIGNED_HERE", "show", "take"]
