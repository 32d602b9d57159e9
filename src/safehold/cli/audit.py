"""``safehold attack audit``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from safehold.cli.surface import JsonOption, put, say


def audit(
    *,
    algorithm: Annotated[
        list[str] | None, typer.Option(help="recipe, dp-sgd or bandmf. Default: all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Audit the trainer of this installation: its noise, its clipping and its sampling, on made-up people.

    Exit code 1 when a promise is refuted. Needs no home.
    """
    from safehold.app.audit import ALGORITHMS
    from safehold.app.audit import audit as examine

    result = examine(tuple(algorithm or ALGORITHMS))
    if as_json:
        put(result, as_json=True)
    else:
        for one in result["audits"]:
            _show(one)
    if result["state"] != "passed":
        raise typer.Exit(1)


def _show(one: dict[str, Any]) -> None:
    print(
        f"{one['algorithm']}: {one['state']}  (claim: epsilon {one['epsilon']:g}, delta {one['delta']:g},"
        f" {one['rounds']} rounds; false alarms below {one['false_alarms_below']:g})"
    )
    for test in one["tests"]:
        figures = "  ".join(
            f"{name} {value}"
            for name, value in test.items()
            if name not in ("test", "state", "finding")
        )
        print(f"  {test['test']}: {test['state']}  {figures}")
        if "finding" in test:
            print(f"    {test['finding']}")
    say("\n".join(f"limit: {line}" for line in one["limits"]))
