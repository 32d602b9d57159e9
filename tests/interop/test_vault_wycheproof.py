"""Published vectors through the vault's own functions.

Source: C2SP/Wycheproof (Apache-2.0); the cases with an odd ``tcId``, copied under ``vectors/vault``.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from safehold.errors import InvalidError, TamperedError
from safehold.vault import keys

VECTORS = Path(__file__).parent / "vectors" / "vault"


def _cases(name: str) -> list:
    tests = json.loads((VECTORS / name).read_text())["tests"]
    return [pytest.param(test, id=f"tc{test['tcId']}") for test in tests]


def _hex(test: dict, *names: str) -> list[bytes]:
    return [bytes.fromhex(test[name]) for name in names]


@pytest.mark.parametrize("test", _cases("wycheproof_hkdf_sha256.json"))
def test_hkdf_agrees(test):
    ikm, salt, info, okm = _hex(test, "ikm", "salt", "info", "okm")
    if test["result"] == "invalid":
        with pytest.raises(InvalidError):
            keys.hkdf(ikm, salt=salt, info=info, length=test["size"])
    else:
        assert keys.hkdf(ikm, salt=salt, info=info, length=test["size"]) == okm


@pytest.mark.parametrize("test", _cases("wycheproof_aes_gcm_256.json"))
def test_aes_gcm_agrees(test):
    key, iv, aad, msg, ct, tag = _hex(test, "key", "iv", "aad", "msg", "ct", "tag")
    if test["result"] == "invalid":
        with pytest.raises(TamperedError):
            keys.decrypt(key, iv, ct + tag, aad, what="a vector", rule="test")
    else:
        assert keys.encrypt(key, iv, msg, aad) == ct + tag
        assert keys.decrypt(key, iv, ct + tag, aad, what="a vector", rule="test") == msg


def test_both_kinds_of_vector_are_there():
    for name in ("wycheproof_hkdf_sha256.json", "wycheproof_aes_gcm_256.json"):
        results = {case.values[0]["result"] for case in _cases(name)}
        assert results == {"valid", "invalid"}
