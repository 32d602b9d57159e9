"""A home of made-up people can be looked at as any of a cast; a home of real people never."""

from __future__ import annotations

import pytest
from tests.command_line import World, command
from tests.keeper_desk import CROWD
from tests.portal_desk import found_served, portal_of

from safehold.app.cast import put_on_stage
from safehold.errors import InvalidError
from safehold.portal.settings import PortalSettings


@pytest.fixture(scope="module")
def made(apart):
    return found_served(apart / "made")


def planted_in(truth) -> set[str]:
    """Return the secrets that were typed in a demo, those that nobody writes by chance."""
    import pyarrow.parquet as pq

    values = pq.read_table(truth, columns=["value", "decoy"]).to_pylist()
    return {one["value"] for one in values if not one["decoy"] and len(one["value"] or "") >= 8}


def walk(client, planted: set[str], most: int = 150) -> set[str]:
    """Follow every link from the front page, and ask the API for every list; no answer holds a planted value."""
    import re

    document = client.get("/api/v1/openapi.json").json()
    lists = [
        f"/api/v1{path}" if not path.startswith("/api") else path
        for path, item in document["paths"].items()
        if "get" in item and "{" not in path and not path.endswith("/events")
    ]
    ahead, seen = ["/", *lists], set()
    while ahead and len(seen) < most:
        path = ahead.pop(0)
        if path in seen or path.startswith(("/language", "/static", "/sign-in", "/log")):
            continue
        seen.add(path)
        answer = client.get(path)
        assert answer.status_code < 500, (path, answer.text[:300])
        for value in planted:
            assert value not in answer.text, path
        if answer.headers["content-type"].startswith("text/html"):
            ahead += [
                one.replace("&amp;", "&") for one in re.findall(r'href="(/[^"#]*)"', answer.text)
            ]
    return seen


def test_there_is_no_cast_for_real_people(made, tmp_path):
    with portal_of(made, tmp_path) as portal:
        assert not portal.home.synthetic
        with pytest.raises(InvalidError, match="nobody's key"):
            put_on_stage(portal.home, portal.bench.call, state=tmp_path, person=CROWD[0])
        with pytest.raises(InvalidError):
            PortalSettings(
                home=portal.home, origin=portal.url, state=tmp_path, cast={"x": tmp_path}
            )
        client = portal.client()
        assert "an-employee" not in client.get("/sign-in").text
        assert client.post("/sign-in/as", data={"name": "an-employee"}).status_code == 404


def test_the_portal_of_a_demo_is_tried_as_each_of_the_cast(tmp_path):
    """``safehold portal try`` as a user types it, on a home that ``safehold demo`` would make."""
    import subprocess
    import time

    import httpx
    from tests.ports import free_port

    world = World(tmp_path)
    world.run("demo", "--home", world.home, "--people", "60", "--days", "1", "--truth", tmp_path / "truth.parquet", timeout=600)  # fmt: skip
    port = free_port()
    process = subprocess.Popen(
        command(("portal", "try", "--home", world.home, "--port", str(port), "--state", tmp_path / "portal")),
        env={name: value for name, value in world.environment.items() if name != "SAFEHOLD_PASSPHRASE"}, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        url = f"http://localhost:{port}"
        for _ in range(600):
            try:
                assert process.poll() is None, process.stderr.read()
                httpx.get(f"{url}/sign-in")
                break
            except httpx.TransportError:
                time.sleep(0.2)
        planted = planted_in(tmp_path / "truth.parquet")
        assert len(planted) > 50
        seen = {}
        for name in ("an-employee", "a-scientist", "an-engineer", "an-auditor"):
            with httpx.Client(base_url=url, follow_redirects=True, timeout=120) as client:
                told = client.post("/sign-in/as", data={"name": name, "to": "/"})
                assert told.status_code == 200, told.text[:300]
                seen[name] = walk(client, planted)
        assert "/respond" in seen["an-engineer"]
        assert "/audit" in seen["an-auditor"]
        assert "/respond" not in seen["an-employee"]
        assert "/me/uses" in seen["an-employee"]
        assert all(len(pages) > 10 for pages in seen.values()), {k: len(v) for k, v in seen.items()}
    finally:
        process.terminate()
        process.wait(60)
        process.stderr.close()
