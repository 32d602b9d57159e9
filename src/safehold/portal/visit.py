"""One request: who is there, in which language, by which line to the keeper, and how a page is answered.

Every page takes ``Here``; every form takes ``Sent`` as well, which checks where it came from before anything is done.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import jinja2
from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.datastructures import FormData, UploadFile
from starlette.requests import ClientDisconnect

from safehold.clock import SECOND_US, Clock
from safehold.errors import InvalidError, UnavailableError
from safehold.keeper.signed import Line
from safehold.portal.identity.cookie import SESSION, Cookies, Visitor, signed_out
from safehold.portal.identity.origin import FIELD, check_form, check_origin_of
from safehold.portal.line import KeptClient, line_of
from safehold.portal.rate import Rates
from safehold.portal.settings import PortalSettings
from safehold.portal.shared import Shared
from safehold.portal.words import Translate, choose_language, translator

LANGUAGE: Final = "safehold-language"
MOST_FIELDS: Final = 200


class TooLargeError(InvalidError):
    """The body is larger than it may be."""

    status = 413


@dataclass(slots=True, kw_only=True)
class Site:
    """What all requests of one portal share.

    Args:
        settings: Where it is.
        keeper: A bare line to the keeper.
        cookies: Seals sessions.
        rates: Counts requests.
        shared: What all portals of the home know together.
        clock: Tells the time.
        templates: The pages.
        menu: Entries of the menu by role; see ``pages``.
        shelf: What parts of the portal keep for themselves, by name.
    """

    settings: PortalSettings
    keeper: KeptClient
    cookies: Cookies
    rates: Rates
    shared: Shared
    clock: Clock
    templates: jinja2.Environment
    menu: Callable[[str | None], list[tuple[str, str]]]
    shelf: dict[str, Any] = field(default_factory=dict)


class Visit:
    """One request.

    Args:
        request: The request.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.site: Site = request.app.state.site
        request.scope["safehold.visit"] = self  # the journal asks who it was

    @cached_property
    def visitor(self) -> Visitor | None:
        """Who is there, if somebody is."""
        limit = self.site.settings.limits.session_s
        text = self.request.cookies.get(cookie_name(SESSION, self.site.settings))
        now_s = self.site.clock.now_us() // SECOND_US
        return self.site.cookies.read(text, now_s=now_s, longest_s=limit)

    def somebody(self) -> Visitor:
        """Return who is there.

        Raises:
            SignInError: Nobody is.
        """
        if self.visitor is None:
            raise signed_out()
        return self.visitor

    @cached_property
    def line(self) -> Line:
        """The visitor's line to the keeper; of somebody signed out, one that asks for next to nothing."""
        return line_of(self.site.keeper, self.visitor)

    @cached_property
    def language(self) -> str:
        """The language to speak."""
        return choose_language(
            self.request.cookies.get(LANGUAGE),
            self.request.headers.get("accept-language", ""),
            self.site.settings.languages,
        )

    @cached_property
    def t(self) -> Translate:
        """Translates an English text into the visitor's language."""
        return translator(self.language)

    def page(self, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """Return a page.

        Args:
            template: Its name under ``templates``.
            status: Of the answer.
            values: What it shows.
        """
        visitor = self.visitor
        text = self.site.templates.get_template(template).render(
            **values,
            t=self.t,
            language=self.language,
            languages=self.site.settings.languages,
            visitor=visitor,
            csrf=visitor.csrf() if visitor is not None else "",
            menu=self.site.menu(visitor.role if visitor is not None else None),
            here=self.request.url.path,
            done=self.request.query_params.get("done", ""),
        )
        return HTMLResponse(text, status_code=status)

    def back(self, to: str, done: str = "") -> RedirectResponse:
        """Return to a page of ours after a form, so that a reload sends nothing again (HTTP 303).

        Args:
            to: A path of ours.
            done: A word of ``parts/done.html`` that says what happened.
        """
        mark = "&" if "?" in to else "?"
        return RedirectResponse(f"{to}{mark}done={done}" if done else to, status_code=303)


def cookie_name(name: str, settings: PortalSettings) -> str:
    """Return a cookie's name: bound to host, path and https wherever people come by https."""
    return f"__Host-{name}" if settings.origin.startswith("https://") else name


def path_of_ours(text: str) -> str:
    """Return a path to go on to; the front page if it is none of ours."""
    try:
        parts = urlsplit(text)
    except ValueError:  # such as half an IPv6 address
        return "/"
    ours = not parts.scheme and not parts.netloc and text.startswith("/")
    plain = text.isprintable() and "\\" not in text and not text.startswith("//")
    return text if ours and plain else "/"


def visit(request: Request) -> Visit:
    """Return the visit, after it was counted."""
    found = Visit(request)
    limits = found.site.settings.limits
    who = found.visitor.session.ticket[-32:] if found.visitor is not None else address_of(request)
    looks = request.method in {"GET", "HEAD"}
    found.site.rates.take(
        "read" if looks else "write", who, a_minute=limits.reads if looks else limits.writes
    )
    return found


def count_sign_in(found: Visit) -> None:
    """Count a step of signing in against the address that it comes from, at all portals of the home together.

    While no keeper answers, this portal counts alone: nobody is signed in without one.

    Raises:
        TooManyError: It comes too often from there.
    """
    most, who = found.site.settings.limits.sign_ins, address_of(found.request)
    found.site.rates.take("sign-in", who, a_minute=most)
    with suppress(UnavailableError):
        found.site.shared.count("sign-in", who, a_minute=most)


def address_of(request: Request) -> str:
    """Return the client's address; of IPv6 its /64."""
    host = request.client.host if request.client is not None else ""
    try:
        found = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(found, IPv4Address):
        return str(found)
    # "::" stands for any number of zeros, so the text says nothing about where the first half ends
    mapped = found.ipv4_mapped
    return str(mapped) if mapped is not None else str(IPv6Address(int(found) >> 64 << 64))


class Sent:
    """A form that came from one of our pages, in this session.

    Args:
        fields: What was filled in.
    """

    def __init__(self, fields: FormData) -> None:
        self._fields = fields

    def text(self, name: str, *, default: str | None = None, longest: int = 4_000) -> str:
        """Return what was written into a field.

        Raises:
            InvalidError: It is missing, or too long.
        """
        value = self._fields.get(name, default)
        if not isinstance(value, str) or len(value) > longest:
            raise InvalidError("a field is missing or too long", field=name, rule="portal.field")
        return value.strip()

    def texts(self, name: str) -> list[str]:
        """Return every value of a field that may be chosen several times."""
        return [value for value in self._fields.getlist(name) if isinstance(value, str)]

    def number(self, name: str, *, default: str | None = None) -> int:
        """Return a whole number.

        Raises:
            InvalidError: It is none.
        """
        text = self.text(name, default=default, longest=20)
        if not text.removeprefix("-").isdecimal() or not text.isascii():
            raise InvalidError("a field is no whole number", field=name, rule="portal.field")
        return int(text)

    def file(self, name: str, *, longest: int = 262_144) -> bytes:
        """Return a file that was handed in; empty if none was.

        Raises:
            InvalidError: It is too large.
        """
        value = self._fields.get(name)
        if not isinstance(value, UploadFile):
            return b""
        data = value.file.read(longest + 1)
        if len(data) > longest:
            raise InvalidError("a file is too large", field=name, rule="portal.file")
        return data

    def has(self, name: str) -> bool:
        """Tell whether a box was ticked or a button pressed."""
        return name in self._fields


@asynccontextmanager
async def form_of(request: Request, *, files: int, fields: int) -> AsyncIterator[FormData]:
    """Yield the form of a request, unchecked, and let go of its files afterwards.

    Args:
        request: The request.
        files: How many files there may be.
        fields: How many other fields.

    Raises:
        TooLargeError: It is too large, or ended early.
    """
    try:
        form = await request.form(max_files=files, max_fields=fields)
    except ClientDisconnect as error:
        raise TooLargeError("the body is too large, or ended early", rule="portal.body") from error
    try:
        yield form
    finally:
        await form.close()


async def sent(request: Request, here: Annotated[Visit, Depends(visit)]) -> AsyncIterator[Sent]:
    """Yield the form of a request, and let go of its files afterwards.

    Raises:
        DeniedError: It came from elsewhere, or is not of this session.
    """
    check_origin_of(request, here.site.settings.origin)
    async with form_of(request, files=4, fields=MOST_FIELDS) as form:
        check_form(str(form.get(FIELD, "")), here.visitor)
        yield Sent(form)


Here = Annotated[Visit, Depends(visit)]
Form = Annotated[Sent, Depends(sent)]
__all__ = [
    "Form",
    "Here",
    "Sent",
    "Site",
    "TooLargeError",
    "Visit",
    "address_of",
    "cookie_name",
    "form_of",
    "path_of_ours",
    "visit",
]
