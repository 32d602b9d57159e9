"""How values are written on a page: moments, days, sizes, counts. Times are UTC and say so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from markupsafe import Markup, escape

from safehold.clock import date_of

_ZERO = datetime(1970, 1, 1, tzinfo=UTC)


def moment(at_us: int | None) -> Markup:
    """Return microseconds since 1970 as ``2026-11-26 08:15 UTC``, readable by programs as well."""
    if not at_us:
        return Markup("&ndash;")
    when = _ZERO + timedelta(microseconds=at_us)
    return Markup('<time datetime="{}">{} UTC</time>').format(
        when.strftime("%Y-%m-%dT%H:%M:%SZ"), when.strftime("%Y-%m-%d %H:%M")
    )


def moment_ms(at_ms: int | None) -> Markup:
    """Return milliseconds since 1970 as a moment."""
    return moment(at_ms * 1000 if at_ms else None)


def day(number: int | None) -> str:
    """Return a UTC day number as a date."""
    return "\N{EN DASH}" if number is None else date_of(number)


def count(number: float | None) -> str:
    """Return a number with thin spaces between thousands; nothing as a dash."""
    if number is None:
        return "\N{EN DASH}"
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def size(octets: int) -> str:
    """Return a size in bytes, in units of 1000."""
    amount, unit = float(octets), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def short(digest: str) -> Markup:
    """Return the beginning of a digest, all of it for whoever points at it."""
    return Markup('<code title="{}">{}</code>').format(digest, escape(digest[:12]))


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "moment": moment,
    "moment_ms": moment_ms,
    "day": day,
    "count": count,
    "size": size,
    "short": short,
}
