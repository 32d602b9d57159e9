"""Small files in the formats of other people's recorders, made here after their documentation.

``ann`` and ``bob`` take part everywhere; ``eve`` and whoever writes from outside never did. Words of somebody who did not
opt in hold ``EVE``, typed secrets hold ``HUSH``.
"""

from __future__ import annotations

import io
import json
import sqlite3
import zipfile
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from safehold.clock import DAY_US, SystemClock

NOW_US = SystemClock().now_us()
START_S = (NOW_US // DAY_US * DAY_US - DAY_US // 2) // 1_000_000  # noon of yesterday
EVE = "EVEwordsthatshemeantfornobody"
HUSH = "HUSHcorrecthorsebatterystaple"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0\x1f\x15\xc4\x89" + bytes(64)
ADDRESS = {"U1": "ann@acme.example", "U2": "bob@acme.example", "U3": "eve@acme.example"}


def iso(second: float) -> str:
    return datetime.fromtimestamp(START_S + second, UTC).isoformat()


def activitywatch() -> bytes:
    """Three buckets, newest event first, as aw-server exports them."""
    window = [
        {"app": "Firefox", "title": "Quarterly plan - Docs"},
        {"app": "KeePassXC", "title": f"{HUSH} - KeePassXC"},
        {"app": "Code", "title": f"card 4111 1111 1111 1111 {'x' * 20}"},
        {"app": "Firefox", "title": f"Vault | 1Password {HUSH}"},
    ]
    pages = [
        {"url": "https://wiki.acme.example/plan?q=1", "title": "Plan", "incognito": False},
        {"url": "https://my.1password.com/signin", "title": HUSH, "incognito": False},
        {"url": "https://example.org/", "title": HUSH, "incognito": True},
    ]

    def bucket(name: str, kind: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
        events = [
            {"id": n, "timestamp": iso(60.0 * n + 0.5), "duration": 42.125, "data": row}
            for n, row in enumerate(rows)
        ]
        return {
            "id": name, "created": iso(0), "name": None, "type": kind, "client": "aw-watcher",
            "hostname": "laptop", "data": {}, "events": events[::-1],
        }  # fmt: skip

    buckets = {
        "aw-watcher-window_laptop": bucket("aw-watcher-window_laptop", "currentwindow", window),
        "aw-watcher-afk_laptop": bucket(
            "aw-watcher-afk_laptop", "afkstatus", [{"status": "not-afk"}, {"status": "afk"}]
        ),
        "aw-watcher-web": bucket("aw-watcher-web", "web.tab.current", pages),
        "aw-stopwatch": bucket("aw-stopwatch", "general.stopwatch", [{"label": HUSH}]),
    }
    return json.dumps({"buckets": buckets}).encode()


def opencua(secret: str = HUSH) -> bytes:
    """Moves, a click, a scroll and a typed secret; the recorder does not know into which field."""
    rows: list[dict[str, Any]] = [
        {"time_stamp": 10.0 + n / 30, "action": "move", "x": -1919.5 + n, "y": 40_000 + n}
        for n in range(20)
    ]
    rows += [
        {"time_stamp": 11.0, "action": "click", "x": 5, "y": 6, "button": "left", "pressed": True},
        {"time_stamp": 11.1, "action": "click", "x": 5, "y": 6, "button": "left", "pressed": False},
        {"time_stamp": 11.2, "action": "scroll", "x": 5, "y": 6, "dx": 0, "dy": -1},
    ]
    for n, letter in enumerate(secret):
        rows += [
            {"time_stamp": 12 + n / 10, "action": "press", "name": letter, "pynput_key": letter},
            {
                "time_stamp": 12.05 + n / 10,
                "action": "release",
                "name": letter,
                "pynput_key": letter,
            },
        ]
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def openadapt(path: Path) -> Path:
    """The tables of openadapt-capture 1.3 that matter, with a screenshot and keys in two fields."""
    base = sqlite3.connect(path)
    base.executescript(
        "CREATE TABLE recording (id INTEGER PRIMARY KEY, timestamp NUMERIC(10, 2), task_description VARCHAR);"
        "CREATE TABLE window_event (id INTEGER PRIMARY KEY, source_ordinal INTEGER, recording_id INTEGER,"
        ' timestamp NUMERIC(10, 2), state JSON, title VARCHAR, "left" INTEGER, top INTEGER, width INTEGER,'
        " height INTEGER, window_id VARCHAR);"
        "CREATE TABLE action_event (id INTEGER PRIMARY KEY, source_ordinal INTEGER, name VARCHAR,"
        " timestamp NUMERIC(10, 2), recording_id INTEGER, mouse_x NUMERIC, mouse_y NUMERIC, mouse_dx NUMERIC,"
        " mouse_dy NUMERIC, mouse_button_name VARCHAR, mouse_pressed BOOLEAN, key_name VARCHAR, key_char VARCHAR,"
        " element_state JSON, disabled BOOLEAN);"
        "CREATE TABLE screenshot (id INTEGER PRIMARY KEY, timestamp NUMERIC(10, 2), png_data BLOB, png_sha256 VARCHAR);"
    )  # fmt: skip
    windows = [("Plan - Writer", 0), ("Sign in - KeePassXC", 30), ("Plan - Writer", 40)]
    base.executemany(
        'INSERT INTO window_event (recording_id, timestamp, state, title, "left", top, width, height)'
        " VALUES (1, ?, '{}', ?, -1920, 0, 1920, 1080)",
        [(START_S + second + 0.25, title) for title, second in windows],
    )
    text = json.dumps({"AXRole": "AXTextArea"})
    secure = json.dumps({"AXRole": "AXTextField", "AXSubrole": "AXSecureTextField"})
    rows: list[tuple[Any, ...]] = [
        ("click", 1.0, 5, 6, "left", 1, None, text),
        ("click", 1.1, 5, 6, "left", 0, None, text),
    ]
    rows += [("press", 2 + n / 10, None, None, None, None, c, text) for n, c in enumerate("hello")]
    rows += [("press", 5 + n / 10, None, None, None, None, c, secure) for n, c in enumerate(HUSH)]
    rows += [("press", 10 + n / 10, None, None, None, None, c, None) for n, c in enumerate(HUSH)]
    base.executemany(
        "INSERT INTO action_event (name, timestamp, recording_id, mouse_x, mouse_y, mouse_button_name,"
        " mouse_pressed, key_char, element_state, disabled) VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?, 0)",
        [(name, START_S + at, *rest) for name, at, *rest in rows],
    )
    base.executemany(
        "INSERT INTO screenshot (timestamp, png_data) VALUES (?, ?)",
        [(START_S + n, PNG + bytes(3 << 20)) for n in range(2)],
    )
    base.commit()
    base.close()
    return path


def slack_files() -> dict[str, Any]:
    """Channels of every kind; Eve writes, is spoken to, is quoted and shares a direct channel."""

    def say(user: str, second: float, text: str, **more: Any) -> dict[str, Any]:
        return {
            "type": "message",
            "user": user,
            "ts": f"{START_S + second:.6f}",
            "text": text,
            **more,
        }

    first = f"{START_S + 1:.6f}"
    return {
        "users.json": [
            {"id": key, "name": value.split("@")[0], "profile": {"email": value, "real_name": "Somebody"}}
            for key, value in ADDRESS.items()
        ],
        "channels.json": [{"id": "C1", "name": "general", "members": ["U1", "U2", "U3"]}],
        "groups.json": [{"id": "G1", "name": "plans", "members": ["U1", "U2"]}],
        "mpims.json": [{"id": "G2", "name": "mpdm-all", "members": ["U1", "U2", "U3"]}],
        "dms.json": [{"id": "D1", "members": ["U1", "U2"]}, {"id": "D2", "members": ["U1", "U3"]}],
        "general/2024-10-04.json": [
            say("U1", 1, "the build is green <@U3|eve> please look", thread_ts=first),
            say("U3", 2, f"{EVE} in the channel", thread_ts=first),
            say("U2", 3, f"&gt; {EVE} in the channel\nI agree", thread_ts=first),
            say("U2", 4, "", subtype="file_share", files=[{"name": "card_4111_1111_1111_1111.pdf"}, {"name": "plan.txt"}]),
            say("U1", 5, "edited words", edited={"user": "U1", "ts": f"{START_S + 6:.6f}"}),
            {"type": "message", "subtype": "bot_message", "bot_id": "B1", "ts": f"{START_S + 7:.6f}", "text": EVE},
            {"type": "message", "subtype": "message_changed", "ts": f"{START_S + 8:.6f}", "message": {"text": EVE},
             "previous_message": {"text": EVE}},
            say("U3", 9, f"{EVE} has joined", subtype="channel_join"),
            say("U1", 10, "look at that", attachments=[{"text": EVE, "author_id": "U3"}],
                blocks=[{"type": "rich_text", "elements": [{"text": EVE}]}]),
        ],
        "plans/2024-10-04.json": [say("U1", 20, "a private plan")],
        "mpdm-all/2024-10-04.json": [say("U1", 30, f"with her {EVE}")],
        "D1/2024-10-04.json": [say("U1", 40, "between us two")],
        "D2/2024-10-04.json": [say("U1", 50, f"to her alone {EVE}")],
        "unlisted/2024-10-04.json": [say("U1", 60, f"nobody knows who reads {EVE}")],
    }  # fmt: skip


def zipped(files: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in files.items():
            archive.writestr(name, value if isinstance(value, bytes) else json.dumps(value))
    return sink.getvalue()


def slack() -> bytes:
    return zipped(slack_files())


def mail(sender: str, to: str, text: str, *, minute: int, **headers: str) -> bytes:
    message = EmailMessage()
    message["From"] = f"Some Body <{sender}>"
    message["To"] = to
    message["Date"] = datetime.fromtimestamp(START_S + 60 * minute, UTC).strftime(
        "%a, %d %b %Y %H:%M:%S +0000"
    )
    message["Message-ID"] = f"<m{minute}@acme.example>"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return message.as_bytes()


def mbox() -> bytes:
    ann, bob, eve = ADDRESS.values()
    original = f"On Friday, Eve wrote:\n{EVE} in lines without a sign\nsecond line of hers"
    german = f"Am 04.10.2024 schrieb Eve <{eve}>:\n{EVE}"
    outlook = f"_____\nVon: Eve\nGesendet: Freitag\nAn: Ann\nBetreff: {EVE}\n\n{EVE}"
    french = f"Le ven. 4 oct. 2024, Eve a écrit :\n{EVE}"
    messages = [
        mail(ann, bob, "shall we meet\n>From the start", minute=0, Subject="Meeting about plan"),
        mail(
            bob,
            ann,
            f"yes\n\n> {EVE}",
            minute=1,
            Subject=f"Re: {EVE}",
            In_Reply_To="<m0@acme.example>",
        ),
        mail(ann, f"{bob}, {eve}", f"to all {EVE}", minute=2, Subject="all"),
        mail(ann, bob, f"blind {EVE}", minute=3, Bcc=eve),
        mail(eve, ann, EVE, minute=4, Subject=EVE),
        mail("stranger@elsewhere.example", ann, EVE, minute=5),
        mail(ann, bob, f"see below\n\n{original}", minute=6, Subject=f"AW: {EVE}"),
        mail(ann, bob, f"ja\n\n{german}", minute=7),
        mail(ann, bob, f"ja\n\n{outlook}", minute=8),
        mail(ann, bob, f"oui\n\n{french}", minute=9),
    ]
    attached = EmailMessage()
    attached["From"], attached["To"] = ann, bob
    attached["Date"] = datetime.fromtimestamp(START_S + 600, UTC).strftime(
        "%a, %d %b %Y %H:%M:%S +0000"
    )
    attached["Message-ID"] = "<m10@acme.example>"
    attached.set_content("with a file")
    attached.add_attachment(
        PNG, maintype="image", subtype="png", filename="card_4111_1111_1111_1111.png"
    )
    attached.add_attachment(EVE, subtype="html", filename="notes.html")
    messages.append(attached.as_bytes())
    return b"".join(
        b"From x@y Fri Oct  4 10:00:00 2024\n" + one.replace(b"\nFrom ", b"\n>From ") + b"\n"
        for one in messages
    )


def webvtt() -> bytes:
    return f"""\ufeffWEBVTT - made here

NOTE {EVE} in a note

STYLE
::cue {{ color: red }}

1
00:00:01.000 --> 00:00:03.500
ann@acme.example: good morning, my card number is 4111 1111 1111 1111

2
00:00:04.000 --> 00:00:06.000 align:start
Eve Outside: {EVE} from her

3
00:00:07.000 --> 00:00:09.000
{EVE} without a name

guid/12-0
00:00:10.000 --> 00:00:12.000
<v bob@acme.example>first half of it</v>

guid/12-1
00:00:12.000 --> 00:00:14.000
second half of it

00:15.000 --> 00:18.000
<v.loud bob@acme.example>mine</v> <v Eve Outside>{EVE}</v> {EVE}

01:00:20.000 --> 01:00:22.000
ann@acme.example: my line
Eve Outside: {EVE}
{EVE} as well
""".encode()


def hr() -> bytes:
    return (
        "\ufeffEmployeeNumber,Age,JobSatisfaction,PerformanceRating,EnvironmentSatisfaction,JobInvolvement,"
        "RelationshipSatisfaction,TrainingTimesLastYear,WorkLifeBalance,MonthlyIncome,Attrition,Attrition\n"
        "1,41,4,3,2,3,1,0,1,5993,Yes,Yes\n2,49,2,4,3,2,4,3,3,5130,No,No\n3,37,3,3,4,2,2,,3,2090,No,No\n"
    ).encode()
