"""The commands of the how-to on federation are ones that there are, with options that there are."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_command_of_the_page_is_one_of_the_program():
    page = (DOCS / "how-to" / "train-across-companies.md").read_text("utf-8")
    reference = (DOCS / "reference" / "cli.md").read_text("utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    commands = [
        line
        for block in blocks
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("safehold")
    ]
    assert len(commands) == 5
    for line in commands:
        name = " ".join(line.split()[:3])
        section = reference.split(f"## `{name}`", 1)[1].split("\n## ", 1)[0]
        for option in re.findall(r"--[a-z-]+", line):
            assert f"{option}" in section, f"{name} has no {option}"
