"""Documents point at things that exist, and name no machine and no package host."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page):
    for target in LINK.findall(page.read_text("utf-8")):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_names_a_machine_or_a_package_host(page):
    text = page.read_text("utf-8").lower()
    for word in ("/root/", "/work/", "/home/user", "pypi.org", "registry.npmjs", "deb.debian.org"):
        assert word not in text


def test_every_direct_dependency_has_its_line():
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    listed = (ROOT / "docs/reference/dependencies.md").read_text("utf-8").lower()
    block = project[project.index("dependencies = [") : project.index("[project.scripts]")]
    for name in re.findall(r'^\s+"([A-Za-z0-9_.-]+?)[<>=;]', block, re.MULTILINE):
        assert name.lower().replace("_", "-") in listed, name
