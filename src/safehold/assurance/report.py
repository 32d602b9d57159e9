"""The one-page report of a run: what went in, what was left out, what came out, and what is not proved.

Plain HTML and SVG without scripts, links or remote parts; every chart has its table beside it. It holds counters
only, so it may lie in the home and be passed on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

LIMITS = (
    "Root on the machine of the keeper can read the keeper's memory while it runs. This home is at level {level}.",
    (
        "The witness lies on the same machine, outside the home: it finds a ledger that was rolled back or "
        "rewritten, but it does not survive somebody with root."
    ),
    (
        "Detection by patterns misses things. What it misses is sealed like everything else and is used only "
        "inside sandboxes."
    ),
    "Epsilon and delta bound what the model can reveal about one person; they do not make it nothing.",
    "Sandboxes share one kernel with the machine. Faults of the kernel and timing channels are not covered.",
)
SEARCH_LIMIT = (
    "The search finds values spelt as they were planted (also in UTF-16, in base64 and in compressed parts). "
    "What is cut up or spelt another way it would miss."
)
LEVELS = {
    "E0": "E0: nothing isolates what computes from this machine; real data is refused",
    "E1": "E1: what computes is kept from files and network by Landlock and seccomp",
    "E2": "E2: what computes has namespaces of its own and seccomp",
    "E3": "E3: what computes has namespaces of its own, Landlock and seccomp: no network, no files",
    "K1": "K1: the process with the keys is a process of its own, under the same user as its callers",
}

WORDS = "what that is"  # head of the one column that holds words
REASONS = {
    "reduced": "a minimised stream does not keep it: paths between clicks, keys let go, times",
    "not_participating": "from people who did not opt in, withdrew, or work elsewhere",
    "not_collected": "a stream that the charter does not name",
    "not_mapped": "nothing in the mapping says what it is",
    "denied_context": "in a password manager, at a bank, on a health or sign-in page, or just after",
    "paused": "while the person had paused: nothing of it was recorded",
    "password_field": "typed into a password field",
    "channel": "in a private channel or a direct message",
    "counterpart": "a conversation with somebody who has not opted in",
    "not_consented": "written by somebody who has not opted in",
    "participants_unknown": "a conversation with people who are not known",
    "clipboard": "pasted",
    "app_not_listed": "in an application that the charter does not list",
    "past_retention": "older than it may be kept",
    "key": "key presses, as classes such as letter or digit",
    "pointer": "what was clicked and scrolled",
    "focus": "which kind of window was in front",
    "chat": "messages in public work channels",
    "ai": "turns with an AI assistant",
}

_STYLE = """
:root{--ink:#14212e;--soft:#566573;--line:#d5dde5;--fill:#2b5c8a;--pale:#eef3f8;--good:#2c7a45;
--paper:#fff}
@media (prefers-color-scheme:dark){:root{--ink:#e8eef4;--soft:#a9b7c4;--line:#3a4856;
--fill:#7fb2e0;--pale:#1f2a35;--good:#7fcf9a;--paper:#121a22}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:60rem;margin:0 auto;padding:1.5rem}
h1{font-size:1.7rem;margin:.2rem 0}h2{font-size:1.2rem;margin:2rem 0 .5rem}
.lead{font-size:1.1rem}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.7rem;padding:0;
margin:1rem 0;list-style:none}
.facts li{background:var(--pale);border-radius:.5rem;padding:.7rem}
.facts b{display:block;font-size:1.4rem}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;margin:.4rem 0}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line)}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
svg{width:100%;height:auto;max-width:44rem}
.bar{fill:var(--fill)}.base{fill:var(--soft)}.label{fill:var(--ink);font-size:13px}
.ok{color:var(--good);font-weight:bold}code{font-size:.9em;overflow-wrap:anywhere}
footer{color:var(--soft);margin-top:2rem;border-top:1px solid var(--line);padding-top:.7rem}
"""


def render(result: Mapping[str, Any]) -> str:
    """Return the page for the result of a run."""
    training = result.get("training", {})
    status = result["status"]
    parts = [
        "<h1>What happened to the data</h1>",
        f'<p class="lead">{escape(_lead(result))}</p>',
        f"<p>{escape(_people_words(result))}</p>",
        _facts(result),
        *_outcome(training),
        "<h2>What went in, and what did not</h2>",
        _table(
            ("source", "taken", "of these masked", "dropped", "refused"),
            [
                (
                    source["file"],
                    *(
                        source["totals"].get(group, 0)
                        for group in ("taken", "masked", "dropped", "refused")
                    ),
                )
                for source in result["sources"]
            ],
        ),
        _groups(result["sources"]),
    ]
    parts += [
        "<h2>The record</h2>",
        _record(result),
        "<h2>What is not proved</h2><ul>",
        *(
            f"<li>{escape(line.format(level=status['keeper_level']))}</li>"
            for line in (*LIMITS, *([SEARCH_LIMIT] if "search" in result else []))
        ),
        "</ul>",
    ]
    return _page("".join(parts), result)


def _outcome(training: Mapping[str, Any]) -> list[str]:
    if training.get("models"):
        return [
            "<h2>What came out</h2>",
            f"<p>{escape(_model_words(training))}</p>",
            f"<p>{escape(_promise_words(training))}</p>",
            bars(training["models"]),
            _table(
                ("model", "top-1", "macro-F1"),
                [
                    (row["name"], f"{row['top1']:.3f}", f"{row['macro_f1']:.3f}")
                    for row in training["models"]
                ],
            ),
            *_noisy_words(training),
        ]
    if "artifact" in training:
        return [
            "<h2>What came out</h2>",
            (
                f"<p>A model over {training['people']:,} people with differential privacy, epsilon "
                f"{training['epsilon']:.2f}. They are too few to say anything about how good it is.</p>"
            ),
        ]
    if training:
        why = training.get("refused") or training.get("skipped") or "no score was released"
        return [f"<h2>What came out</h2><p>{escape(str(why))}.</p>"]
    return []


def bars(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a bar chart of top-1 accuracy as SVG."""
    step, left, width = 34, 150, 400
    height = step * len(rows) + 10
    drawn = [
        f'<svg viewBox="0 0 {left + width + 70} {height}" role="img" aria-labelledby="bt bd">',
        '<title id="bt">Top-1 accuracy by model</title>',
        '<desc id="bd">The same figures are in the table below.</desc>',
    ]
    for place, row in enumerate(rows):
        top = 6 + place * step
        length = max(round(width * float(row["top1"])), 1)
        kind = "bar" if row.get("private") else "base"
        drawn.append(
            f'<text class="label" x="{left - 8}" y="{top + 17}" text-anchor="end">{escape(row["name"])}</text>'
            f'<rect class="{kind}" x="{left}" y="{top}" width="{length}" height="24" rx="3"/>'
            f'<text class="label" x="{left + length + 8}" y="{top + 17}">{row["top1"]:.3f}</text>'
        )
    return "".join(drawn) + "</svg>"


def _lead(result: Mapping[str, Any]) -> str:
    taken = sum(source["totals"].get("taken", 0) for source in result["sources"])
    people = result["status"]["counts"]["people"]
    return (
        f"{taken:,} events of {people:,} people were taken in, minimised and sealed. "
        f"Every use is one of the {result['verification']['size']:,} entries of the ledger, which was verified."
    )


def _facts(result: Mapping[str, Any]) -> str:
    status, training = result["status"], result.get("training", {})
    facts = [
        ("people with data", f"{status['counts']['people']:,}"),
        ("sealed blocks", f"{status['counts']['blocks']:,}"),
        ("ledger entries", f"{result['verification']['size']:,}"),
        ("sandbox level", status["sandbox_level"]),
        ("keeper level", status["keeper_level"]),
    ]
    if "epsilon" in training:
        facts.append(("epsilon, per person", f"{training['epsilon']:.2f}"))
    if "search" in result:
        facts.append(
            (
                "planted secrets found",
                f"{result['search']['found']} of {result['search']['looked_for']:,}",
            )
        )
    return (
        '<ul class="facts">'
        + "".join(f"<li><b>{escape(value)}</b>{escape(name)}</li>" for name, value in facts)
        + "</ul>"
    )


def _groups(sources: Sequence[Mapping[str, Any]]) -> str:
    drawn = []
    for group, title in (
        ("taken", "Taken, by stream"),
        ("masked", "Masked, by class"),
        ("dropped", "Dropped, by reason"),
        ("refused", "Refused, by rule"),
    ):
        total: dict[str, int] = {}
        for source in sources:
            for name, count in source[group].items():
                total[name] = total.get(name, 0) + count
        if total:
            rows = [
                (name, count, REASONS.get(name, ""))
                for name, count in sorted(total.items(), key=lambda item: -item[1])
            ]
            table = _table(("", "events", WORDS), rows)
            drawn.append(f"<details><summary>{title}</summary>{table}</details>")
    return "".join(drawn)


def _people_words(result: Mapping[str, Any]) -> str:
    words = ""
    if result["status"].get("synthetic"):
        words = "The people are made up: nobody of them exists. "
    if people := result.get("people"):
        words += (
            f"{people['enrolled']:,} were asked and {people['participating']:,} take part; "
            f"{people['withdrawn']:,} withdrew after recording, and their blocks stay shut. "
        )
    return words + "Of who did not opt in no event is here."


def _model_words(training: Mapping[str, Any]) -> str:
    metrics = training.get("metrics", {})
    over = f"over {training['people']:,} people"
    if "trained" in metrics:
        over = (
            f"on {metrics['trained']:,} people and tried on {metrics['held_out']:,} others; "
            "the figures are about those others"
        )
    return (
        "A model of what somebody does next in a work application, with differential privacy whose unit is the "
        f"person. It was trained {over}. Bigram and majority are what guessing from the last action, and always "
        "guessing the most frequent one, would reach."
    )


def _promise_words(training: Mapping[str, Any]) -> str:
    """Say what epsilon means to somebody who is in the data."""
    factor = math.exp(training["epsilon"])
    return (
        f"What this promises each person: epsilon {training['epsilon']:.2f} and delta {training['delta']:.0e}. "
        "Whatever somebody concludes from the model about your taking part, they could have concluded without "
        f"you with odds at most {factor:.0f} times smaller, except with a chance of delta. A smaller epsilon "
        "promises more."
    )


def _noisy_words(training: Mapping[str, Any]) -> list[str]:
    noisy = training.get("noisy", {})
    if noisy.get("top1") is None:
        return []
    words = (
        "The figures above are exact, which is allowed for made-up people only. About real people this alone "
        f"would be released: top-1 {noisy['top1']:.3f}, with noise of a standard deviation of "
        f"{noisy['top1_error']:.3f}. It is part of what epsilon pays for."
    )
    return [f"<p>{escape(words)}</p>"]


def _record(result: Mapping[str, Any]) -> str:
    proof = result["verification"]
    rows = [
        ("entries", f"{proof['size']:,}"),
        ("root", proof["root"]),
        ("witnessed", ", ".join(proof.get("witnesses", [])) or "-"),
    ]
    status = result["status"]
    if result.get("training", {}).get("artifact"):
        rows.append(("model", result["training"]["artifact"]))
    if charter := status.get("charter"):
        rows.append(
            ("charter", f"{charter['id']} version {charter['version']}, {charter['digest']}")
        )
    rows += [
        (name, LEVELS.get(status[key], status[key]))
        for name, key in (("sandbox", "sandbox_level"), ("keeper", "keeper_level"))
    ]
    cells = "".join(
        f"<tr><th>{escape(name)}</th><td><code>{escape(str(value))}</code></td></tr>"
        for name, value in rows
    )
    return (
        f'<p class="ok">The ledger verifies.</p><div class="wide"><table>{cells}</table></div>'
        "<p>Check it yourself, without a key and without a server, on the machine where it was made: "
        "<code>safehold ledger verify --home HOME</code>, where HOME is the folder in which this page lies.</p>"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    def cell(tag: str, value: Any, place: int) -> str:
        text = f"{value:,}" if isinstance(value, int) else str(value)
        number = place and (text[:1].isdigit() or (tag == "th" and text != WORDS))
        return f"<{tag}{' class=n' if number else ''}>{escape(text)}</{tag}>"

    def line(tag: str, values: Sequence[Any]) -> str:
        return (
            "<tr>"
            + "".join(cell(tag, value, place) for place, value in enumerate(values))
            + "</tr>"
        )

    body = "".join(line("td", row) for row in rows)
    return f'<div class="wide"><table><thead>{line("th", head)}</thead><tbody>{body}</tbody></table></div>'


def _page(body: str, result: Mapping[str, Any]) -> str:
    proof = result["verification"]
    made = f"Made {result['made']}. " if "made" in result else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>What happened to the data</title><style>{_STYLE}</style></head><body><main>{body}"
        f"<footer>{escape(made)}Entry {proof['size'] - 1:,} of the log, size {proof['size']:,}, root "
        f"<code>{escape(proof['root'][:16])}</code>.</footer></main></body></html>\n"
    )
