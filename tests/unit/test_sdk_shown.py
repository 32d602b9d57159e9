"""What is shown and what is not: no repr, no error and no frame holds a value, a token, a key or a passphrase."""

from __future__ import annotations

import base64
import re
import secrets
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.ultratb import VerboseTB
from tests.served import F1, PURPOSE, REASON, TOP1, Served, copy_served, found_served
from tests.world import outside

import safehold
from safehold.errors import ConflictError, SafeholdError, UnavailableError
from safehold.sdk import Result, notebook
from safehold.sdk.border import Secret, bare, guarded
from safehold.sdk.standing import Standing

WORDS = st.text(st.characters(categories=["L", "N", "P"]), min_size=6, max_size=20).map(
    "«{}»".format
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "word": WORDS,
            "count": st.integers(10**9, 2**62),
            "share": st.floats(1.0001, 1e6).map(lambda share: share + 1e-7),
            "words": st.lists(WORDS, max_size=3),
            "struct": st.fixed_dictionaries({"inner": WORDS}),
        }
    ),
    min_size=1,
    max_size=5,
)
SCHEMA = pa.schema(
    [
        ("word", pa.string()),
        ("count", pa.int64()),
        ("share", pa.float64()),
        ("words", pa.list_(pa.string())),
        ("struct", pa.struct([("inner", pa.string())])),
    ]
)


def shown(thing: Any) -> str:
    """Return every text that somebody meets of a thing without asking for its values."""
    texts = [repr(thing), str(thing), f"{thing}", "{:}".format(thing)]  # noqa: UP032
    if hasattr(thing, "_repr_html_"):
        texts.append(thing._repr_html_())
    return "\n".join(texts)


def leaves(value: Any) -> Iterator[str]:
    """Yield every value in a tree of rows, as somebody would read it."""
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    elif value is not None:
        yield str(value)


@given(rows=ROWS)
@settings(max_examples=60)
def test_no_repr_of_a_result_holds_a_value_of_it(rows: list[dict[str, Any]]) -> None:
    result = Result("made up", SCHEMA, lambda: rows)
    before = shown(result)
    assert result.to_dicts() == rows
    after = shown(result)
    assert f"{len(rows)} row" in after
    for text in (before, after):
        assert "word" in text
        assert not [value for value in leaves(rows) if value in text]


@given(word=WORDS)
@settings(max_examples=30)
def test_an_answer_of_another_shape_is_not_quoted(word: str) -> None:
    result = Result("made up", pa.schema([("count", pa.int64())]), lambda: [{"count": word}])
    with pytest.raises(SafeholdError) as caught:
        result.to_arrow()
    assert caught.value.rule == "sdk.fault"
    assert word not in ours_of(caught.value) + shown(result)


@given(words=st.lists(st.text(min_size=1, max_size=30), min_size=4, max_size=4))
@settings(max_examples=60)
def test_what_a_notebook_shows_is_escaped(words: list[str]) -> None:
    title, seat, other, state = (f"<b onclick='x'>&{word}</b>" for word in words)
    standing = Standing(
        state=state,
        decisions={seat: "approve", other: "deny"},
        agreed=1,
        needed=2,
        runs=0,
        of=3,
        ends_us=None,
        entry=7,
    )
    drawn = notebook.draw_standing(title, standing)
    drawn += notebook.draw_result(title, other, [(seat, state)]) + notebook.draw_list(title, [seat])
    assert "<b onclick" not in drawn
    assert "&lt;b onclick=" in drawn


def report_of(error: BaseException) -> str:
    """Return what the loudest reporters print of an error: every frame with its variables, of the whole chain."""
    plain = "".join(
        traceback.TracebackException.from_exception(error, capture_locals=True).format()
    )
    verbose = VerboseTB().text(type(error), error, error.__traceback__)
    return plain + re.sub(r"\x1b\[[0-9;]*m", "", verbose)


def ours_of(error: BaseException) -> str:
    """Return the words of an error and the variables of its frames in our source; what the caller holds is theirs."""
    frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack
    ours = [str(one.locals) for one in frames if "/safehold/" in one.filename]
    assert ours, "it passed the border"
    return "\n".join([str(error), repr(error), *ours])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("made")
    with outside(path):
        return found_served(path)


@pytest.fixture
def served(made, tmp_path: Path) -> Iterator[Served]:
    one = copy_served(made, tmp_path).start()
    yield one
    one.stop()


def fault(act: Callable[[], Any]) -> BaseException:
    try:
        act()
    except BaseException as error:
        return error
    raise AssertionError("nothing was refused")


def test_an_unguarded_error_would_show_it() -> None:
    def unguarded() -> None:
        token = "canary-0451"  # noqa: F841
        raise RuntimeError("broken")

    assert "canary-0451" in report_of(fault(unguarded)), "the reporters look into frames"
    error = fault(guarded(unguarded))
    assert "canary-0451" not in report_of(error)
    assert isinstance(error, SafeholdError)
    assert error.rule == "sdk.fault"
    assert "RuntimeError" in error.message
    assert error.__context__ is None
    assert error.__cause__ is None


def test_interruptions_stay_interruptions() -> None:
    assert type(bare(KeyboardInterrupt("canary"))) is KeyboardInterrupt
    assert bare(KeyboardInterrupt("canary")).args == ()
    assert bare(SystemExit("canary")).args == (1,)

    def interrupted() -> list[dict[str, Any]]:
        raise KeyboardInterrupt

    result = Result("made up", SCHEMA, interrupted)
    with pytest.raises(KeyboardInterrupt):
        result.to_arrow()
    with pytest.raises(UnavailableError) as caught:  # a run that may go on is not begun again
        result.to_arrow()
    assert caught.value.rule == "sdk.interrupted"


def test_a_result_is_not_read_from_within() -> None:
    result: Result

    def around() -> list[dict[str, Any]]:
        assert result.state == "asking"
        assert "being asked" in repr(result)
        return result.to_dicts()

    result = Result("made up", SCHEMA, around)
    with pytest.raises(ConflictError):
        result.to_dicts()


def test_nothing_of_a_run_shows_what_was_held(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Walk a session through success, refusal and loss, and look at everything it prints."""
    tokens: list[str] = []
    calls = served.bench.verbs.grants
    enact = calls._enact

    def watched(arguments: dict[str, Any]) -> dict[str, Any]:
        answer = enact(arguments)
        tokens.append(answer["token"])
        return answer

    monkeypatch.setattr(calls, "_enact", watched)
    session = safehold.connect(served.home, as_="ana", passphrase="passphrase-canary-9914")
    request = session.request(PURPOSE, reason=REASON)
    served.agree(request.id)
    use = request.wait().open()
    features, trained = use.features(), use.train()
    features.to_arrow()
    values = set(leaves(trained.to_dicts()[0] | {"entry": None}))
    refused = use.train()
    errors = [
        fault(refused.to_arrow),
        fault(lambda: session.request(PURPOSE, reason="-")),
        fault(lambda: session.find("grant_none")),
        fault(lambda: session.request(PURPOSE, reason=REASON, columns=["key.none"])),
    ]
    monkeypatch.setitem(sys.modules, "pandas", None)
    errors.append(fault(trained.to_pandas))
    late = use.train()
    served.stop()
    errors += [fault(late.to_arrow), fault(request.refresh), fault(request.open)]
    errors.append(fault(lambda: use.train().to_arrow()))
    assert [type(one) for one in errors if not isinstance(one, SafeholdError)] == []

    seed = session._key.seed()
    held = {
        *tokens,
        base64.b64encode(seed).decode(),
        seed.hex(),
        repr(seed)[2:-1],
        "passphrase-canary",
    }
    assert len(tokens) >= 3
    things: list[Any] = [
        session, request, use, features, trained, refused, request.price, session.ledger,
        session.budget(), request.standing, *errors,
    ]  # fmt: skip
    texts = "\n".join(shown(one) for one in things)
    reports = "\n".join(report_of(one) for one in errors)
    precise = {str(TOP1), str(F1)}
    assert precise <= values
    for text in (texts, reports):
        assert not [secret for secret in held if secret in text]
        assert not [value for value in precise if value in text]
    assert REASON not in texts + "\n".join(ours_of(one) for one in errors)
    assert request.id in texts
    assert "sdk.pandas" in {getattr(one, "rule", None) for one in errors}
    served.start()
    session.close()


def test_a_passphrase_is_in_no_frame(made, tmp_path: Path) -> None:
    served = copy_served(made, tmp_path)
    given = secrets.token_hex(16)  # in no line of source that a reporter quotes
    error = fault(lambda: safehold.connect(served.home, passphrase=given))
    assert isinstance(error, SafeholdError)
    assert error.rule != "sdk.fault", error.message
    assert given not in ours_of(error)


def test_a_secret_shows_nothing() -> None:
    secret = Secret("canary")
    assert "canary" not in shown(secret)
    assert secret.tell() == "canary"
    assert isinstance(fault(lambda: __import__("pickle").dumps(secret)), SafeholdError)
