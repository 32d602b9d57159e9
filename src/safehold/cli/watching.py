"""Alerts of a home, on the command line: looked at, answered, watched for, and the events they are about."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from safehold.cli.surface import (
    DEFAULT_HOME,
    HomeOption,
    JsonOption,
    keeper,
    moment,
    put,
    say,
)

Number = Annotated[int, typer.Argument(help="The alert: the entry of its leaf.")]
WORDS = {
    "review": "somebody looks at it",
    "hold_result": "the result is held back",
    "suspend_token": "suspended",
    "freeze_enclave": "its runs are ended",
    "pause_purpose": "the purpose is paused",
}


def register(group: typer.Typer) -> None:
    """Add the commands to ``safehold alert``."""
    group.command(name="list")(listing)
    for command in (show, ack, watch, events):
        group.command()(command)


def listing(
    *,
    waiting: Annotated[
        bool, typer.Option("--open", help="Only those that nobody has answered.")
    ] = False,
    limit: Annotated[int, typer.Option(help="At most so many.")] = 100,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List the alerts: those that wait for an answer first, the gravest at the top; else the newest."""
    with keeper(home) as client:
        found = client.call("alert.list", open=waiting, limit=limit)
    if as_json:
        put(found, as_json=True)
        return
    for one in found["alerts"]:
        sys.stdout.write(_line(one) + "\n")
    say(f"{found['open']} of {found['of']} wait for an answer")


def show(alert: Number, *, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show one alert: the sentence, the entries that show it, what was done, and who answered."""
    with keeper(home) as client:
        found = client.call("alert.show", alert=alert)
    if as_json:
        put(found, as_json=True)
        return
    sys.stdout.write(_line(found) + "\n")
    sys.stdout.write(
        f"  entries: {', '.join(map(str, found['events']))} (safehold ledger show N)\n"
    )
    if found["late"]:
        sys.stdout.write("  it was found more than a day later: nothing was done by itself\n")
    for done in found["done"]:
        for step in done.get("did", ()):
            sys.stdout.write(f"  {_step(step)} (entry {done['entry']})\n")
    if "acked" in found:
        said = found["acked"]
        sys.stdout.write(f"  answered by {said['by']}: {said['reason']} (entry {said['entry']})\n")


def ack(
    alert: Number,
    *,
    reason: Annotated[str, typer.Option(help="What you found, in a sentence; it is kept sealed.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Answer an alert after you have looked at it. It lifts nothing: see principal restore, containment lift."""
    with keeper(home) as client:
        put(client.call("alert.ack", alert=alert, reason=reason), as_json=as_json)


def watch(
    *,
    once: Annotated[bool, typer.Option("--once", help="Read what there is, and end.")] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Watch who asks for data, in the foreground; each alert is a line. `safehold serve` does it by itself."""
    import threading

    from safehold.app.sentinel import Reader, answers_now
    from safehold.app.sentinel import watch as go_on
    from safehold.settings import Home

    def told(alert: Mapping[str, Any]) -> None:
        if alert["new"]:
            _write(alert, as_json=as_json)

    with keeper(home) as client:
        reader = Reader(client, answers=answers_now(Home.open(home)), told=told)
        if once:
            while reader.turn():
                pass
        else:
            say("watching; interrupt to end")
            go_on(reader, until=threading.Event(), say=say)
        reader.end()


def events(
    *,
    since: Annotated[int, typer.Option(help="From this entry on.")] = 0,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Write who asked for what, a JSON object a line: all that the sentinel knows. For alert replay --live."""
    import orjson

    from safehold.clock import moment_of
    from safehold.ids import random_bytes

    reader = random_bytes(16).hex()
    with keeper(home) as client:
        more = True
        while more:
            found = client.call("sentinel.events", reader=reader, since=since)
            for one in found["events"]:
                told = {"t": moment_of(one["t_us"]), **one}  # for people, and for other readers
                sys.stdout.write(orjson.dumps(told, option=orjson.OPT_SORT_KEYS).decode() + "\n")
            since, more = found["next"], found["next"] < found["size"]
        client.call("sentinel.done", reader=reader)


def _write(alert: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        put(dict(alert), as_json=True)
    else:
        shown = {**alert, "state": "acted" if alert["acted"] else "raised"}
        sys.stdout.write(_line(shown) + "\n")
    sys.stdout.flush()


def _line(one: Mapping[str, Any]) -> str:
    done = [WORDS.get(str(name), str(name)) for name in one["answers"] if name != "review"]
    state = f"acted: {', '.join(done)}" if one["state"] == "acted" and done else one["state"]
    about = one["principal"] or "nobody can tell any more"
    return (
        f"{one['alert']}  {moment(one['t_us'])}  severity {one['severity']}  {one['signal']}  {about}:"
        f" {one['sentence'] or '-'}  [{state}]"
    )


def _step(step: Mapping[str, Any]) -> str:
    name = WORDS.get(str(step["answer"]), str(step["answer"]))
    if "refused" in step:
        return f"{name}: not done ({step['refused']})"
    if step["what"] == "nothing":
        return f"{name}: there was nothing to end"
    return f"{name}: {step['what']} {step['target']}, entry {step['entry']}"
