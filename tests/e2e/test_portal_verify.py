"""The verifier in the browser: it finds what the verifier that stands alone finds, refuses what that refuses, and sends nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from tests.me_desk import HERS, MINE, OTHERS, found_company, my_portal_of
from tests.pages import check_pages, listen
from tests.portal_desk import post

from safehold_verify import VerificationError, parse_policy, verify_package
from safehold_verify.leaf import KINDS
from safehold_verify.notes import ML_DSA

STATIC = Path(__file__).resolve().parents[2] / "src/safehold/portal/static/verify"
BATCH = """async (cases) => {
  const { verify } = await import("/static/verify/package.js");
  const octets = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  const found = [];
  for (const [packed, policy, receipt] of cases)
    found.push(await verify(octets(packed), octets(policy), receipt === null ? null : octets(receipt)));
  return found;
}"""


@pytest.fixture(scope="module")
def portal(apart):
    with my_portal_of(found_company(apart / "made"), apart) as found:
        yield found


@pytest.fixture(scope="module")
def files(portal, tmp_path_factory) -> dict[str, Path]:
    """What two people fetched from their pages, and the policy from outside."""
    folder = tmp_path_factory.mktemp("files")
    found = {"policy": folder / "policy"}
    # an epoch in which neither of them is
    portal.bench.call("ledger.close-epoch")
    portal.bench.call("people.choose", person=OTHERS[0], choice="pause")
    portal.bench.call("ledger.close-epoch")
    for name, person in (("emil", MINE), ("evangeline", HERS)):
        client = portal.join(name, person)
        for what in ("package", "receipt"):
            answer = post(client, f"/me/verify/{what}", "/me/verify")
            assert answer.status_code == 200
            found[f"{name}-{what}"] = folder / f"{name}-{what}.json"
            found[f"{name}-{what}"].write_bytes(answer.content)
    # what a home writes counts the witness's ML-DSA-44 key; a publisher may count its Ed25519 key instead
    found["own-policy"] = portal.home.policy_file
    text = found["own-policy"].read_text()
    assert "group oversight 1 local\n" in text
    found["policy"].write_text(text.replace("1 local\n", "1 local-2\n"))
    return found


@pytest.fixture
def page(portal, browser):
    context = browser.new_context()
    made = context.new_page()
    made.goto(portal.url + "/verify")
    yield made
    context.close()


def choose(page: Any, **chosen: Path) -> str:
    """Choose files, press, and return what the page says of them."""
    for name, file in chosen.items():
        page.set_input_files(f"#verify-{name}", str(file))
    page.get_by_role("button", name="Check these files").click()
    page.wait_for_selector("#verify-result[data-state]")
    return str(page.locator("#verify-result").get_attribute("data-state"))


def evaluate(page: Any, cases: list[tuple[bytes, bytes, bytes | None]]) -> list[dict[str, Any]]:
    """Have many packages checked in one page."""
    coded = [[one and base64.b64encode(one).decode() for one in case] for case in cases]
    return list(page.evaluate(BATCH, coded))


def test_a_real_package_holds_and_its_list_is_the_verifiers_and_the_truth(portal, files, page):
    said, asked = listen(page), []
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    page.on("request", lambda one: asked.append(one.url))
    chosen = {"package": files["emil-package"], "policy": files["policy"], "receipt": files["emil-receipt"]}  # fmt: skip
    assert choose(page, **chosen) == "holds", page.locator("#verify-result").inner_text()
    # the browser itself may fetch the icon late
    assert [one for one in asked if not one.endswith("/static/icon.svg")] == []
    page.context.set_offline(False)
    assert said == []
    report = verify_package(
        files["emil-package"], files["policy"], receipt=files["emil-receipt"].read_bytes()
    )
    tables = page.locator("#verify-result table")
    shown = [int(one) for one in tables.nth(1).locator("tbody td:first-child").all_inner_texts()]
    assert shown == [use.index for use in report.uses]
    used = {entry for entry, people in portal.truth.used.items() if MINE in people}
    assert used
    # every entry of the list is one that was done to this person, and all of those are on it
    assert {use.index for use in report.uses if use.kind in {"access.intent", "feature"}} == used
    others = {entry for entry, people in portal.truth.used.items() if MINE not in people}
    assert not others & set(shown)
    cases = [
        tuple(files[one].read_bytes() for one in (f"{name}-package", "policy", f"{name}-receipt"))
        for name in ("emil", "evangeline")
    ]
    for name, found in zip(("emil", "evangeline"), evaluate(page, cases), strict=True):
        report = verify_package(
            files[f"{name}-package"],
            files["policy"],
            receipt=files[f"{name}-receipt"].read_bytes(),
        )
        wanted = json.loads(json.dumps(report.payload()))
        for span in wanted["spans"]:
            del span["auditors"]  # their statements are not read in the page
        assert found.pop("state") == "holds", found
        assert found.pop("unchecked") == []
        assert found == wanted
    assert any(span["count"] == 0 for span in found["spans"])


def test_a_tampered_package_and_other_keys_are_refused_on_the_page(files, page, tmp_path):
    said = json.loads(files["emil-package"].read_bytes())
    del next(one for one in said["epochs"] if one.get("entries"))["entries"][0]
    (tmp_path / "package.json").write_bytes(spell(said))
    assert choose(page, package=tmp_path / "package.json", policy=files["policy"]) == "refused"
    assert page.get_by_role("heading", name="It does not hold").count() == 1
    assert (
        choose(page, package=files["emil-package"], receipt=files["evangeline-receipt"])
        == "refused"
    )


# -- both verifiers judge the same ---------------------------------------------------------------


def spell(said: Any) -> bytes:
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()


def places(said: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where every value stands."""
    if path:
        yield path
    inner = said.items() if isinstance(said, dict) else enumerate(said) if isinstance(said, list) else ()  # fmt: skip
    for key, value in inner:
        yield from places(value, (*path, key))


def at(said: Any, path: tuple[Any, ...]) -> Any:
    for one in path:
        said = said[one]
    return said


def otherwise(value: Any) -> list[Any]:
    """Return other values in place of one."""
    match value:
        case str():
            turned = ("B" if value[:1] != "B" else "C") + value[1:]
            tail = value[:-2] + ("E" if value[-2:-1] != "E" else "I") + value[-1:]
            return [turned, tail, value[:-4], value + "AAAA", "", "é", None]
        case int():
            return [value + 1, value - 1, 2**53 + value, True, str(value), float(value), None]
        case list():
            return [value[1:], value[:-1], value[::-1], [*value, *value[-1:]], [], {}]
        case _:
            kept = {key: one for key, one in value.items() if key != min(value, default="")}
            return [kept, value | {"x": 1}, {}, []]


def mutations(packed: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield every class of field of a package, changed in each way; and the file itself, changed in its bytes."""
    said = json.loads(packed)
    picked: dict[str, list[tuple[Any, ...]]] = {}
    for path in places(said):
        name = ".".join("*" if isinstance(one, int) else str(one) for one in path)
        picked.setdefault(name, []).append(path)
    chance = random.Random(7)
    for name, paths in picked.items():
        for value in range(len(otherwise(at(said, paths[0])))):
            path = chance.choice(paths)
            changed = deepcopy(said)
            ways = otherwise(at(said, path))
            at(changed, path[:-1])[path[-1]] = ways[value % len(ways)]
            yield f"{name} {value}", spell(changed)
    for number in range(40):
        where = chance.randrange(len(packed))
        yield f"byte {number}", packed[:where] + bytes([packed[where] ^ 1]) + packed[where + 1 :]
    yield "space", packed + b" "
    yield "doubled key", packed[:-1] + b',"v":"safehold.package/1"}'
    note = base64.b64decode(said["checkpoint"]).decode()
    for name, changed_note in notes(note):
        text = base64.b64encode(changed_note.encode()).decode()
        head = hashlib.sha256(changed_note.encode()).hexdigest()
        yield f"note {name}", spell(said | {"checkpoint": text, "head": head})


def notes(note: str) -> Iterator[tuple[str, str]]:
    """Yield a checkpoint whose lines are changed, its hash in the package being made to fit."""
    lines = note.split("\n")
    for number, line in enumerate(lines[:-1]):
        rest = (lines[:number], lines[number + 1 :])
        yield f"drop {number}", "\n".join([*rest[0], *rest[1]])
        yield f"twice {number}", "\n".join([*rest[0], line, line, *rest[1]])
        for spot in {len(line) // 2, max(len(line) - 9, 0)}:
            turned = line[:spot] + ("B" if line[spot : spot + 1] != "B" else "C") + line[spot + 1 :]
            yield f"turn {number} at {spot}", "\n".join([*rest[0], turned, *rest[1]])
    yield "stranger", note + "\u2014 stranger AAAAAAAA\n"
    yield "extension", note.replace("\n\n", "\nextension\n\n", 1)


def policies(policy: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield a policy that is changed line by line."""
    lines = policy.decode().split("\n")
    for number, line in enumerate(lines):
        rest = (lines[:number], lines[number + 1 :])
        turned = line[:-9] + ("B" if line[-9:-8] != "B" else "C") + line[-8:]
        for name, new in (
            ("drop", []),
            ("twice", [line, line]),
            ("turn", [turned]),
            ("more", [line + " x y"]),
        ):
            yield f"policy {name} {number}", "\n".join([*rest[0], *new, *rest[1]]).encode()


def judge(packed: bytes, policy: bytes, folder: Path) -> str:
    file = folder / "package.json"
    file.write_bytes(packed)
    try:
        verify_package(file, parse_policy(policy))
    except VerificationError:
        return "refused"
    return "holds"


def test_both_verifiers_judge_hundreds_of_mutations_alike(files, page, tmp_path):
    policy = files["policy"].read_bytes()
    cases = []
    for name in ("emil", "evangeline"):
        packed = files[f"{name}-package"].read_bytes()
        cases += [(f"{name} {told}", one, policy) for told, one in mutations(packed)]
    cases += [(told, packed, one) for told, one in policies(policy)]
    assert len(cases) >= 500
    found = evaluate(page, [(packed, under, None) for _, packed, under in cases])
    judged = [judge(packed, under, tmp_path) for _, packed, under in cases]
    differ = [
        (name, wanted, seen)
        for (name, _, _), wanted, seen in zip(cases, judged, found, strict=True)
        if seen["state"] != wanted
    ]
    assert differ == []
    assert judged.count("refused") >= 200
    assert judged.count("holds") > 0


def test_under_the_policy_that_a_home_writes_itself_both_judge_alike(files, page, tmp_path):
    """Its quorum counts the witness's ML-DSA-44 key, which this browser can check."""
    packed, policy = files["emil-package"].read_bytes(), files["own-policy"].read_bytes()
    assert ML_DSA in {one.algorithm for one in parse_policy(policy).witnesses.values()}
    cases = [packed, *random.Random(3).sample([one for _, one in mutations(packed)], 60)]
    found = evaluate(page, [(one, policy, None) for one in cases])
    assert found[0]["state"] == "holds", found[0]
    assert [one["state"] for one in found] == [judge(one, policy, tmp_path) for one in cases]


OLD = """(() => {
  const known = crypto.subtle.importKey.bind(crypto.subtle);
  crypto.subtle.importKey = (format, ...rest) =>
    format === "raw-public" ? Promise.reject(new Error("no such kind")) : known(format, ...rest);
})()"""


def test_a_browser_that_knows_no_lattice_signatures_never_says_that_they_hold(
    portal, files, browser
):
    packed, policy = files["emil-package"].read_bytes(), files["own-policy"].read_bytes()
    context = browser.new_context()
    context.add_init_script(OLD)
    page = context.new_page()
    page.goto(portal.url + "/verify")
    cases = [packed, *random.Random(3).sample([one for _, one in mutations(packed)], 60)]
    found = evaluate(page, [(one, policy, None) for one in cases])
    assert found[0]["state"] == "unable"
    assert found[0]["message"].startswith("the rest fits")
    assert "holds" not in {one["state"] for one in found}
    # under a policy that counts its other key it holds, and the line that was not looked at is named
    (under,) = evaluate(page, [(packed, files["policy"].read_bytes(), None)])
    assert under["state"] == "holds"
    assert under["unchecked"]
    context.close()


def test_the_page_knows_the_same_kinds_of_leaves():
    said = (STATIC / "leaf.js").read_text().partition("new Set([")[2].partition("]);")[0]
    assert set(re.findall(r'"([^"]+)"', said)) == KINDS


# -- the page --------------------------------------------------------------------------------------


def test_the_page_is_accessible_fits_a_phone_and_explains_without_a_script(portal, files, browser):
    check_pages(browser, portal, None, ("/verify",))
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(portal.url + "/verify")
    assert page.get_by_text("safehold-verify.pyz package").is_visible()
    assert page.get_by_text("Checking in this page needs JavaScript").is_visible()
    assert not page.locator("#verify-here").is_visible()
    context.close()


def test_the_answer_fits_a_phone_and_is_accessible(portal, files, browser):
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context(bypass_csp=True, viewport={"width": 375, "height": 800})
    page = context.new_page()
    page.goto(portal.url + "/verify")
    assert choose(page, package=files["emil-package"], policy=files["policy"]) == "holds"
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    assert Axe().run(page).response["violations"] == []
    context.close()


HASHES = """async (lengths) => {
  const ours = await import("/static/verify/hash.js");
  const same = (one, two) => one.length === two.length && one.every((octet, at) => octet === two[at]);
  const wrong = [];
  for (const length of lengths) {
    const data = crypto.getRandomValues(new Uint8Array(length));
    const cut = Math.floor(length / 3);
    const theirs = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
    if (!same(ours.sha256(data), theirs) || !same(ours.sha256(data.subarray(0, cut), data.subarray(cut)), theirs)) wrong.push(length);
    const secret = crypto.getRandomValues(new Uint8Array(32));
    const key = await crypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
    if (!same(ours.hmac(secret)(data), new Uint8Array(await crypto.subtle.sign("HMAC", key, data)))) wrong.push(-length);
  }
  return wrong;
}"""


def test_our_hashes_are_those_of_the_browser(page):
    lengths = [*range(300), 511, 512, 513, 1000, 4096, 65535, 65536]
    assert page.evaluate(HASHES, lengths) == []


def test_a_package_is_checked_by_keyboard_alone(files, page):
    """What is pressed lies in the order of the page; the dialogue of the browser that picks a file is its own."""
    said = listen(page)

    def reach(wanted: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.locator(f"{wanted}:focus").count():
                return
        raise AssertionError(f"the keyboard does not reach {wanted}")

    for name, file in (("package", "emil-package"), ("policy", "own-policy")):
        reach(f"#verify-{name}")
        page.set_input_files(f"#verify-{name}", str(files[file]))
    reach("#verify-here button")
    page.keyboard.press("Enter")
    page.wait_for_selector("#verify-result[data-state]")
    assert page.locator("#verify-result").get_attribute("data-state") == "holds"
    assert said == []
