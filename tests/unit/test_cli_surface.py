"""What people read on a terminal: figures, moments and days in words, nested records in lines."""

from __future__ import annotations

import pytest

from safehold.cli.surface import existing, moment, put
from safehold.clock import date_of
from safehold.errors import InvalidError


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        ({"at_us": 1_795_629_674_124_083}, ["at: 2026-11-25 18:01:14 UTC"]),
        ({"withdrawn_us": None}, ["withdrawn: -"]),
        ({"notice_s": 1_209_600, "wait_s": 90}, ["notice: 14 days", "wait: 90 seconds"]),
        ({"seat": ""}, ["seat: -"]),
        ({"expires": 20_796}, ["expires: 2026-12-09"]),
        ({"rows": 1_234_567, "stopped": False}, ["rows: 1,234,567", "stopped: no"]),
        ({"empty": []}, ["empty: -"]),
        ([{"id": "a", "expires": 0}], ["- id: a, expires: 0"]),
        (
            [{"id": "a", "label": {"expires": 1}, "parents": ["b"]}],
            ["- id: a", "  label:", "    expires: 1970-01-02", "  parents:", "    - b"],
        ),
        ([["name", "digest"], []], ["- name, digest", "- -"]),
    ],
)
def test_plain_output(capsys: pytest.CaptureFixture[str], value: object, lines: list[str]) -> None:
    put(value, as_json=False)
    assert capsys.readouterr().out.splitlines() == lines


def test_json_counts_as_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    put({"expires": 20_796, "at_us": 5}, as_json=True)
    assert capsys.readouterr().out == '{"at_us":5,"expires":20796}\n'


def test_days_and_moments_are_utc() -> None:
    assert date_of(0) == "1970-01-01"
    assert date_of(20_796) == "2026-12-09"
    assert moment(0) == "1970-01-01 00:00:00 UTC"


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(InvalidError) as caught:
        existing(tmp_path / "none.yaml")
    assert caught.value.rule == "cli.file"
    assert caught.value.fix


def test_what_unlocks_a_root_lies_where_its_owner_alone_reads(tmp_path, monkeypatch) -> None:
    import io

    from safehold.cli.surface import root_elsewhere, unlocking
    from safehold.errors import InvalidError

    pin = tmp_path / "pin"
    pin.write_text("48151623\n")
    for mode in (0o640, 0o604, 0o620):
        pin.chmod(mode)
        with pytest.raises(InvalidError) as caught:
            unlocking(str(pin))
        assert caught.value.rule == "cli.secret.mode"
        assert "48151623" not in str(caught.value.payload())
    pin.chmod(0o600)
    assert unlocking(str(pin)) == "48151623"
    monkeypatch.setattr("sys.stdin", io.StringIO("from-a-pipe\n"))
    assert unlocking("-") == "from-a-pipe"
    pin.write_text("\n")
    with pytest.raises(InvalidError):
        unlocking(str(pin))
    assert root_elsewhere(None, None, make=False) is None
    for half in (("pkcs11:x", None), (None, "pin")):
        with pytest.raises(InvalidError):
            root_elsewhere(*half, make=False)
