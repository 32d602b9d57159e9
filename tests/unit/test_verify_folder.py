"""An archive that was damaged anywhere is refused in our own words, never with somebody else's error."""

from __future__ import annotations

import random
import zipfile

import pytest

from safehold_verify import VerificationError
from safehold_verify.folder import read_folder
from safehold_verify.person import unpack


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    file = tmp_path_factory.mktemp("archive") / "whole.zip"
    chance = random.Random(5)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for number in range(3):
            made.writestr(f"part/{number}.json", bytes(chance.choices(b"abcdef {}:,", k=900)))
    return file.read_bytes()


def test_every_byte_may_be_flipped(archive, tmp_path):
    file, refused = tmp_path / "x.zip", 0
    for at in range(len(archive)):
        spoilt = bytearray(archive)
        spoilt[at] ^= 0x5A
        file.write_bytes(spoilt)
        try:
            read_folder(file)
        except VerificationError:
            refused += 1
    assert refused > len(archive) // 2


def test_every_byte_of_a_copy_may_be_flipped(archive, tmp_path):
    refused = 0
    for at in range(len(archive)):
        spoilt = bytearray(archive)
        spoilt[at] ^= 0x5A
        try:
            unpack(bytes(spoilt), tmp_path / f"{at}")
        except VerificationError:
            refused += 1
    assert refused


def test_another_way_of_packing_is_refused(tmp_path):
    file = tmp_path / "x.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_BZIP2) as made:
        made.writestr("a.json", b"{}")
    with pytest.raises(VerificationError, match="another way"):
        read_folder(file)
