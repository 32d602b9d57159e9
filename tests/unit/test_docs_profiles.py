"""The reference of profiles names every suite that runs on servers, every rule of a move, and every setting."""

from __future__ import annotations

import re
from pathlib import Path

from safehold.app.profile import PARTS, SETTINGS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/reference/profiles.md").read_text("utf-8")
# what asks for a real server, by fixture or by the twin of a suite
ASKS = re.compile(
    r"\b(?:postgres|weed|weed_server)\b\s*:|\bon_postgres\b|\bon_servers\b|getfixturevalue\(\"(?:postgres|weed)|move_objects|tests\.stores import|params=DESKS|DESKS,|find_server\(\)"
)
NOT_SUITES = {"tests/unit/test_dlp_scan.py"}  # a secret of PostgreSQL's kind, not the server


def listed() -> set[str]:
    table = PAGE[PAGE.index("## Which suites run") : PAGE.index("## Both profiles")]
    return set(re.findall(r"`(tests/[a-z_0-9/]+\.py)`", table))


def test_every_suite_that_asks_for_a_server_is_listed() -> None:
    asking = {
        str(file.relative_to(ROOT))
        for folder in ("unit", "property", "attack", "e2e")
        for file in (ROOT / "tests" / folder).glob("test_*.py")
        if ASKS.search(file.read_text("utf-8"))
    } - NOT_SUITES
    assert asking - {"tests/unit/test_docs_profiles.py"} <= listed()


def test_every_listed_suite_is_there_and_those_on_servers_ask_for_one() -> None:
    for name in listed():
        assert (ROOT / name).is_file(), name
    rows = re.findall(r"^\| [^|]+ \| `([^`]+)` \| (.+?) \| [^|]+ \|$", PAGE, re.MULTILINE)
    assert len(rows) > 15
    for suite, where in rows:
        on = where.strip("`") if where.startswith("`") else suite
        assert ASKS.search((ROOT / on).read_text("utf-8")), on


def test_every_rule_of_a_move_is_explained() -> None:
    found = set()
    for file in [*(ROOT / "src/safehold/app/relocation").glob("*.py"), ROOT / "src/safehold/app/control.py"]:  # fmt: skip
        found |= set(re.findall(r'rule="(migrate\.[a-z]+)"', file.read_text("utf-8")))
    found -= {"migrate.record"}
    assert found
    assert {one for one in found if f"`{one}`" not in PAGE} == set()


def test_every_rule_of_a_backup_is_explained() -> None:
    found = set()
    for file in [*(ROOT / "src/safehold/app/backup").glob("*.py"), ROOT / "src/safehold/app/control.py"]:  # fmt: skip
        found |= set(re.findall(r'rule="(backup\.[a-z]+)"', file.read_text("utf-8")))
    assert found
    assert {one for one in found if f"`{one}`" not in PAGE} == set()


def test_every_setting_is_named() -> None:
    for name in SETTINGS:
        assert f"SAFEHOLD_{name.upper()}_URL" in PAGE
        assert f"`{name}`" in PAGE
    for part in PARTS:
        assert part in PAGE
