"""A copy of everything, sealed to a key that is the person's: the portal and whoever carries it read nothing of it.

The key is made in the browser and never leaves it, or it is in the key file of the stand-alone verifier, whose request
the person hands in. A request that is signed with an enrolled key of theirs cannot be changed on its way; anything else
rests on this session, and so on this portal handing on the right key.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from typing import Any, Final

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from safehold.errors import DeniedError, InvalidError
from safehold.portal.pages.me.myself import Me, Myself
from safehold.portal.visit import Form

router = APIRouter()
NAME: Final = "my-copy.sealed"
A_PART: Final = 1 << 16
LONGEST: Final = 8_192


@router.get("/me/copy")
def show(me: Me) -> Response:
    """Say what a copy holds, and how it is opened."""
    return me.page("copy.html", home=me.here.line.call("hello")["home"], error="")


@router.post("/me/copy")
def make(me: Me, form: Form) -> Response:
    """Hand out a copy that is sealed to the key in the form: a browser's, or that of a request from a key file."""
    paper = form.file("request", longest=LONGEST)
    try:
        if not paper:
            return _copy(me, as_self=True, person=me.person, open_to=form.text("open_to"))
        said = _request(paper, me.person)
        try:
            return _copy(me, request=said["request"], signature=said["signature"])
        except DeniedError as error:
            if error.rule != "export.key":
                raise
        # the key in it is not enrolled as a device of theirs; that this is the person, the session says
        return _copy(me, as_self=True, person=me.person, open_to=said["open_to"])
    except InvalidError as error:
        told = str(error.payload()["message"])
        home = me.here.line.call("hello")["home"]
        return me.page("copy.html", status=422, home=home, error=told)


def _copy(me: Myself, **asked: Any) -> Response:
    file = tempfile.TemporaryFile(dir=me.here.site.settings.state)  # noqa: SIM115 - closed when it was sent
    try:
        answer = me.here.line.call("people.export", descriptors=[file.fileno()], **asked)
        file.seek(0)
    except BaseException:
        file.close()
        raise

    def parts() -> Iterator[bytes]:
        with file:
            while part := os.read(file.fileno(), A_PART):
                yield part

    headers = {
        "Content-Disposition": f'attachment; filename="{NAME}"',
        "Content-Length": str(answer["bytes"]),
    }
    return StreamingResponse(parts(), media_type="application/octet-stream", headers=headers)


def _request(paper: bytes, person: str) -> dict[str, str]:
    """Return the request in a file that ``safehold-verify ask`` wrote.

    Raises:
        InvalidError: It is none, or for somebody else.
    """
    try:
        told = json.loads(paper)
        inner = json.loads(told["request"])
        found = {
            "request": str(told["request"]),
            "signature": str(told["signature"]),
            "open_to": str(inner["open_to"]),
        }
        named = inner["person"]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidError(
            "not a request: make one with safehold-verify ask", rule="export.request"
        ) from error
    if named != person:
        raise InvalidError("this request names somebody else", rule="export.request")
    return found
