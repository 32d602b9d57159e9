"""Each call to OpenSSL fails in turn: nothing half done comes out, and no number is given out again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from safehold.ledger import press
from safehold.vault import keys

FUNCTIONS = """
W(void *, 0, EVP_CIPHER_CTX_new, (void), ())
W(int, 0, EVP_EncryptInit_ex2, (P a, P b, P c, P d, P e), (a, b, c, d, e))
W(int, 0, EVP_EncryptUpdate, (P a, P b, P c, P d, int e), (a, b, c, d, e))
W(int, 0, EVP_EncryptFinal_ex, (P a, P b, P c), (a, b, c))
W(int, 0, EVP_CIPHER_CTX_ctrl, (P a, int b, int c, P d), (a, b, c, d))
W(void *, 0, EVP_MD_CTX_new, (void), ())
W(int, 0, EVP_DigestInit_ex2, (P a, P b, P c), (a, b, c))
W(int, 0, EVP_DigestUpdate, (P a, P b, unsigned long c), (a, b, c))
W(int, 0, EVP_DigestFinal_ex, (P a, P b, P c), (a, b, c))
"""
# Stands before OpenSSL; the call after so many others fails.
SHIM = (
    """
#define _GNU_SOURCE
#include <dlfcn.h>
typedef void *P;
long calls_left = -1;
#define W(give, bad, name, takes, passes) give name takes { \\
    give (*real) takes = dlsym(RTLD_NEXT, #name); \\
    if (calls_left >= 0 && calls_left-- == 0) return bad; \\
    return real passes; }
"""
    + FUNCTIONS
)
STORY = """
import ctypes
from safehold.ledger import _press, press
from safehold.vault import _series, keys
from tests.ledger_desk import entry

left = ctypes.c_long.in_dll(ctypes.CDLL(None), "calls_left")
given = []

def seal(*arguments):
    given.extend((arguments[1], arguments[2] + at) for at in range(len(arguments[5])))
    return _series.seal(*arguments)

def draft():
    frame = b"", b"", b"", False
    return _press.draft([entry(1)] * 2, bytes(192), repr, repr, lambda *_: frame, lambda *_: b"",
                        None, None, lambda _: b"detail")

keys.seal_all = seal
series = keys.Series(bytes(32))
works = {
    "seal": lambda: [one[20:] for one in series.seal([b"x"] * 3, [b"y"] * 3, place=b"z")],
    "seal many": lambda: [one[20:] for one in series.seal([b"x"] * 70, [b""] * 70)],
    "draft": draft,
    "finish": lambda: _press.finish([b"a"] * 2, [b"b"] * 2, [b"c"] * 2),
    "leaf_hashes": lambda: _press.leaf_hashes([b"a"] * 3),
    "fold": lambda: _press.fold(bytes(128)),
}
for name, work in works.items():
    work()
    for failing in range(1_000):
        left.value = failing
        try:
            work()
        except RuntimeError:
            continue
        finally:
            unused, left.value = left.value, -1
        assert unused >= 0, f"{name}: a failure of call {failing} was ignored"
        break
    assert 4 < failing < 999, (name, failing)
assert len(set(given)) == len(given) > 100
"""


@pytest.mark.skipif(
    not os.environ.get("CI") and not (press.COMPILED and shutil.which("cc")),
    reason="no compiler: python hatch_build.py",
)
def test_no_failure_of_openssl_is_ignored(tmp_path):
    assert press.COMPILED
    assert keys.seal_all is not keys.seal_plainly
    (tmp_path / "shim.c").write_text(SHIM, "utf-8")
    shim = str(tmp_path / "shim.so")
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-o", shim, str(tmp_path / "shim.c"), "-ldl"], check=True
    )
    maps = Path("/proc/self/maps").read_text("utf-8")
    # of Python's hashlib; cryptography has one of its own inside
    crypto = next(line.split()[-1] for line in maps.splitlines() if "/libcrypto.so.3" in line)
    done = subprocess.run(
        [sys.executable, "-c", STORY],
        check=False, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": ":".join(sys.path), "LD_PRELOAD": f"{shim}:{crypto}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
