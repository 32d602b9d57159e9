"""Sending one finding to one target: syslog, HTTP, OTLP or e-mail; it returns when the receiver has it.

Every line has a deadline and verifies the other side's certificate. No redirect is followed: findings go where the
outside of the home says and nowhere else.
"""

from __future__ import annotations

import http.client
import json
import smtplib
import socket
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from safehold.clock import Clock
from safehold.errors import InvalidError, MissingError, UnavailableError
from safehold.incident.export import cloudevents, letter, ocsf, otlp, syslog
from safehold.incident.export.finding import Finding
from safehold.incident.export.target import MAIL, OTLP, SYSLOG, Target, is_here
from safehold.ledger.line import HEADERS, split_url, within

PATIENCE_S: Final = 10.0
_ANSWER: Final = 65_536  # bytes of an answer that are read
_JSON: Final = "application/json"


def sender(target: Target, *, home: str, product: str, clock: Clock) -> Callable[[Finding], None]:
    """Return what sends a finding to a target.

    Args:
        target: The receiver.
        home: What the home is called.
        product: Version of Safehold.
        clock: The time.
    """
    send = {SYSLOG: _syslog, OTLP: _otlp, MAIL: _mail}.get(target.kind, _webhook)
    return lambda finding: send(target, finding, home=home, product=product, clock=clock)


def _syslog(target: Target, finding: Finding, *, home: str, product: str, clock: Clock) -> None:  # noqa: ARG001
    text = finding.sentence
    if target.form == "ocsf":
        text = _dumps(ocsf.to_ocsf(finding, product=product)).decode()
    message = syslog.to_syslog(finding, text, host=home, enterprise=target.enterprise)
    host, port, scheme = target.place
    try:
        if scheme == "udp":
            if not is_here(host):  # checked when the file is read; and here, where it would matter
                raise InvalidError("UDP only reaches this machine", rule="export.udp")
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as link:
                link.connect((host, port))
                link.send(message)
            return
        tls = _context(target)
        with (
            socket.create_connection((host, port), PATIENCE_S) as plain,
            tls.wrap_socket(plain, server_hostname=host) as secure,
        ):
            secure.sendall(syslog.framed(message))
            # there is no answer in syslog: that the other side closes in order, after our close, says it has read all
            secure.unwrap()
    except (OSError, ssl.SSLError) as error:
        raise UnavailableError(
            f"the syslog receiver of {target.name} does not take it", rule="export.syslog"
        ) from error


def _webhook(target: Target, finding: Finding, *, home: str, product: str, clock: Clock) -> None:
    event = ocsf.to_ocsf(finding, product=product)
    source = f"urn:safehold:{home}"
    headers = {"Content-Type": _JSON}
    body = _dumps(event)
    if target.form == "cloudevents":
        headers = {"Content-Type": cloudevents.STRUCTURED}
        body = _dumps(cloudevents.to_cloudevent(finding, event, source=source))
    elif target.form == "cloudevents-binary":
        headers = cloudevents.to_headers(finding, source=source)
    headers |= letter.sign(_secret(target), body, at_s=clock.now_us() // 1_000_000)
    headers[letter.DELIVERY] = finding.delivery
    _post(target, "", body, headers)


def _otlp(target: Target, finding: Finding, *, home: str, product: str, clock: Clock) -> None:  # noqa: ARG001
    headers = {"Content-Type": _JSON}
    if target.secret:
        headers["Authorization"] = f"Bearer {_secret(target).decode()}"
    bodies = {
        "logs": lambda: otlp.to_logs(finding, product=product, now_us=clock.now_us()),
        "traces": lambda: otlp.to_traces(finding, product=product),
    }
    for what, rejected in (("logs", "rejectedLogRecords"), ("traces", "rejectedSpans")):
        if target.form not in (what, "both"):
            continue
        answer = _post(target, f"/v1/{what}", _dumps(bodies[what]()), headers)
        try:
            partial = json.loads(answer or b"{}").get("partialSuccess", {})
            refused = int(partial.get(rejected, 0))
        except (ValueError, AttributeError, TypeError):
            refused = 0  # it said 2xx, and nothing that can be read
        if refused:
            raise UnavailableError(
                f"the collector of {target.name} refuses what it was sent",
                rule="export.rejected",
            )


def _mail(target: Target, finding: Finding, *, home: str, product: str, clock: Clock) -> None:  # noqa: ARG001
    host, port, scheme = target.place
    message = letter.to_mail(finding, sender=target.sender, to=target.to, home=home)
    try:
        tls = _context(target)
        link = (
            smtplib.SMTP_SSL(host, port, timeout=PATIENCE_S, context=tls)
            if scheme == "smtps"
            else smtplib.SMTP(host, port, timeout=PATIENCE_S)
        )
        with link:
            if scheme == "smtp":
                # never without: a server that does not offer it gets nothing, here too if it needs a password
                link.ehlo_or_helo_if_needed()
                if link.has_extn("starttls"):
                    link.starttls(context=tls)
                elif not is_here(host) or target.user:
                    raise UnavailableError(
                        f"the mail server of {target.name} does not offer STARTTLS",
                        rule="export.starttls",
                    )
            if target.user:
                link.login(target.user, _secret(target).decode())
            refused = link.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise UnavailableError(
            f"the mail server of {target.name} does not take it", rule="export.mail"
        ) from error
    if refused:
        raise UnavailableError(
            f"the mail server of {target.name} refuses a recipient", rule="export.mail"
        )


def _post(target: Target, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    host, port, prefix, secure = split_url(
        target.url, what="receiver of findings", rule="export.target"
    )
    link = http.client.HTTPConnection(host, port)
    tls = _context(target) if secure else None
    try:
        with within(link, PATIENCE_S, tls=tls, patience_s=PATIENCE_S):
            link.request("POST", f"{prefix}{path}" or "/", body, {**HEADERS, **headers})
            answer = link.getresponse()
            said = answer.read(_ANSWER)
    except (OSError, http.client.HTTPException) as error:
        raise UnavailableError(
            f"the receiver of {target.name} cannot be reached", rule="export.reach"
        ) from error
    finally:
        link.close()
    if not 200 <= answer.status < 300:
        raise UnavailableError(
            f"the receiver of {target.name} answers {answer.status}", rule="export.refused"
        )
    return said


def _context(target: Target) -> ssl.SSLContext:
    try:
        tls = ssl.create_default_context(cafile=target.authority or None)
    except (OSError, ssl.SSLError) as error:
        raise InvalidError(
            f"the certificate that vouches for {target.name} cannot be read",
            rule="export.authority",
        ) from error
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    return tls


def _secret(target: Target) -> bytes:
    path = Path(target.secret)
    try:
        text = path.read_bytes().strip()
        mode = path.stat().st_mode
    except OSError as error:
        raise MissingError(
            f"the secret of target {target.name} cannot be read", rule="export.secret"
        ) from error
    if mode & 0o077:
        raise InvalidError(
            f"others can read the secret of target {target.name}",
            rule="export.secret.mode",
            fix=f"chmod 600 {path.name}",
        )
    if len(text) < 8:
        raise InvalidError(f"the secret of target {target.name} is too short", rule="export.secret")
    return text


def _dumps(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
