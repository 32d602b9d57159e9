"""Denied windows of every kind drop every stream, in them and for some seconds after."""

from __future__ import annotations

from typing import Any

import pytest
from tests.ingest_job import chat_row, wire_table

from safehold.dlp import Rules, minimise

SECOND = 1_000_000
WINDOWS: list[dict[str, Any]] = [
    {"app": "KeePassXC"}, {"app": "/usr/bin/keepassxc"}, {"app": "C:\\Tools\\KeePass.exe"},
    {"url_host": "Vault.Bitwarden.com"}, {"title": "Bitwarden Password Manager"},
    {"url_host": "www.PayPal.com."}, {"url_host": "https://onlinebanking.sparkasse.de/login"},
    {"title": "Kontoauszug Mai"}, {"title": "Your payslips"},
    {"url_host": "patient-portal.example"}, {"title": "Arzttermin buchen"}, {"url_host": "www.nhs.uk"},
    {"title": "Works council - minutes"}, {"title": "Gewerkschaft"}, {"url_host": "www.verdi.de"},
    {"url_host": "mail.google.com"}, {"title": "Inbox (3) - Gmail"}, {"url_host": "web.de:443"},
    {"title": "New Incognito tab"}, {"title": "Privates Fenster"}, {"title": "Navigation privée"},
    {"title": "Sign in"}, {"title": "Passwort zurücksetzen"}, {"url_host": "login.example.com"},
    {"title": "Iniciar sesión"}, {"app": "loginwindow"},
]  # fmt: skip


def event(stream: str, at_s: float, seq: int) -> dict[str, Any]:
    mono = int(at_s * SECOND)
    row = chat_row(seq) if stream == "chat" else {"person": "ann", "device": "d1", "session": "s1"}
    more: dict[str, Any] = {
        "key": {"kind": 1, "key": "a"}, "pointer": {"kind": 3}, "chat": {}, "metric": {"name": "n", "value": 1.0},
        "ai": {"conversation": "c", "turn": seq, "role": "user", "text": "hi"},
        "focus": {"kind": 1, "app": "editor", "title": "notes"},
        "speech": {"meeting": "m", "speaker": "ann", "start": 0, "end": 1, "text": "hi"},
    }[stream]  # fmt: skip
    return row | more | {"seq": seq, "mono": mono, "t": 10**15 + mono}


@pytest.mark.parametrize("window", WINDOWS, ids=lambda item: next(iter(item.values())))
def test_a_denied_window_drops_every_stream(window: dict[str, Any]) -> None:
    common = {"person": "ann", "device": "d1", "session": "s1", "kind": 0}
    focus = wire_table("focus", [
        common | {"seq": 0, "t": 10**15, "mono": 10 * SECOND} | window,
        common | {"seq": 1, "t": 10**15, "mono": 20 * SECOND, "app": "editor", "title": "notes"},
    ])  # fmt: skip
    moments = (9.9, 10.0, 15.0, 20.0, 25.0, 25.1)
    for stream in ("key", "pointer", "chat", "ai", "speech", "metric"):
        rows = [event(stream, at, number) for number, at in enumerate(moments)]
        rules = Rules(stream=stream)
        out = minimise(stream, wire_table(stream, rows), rules, focus=focus,
                       consented=frozenset({"ann", "bob"}))  # fmt: skip
        assert out.dropped == {"denied_context": 4}, stream
        assert out.table["seq"].to_pylist() == [0, 5]
    left = minimise("focus", focus, Rules(stream="focus")).table
    assert left["seq"].to_pylist() == [1]


@pytest.mark.parametrize("after", [0, 1, 60])
def test_the_seconds_after_are_those_of_the_rules(after: int) -> None:
    common = {"person": "ann", "device": "d1", "session": "s1", "kind": 0, "t": 10**15}
    focus = wire_table("focus", [
        common | {"seq": 0, "mono": 0, "app": "keepassxc"},
        common | {"seq": 1, "mono": SECOND, "app": "editor"},
    ])  # fmt: skip
    rows = [event("key", at, at) for at in range(70)]
    out = minimise("key", wire_table("key", rows), Rules(stream="key", after_s=after), focus=focus)
    assert out.dropped == {"denied_context": after + 2}
