"""A home and its outside belong together."""

import stat

import pytest

from safehold.errors import ConflictError, MissingError, TamperedError
from safehold.settings import Home


def test_a_home_is_private_and_found_again(tmp_path):
    home = Home.create(tmp_path / "h", synthetic=True)
    assert Home.open(tmp_path / "h") == home
    assert home.synthetic
    for folder in (home.path, home.outside, home.ledger, home.objects, home.epochs, home.witness):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert home.path not in home.outside.parents


def test_a_used_directory_is_no_place_for_a_home(tmp_path):
    (tmp_path / "h").mkdir()
    (tmp_path / "h" / "something").touch()
    with pytest.raises(ConflictError):
        Home.create(tmp_path / "h")


def test_what_is_no_home_is_said_to_be_none(tmp_path):
    with pytest.raises(MissingError):
        Home.open(tmp_path)


def test_a_home_without_its_record_is_tampered(tmp_path):
    Home.create(tmp_path / "h")
    (tmp_path / "h" / "home.json").unlink()
    with pytest.raises(TamperedError, match="lost"):
        Home.open(tmp_path / "h")


def test_another_home_in_the_same_place_is_found_out(tmp_path):
    Home.create(tmp_path / "a")
    other = Home.create(tmp_path / "b")
    (tmp_path / "a" / "home.json").write_bytes((other.path / "home.json").read_bytes())
    with pytest.raises(TamperedError, match="stood here before"):
        Home.open(tmp_path / "a")


@pytest.mark.parametrize(
    "record", [b"{}", b"not json", b'{"id":"../x","synthetic":false,"v":"safehold-home/1"}']
)
def test_a_damaged_record_is_refused(tmp_path, record):
    Home.create(tmp_path / "h")
    (tmp_path / "h" / "home.json").write_bytes(record)
    with pytest.raises(TamperedError):
        Home.open(tmp_path / "h")


def test_a_home_whose_outside_is_gone_is_not_vouched_for(tmp_path):
    home = Home.create(tmp_path / "h")
    home.outside.rename(tmp_path / "elsewhere")
    with pytest.raises(TamperedError, match="vouches"):
        Home.open(tmp_path / "h")
