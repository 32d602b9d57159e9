"""``safehold me``: what you choose about your own data, signed with your own key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from safehold.cli.surface import DEFAULT_HOME, HomeOption, JsonOption, existing, keeper, put

if TYPE_CHECKING:
    from safehold.app.me import Me

group = typer.Typer(
    no_args_is_help=True, help="You and your own data: choose, see, ask. Signed with your key."
)

Person = Annotated[str, typer.Argument(help="You, by the company's name for you.")]
KeyOption = Annotated[
    Path | None,
    typer.Option(help="Your key file. Without it your sign-in speaks, if you linked it."),
]
Receipts = Annotated[Path, typer.Option(help="Folder in which you keep your receipts.")]
Purposes = Annotated[
    list[str] | None, typer.Option("--purpose", help="A purpose of the charter; may be repeated.")
]
Text = Annotated[str | None, typer.Option(help="What you want to say, in at most 300 characters.")]
KEPT = Path("receipts")


@contextmanager
def _me(home: Path, person: str, key: Path | None) -> Iterator[Me]:
    from safehold.app.me import Me
    from safehold.settings import Home
    from safehold.signing import SigningKey

    with keeper(home) as client:
        signer = None if key is None else SigningKey.read(existing(key))
        yield Me(Home.open(home), client, person=person, key=signer)


@group.command()
def join(
    person: Person,
    *,
    code: Annotated[str, typer.Option(prompt=True, help="The one-time code that you were given.")],
    key: Annotated[Path, typer.Option(help="Where your new key goes.")],
    receipts: Receipts = KEPT,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Make your key, and set it with the code: from now on you speak for yourself."""
    from safehold.app.me import new_key

    made = new_key(key)
    try:
        with _me(home, person, key) as me:
            answer = me.choose("key", receipts=receipts, new_key=made.public.text(), code=code)
    except BaseException:
        key.unlink()
        raise
    put({"key": made.public.text(), **answer}, as_json=as_json)


@group.command()
def link(
    person: Person,
    *,
    code: Annotated[
        str | None, typer.Option(help="The one-time code that you were given, if you have no key.")
    ] = None,
    key: KeyOption = None,
    receipts: Receipts = KEPT,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Let your sign-in speak for you: it shows what is yours and narrows; what widens still takes your key."""
    with _me(home, person, key) as me:
        put(me.link(code, receipts=receipts), as_json=as_json)


@group.command()
def unlink(
    person: Person,
    *,
    key: KeyOption = None,
    receipts: Receipts = KEPT,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """End that a sign-in speaks for you."""
    with _me(home, person, key) as me:
        put(me.choose("unlink", receipts=receipts), as_json=as_json)


@group.command()
def disown(
    person: Person,
    *,
    key: KeyOption = None,
    receipts: Receipts = KEPT,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Take away a key or a sign-in that a code set within the last seven days and that is not yours."""
    with _me(home, person, key) as me:
        put(me.choose("disown", receipts=receipts), as_json=as_json)


@group.command()
def erase(
    person: Person,
    *,
    key: KeyOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
    receipt: Annotated[Path, typer.Option(help="New file for the receipt of the erasure.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Have your keys destroyed: shows what ends, asks once more, and cannot be undone."""
    from safehold.app.trail import keep_receipt

    with _me(home, person, key) as me:
        shown = me.ask("people.leave")
        if not yes:
            put({name: one for name, one in shown.items() if name != "confirm"}, as_json=False)
            typer.confirm(
                "This cannot be undone. Erase everything about you?", abort=True, err=True
            )
        put(keep_receipt(me.leave(str(shown["confirm"])), receipt), as_json=as_json)


@group.command()
def copy(
    person: Person,
    *,
    to: Annotated[Path, typer.Option(help="Key file that opens it: safehold-verify key.")],
    out: Annotated[Path, typer.Option(help="New file for the sealed copy.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Write a copy of everything that is held about you, sealed to a key of yours, by your linked sign-in."""
    with _me(home, person, None) as me:
        put(me.copy(existing(to), out), as_json=as_json)


@group.command()
def show(
    person: Person,
    *,
    key: KeyOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show what you chose, what waits for an answer, and what others entered about you."""
    with _me(home, person, key) as me:
        standing = me.ask("people.show")
        entered = [one for one in me.receipts(None) if one["by"] not in {"person", "sign-in"}]
    standing["entered_by_others"] = entered
    put(standing, as_json=as_json)


@group.command()
def consent(
    person: Person,
    streams: Annotated[list[str], typer.Argument(help="Streams: key pointer chat ai ...")],
    *,
    key: KeyOption = None,
    purpose: Purposes = None,
    receipts: Receipts = KEPT,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Opt in to streams, for the purposes named or all of the charter; it replaces an earlier opt-in."""
    with _me(home, person, key) as me:
        put(
            me.choose("consent", receipts=receipts, streams=streams, purposes=purpose or None),
            as_json=as_json,
        )


@group.command()
def pause(
    person: Person,
    *,
    key: KeyOption = None,
    lasting: Annotated[
        str | None, typer.Option("--for", help="30m, 8h, 3d, 2w; without it until you resume.")
    ] = None,
    after: Annotated[
        str | None, typer.Option("--in", help="When it begins, from now: 30m, 8h, 3d.")
    ] = None,
    receipts: Receipts = KEPT,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Pause: nothing is recorded and nothing used; it may begin later, and end by itself."""
    from safehold.app.me import length_us
    from safehold.clock import SystemClock

    now = SystemClock().now_us()
    start = None if after is None else now + length_us(after)
    end = None if lasting is None else (start or now) + length_us(lasting)
    with _me(home, person, key) as me:
        put(me.choose("pause", receipts=receipts, start_us=start, end_us=end), as_json=as_json)


@group.command()
def resume(
    person: Person,
    *,
    key: KeyOption = None,
    planned: Annotated[bool, typer.Option(help="Give up planned pauses too.")] = False,
    receipts: Receipts = KEPT,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """End a pause, before its time if it has one."""
    with _me(home, person, key) as me:
        put(me.choose("resume", receipts=receipts, planned=planned or None), as_json=as_json)


@group.command()
def withdraw(
    person: Person,
    *,
    key: KeyOption = None,
    receipts: Receipts = KEPT,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Withdraw: every key of yours is withheld from the next release on."""
    with _me(home, person, key) as me:
        put(me.choose("withdraw", receipts=receipts), as_json=as_json)


@group.command(name="object")
def object_to(
    person: Person,
    *,
    purpose: Annotated[list[str], typer.Option(help="The purpose; may be repeated.")],
    key: KeyOption = None,
    text: Text = None,
    receipts: Receipts = KEPT,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Object to a purpose: it ends for you at once, and the board owes you an answer."""
    with _me(home, person, key) as me:
        put(me.choose("object", receipts=receipts, purposes=purpose, text=text), as_json=as_json)


@group.command()
def restrict(
    person: Person,
    *,
    key: KeyOption = None,
    text: Text = None,
    receipts: Receipts = KEPT,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Restrict all use: what is sealed stays, no key is released, and nothing is recorded, until you lift it."""
    with _me(home, person, key) as me:
        put(me.choose("restrict", receipts=receipts, text=text), as_json=as_json)


@group.command()
def lift(
    person: Person,
    *,
    key: KeyOption = None,
    receipts: Receipts = KEPT,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Lift your restriction."""
    with _me(home, person, key) as me:
        put(me.choose("lift", receipts=receipts), as_json=as_json)


@group.command()
def correct(
    person: Person,
    *,
    about: Annotated[
        list[str], typer.Option(help="What is wrong: jurisdiction, label, attribution, metadata.")
    ],
    days: Annotated[
        list[str] | None,
        typer.Option(help="Which data: speech:2026-11-02, or key:2026-11-02..2026-11-04."),
    ] = None,
    key: KeyOption = None,
    text: Text = None,
    receipts: Receipts = KEPT,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong about you: the days you name are left out of every use from now on."""
    from safehold.app.me import days_of

    with _me(home, person, key) as me:
        put(
            me.choose(
                "correct",
                receipts=receipts,
                about=sorted(set(about)),
                days=days_of(days) if days else None,
                text=text,
            ),
            as_json=as_json,
        )


@group.command()
def receipts(
    person: Person,
    *,
    key: KeyOption = None,
    out: Annotated[Path, typer.Option(help="Folder for them.")] = KEPT,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Write the receipts of everything you chose and of what others entered about you, each checked."""
    with _me(home, person, key) as me:
        put({"receipts": me.receipts(out)}, as_json=as_json)


@group.command()
def trail(
    person: Person,
    *,
    key: KeyOption = None,
    proof: Annotated[Path, typer.Option(help="New directory for the package with all proofs.")],
    receipt: Annotated[
        Path | None, typer.Option(help="Your receipt from the enrolment, to compare the keys with.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Write the complete, provable list of uses of your data, check it offline, and tell it in plain words."""
    from safehold.app.trail import check_package, report_of, told, write_package
    from safehold.settings import Home

    with _me(home, person, key) as me:
        answer = me.ask("people.trail")
    file = write_package(proof, answer["package"])
    report = check_package(Home.open(home), file, None if receipt is None else existing(receipt))
    if as_json:
        put(report_of(report), as_json=True)
        return
    for line in told(report):
        put(line, as_json=False)
