"""Packages of people as the verifier meets them: read, and refused."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from tests.crowd import Crowd

from safehold_verify import (
    VerificationError,
)
from safehold_verify.package import verify_package

Said = dict[str, Any]


def spell(said: Any) -> bytes:
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()


def check(crowd: Crowd, said: Said | bytes, tmp_path: Path, **more: Any) -> Any:
    file = tmp_path / "package.json"
    file.write_bytes(said if isinstance(said, bytes) else spell(said))
    return verify_package(file, crowd.desk.policy, **more)


def refused(crowd: Crowd, said: Said | bytes, tmp_path: Path, **more: Any) -> VerificationError:
    with pytest.raises(VerificationError) as caught:
        check(crowd, said, tmp_path, **more)
    return caught.value


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def three_epochs(path: Path) -> Crowd:
    """Return a crowd whose first (0) is in the first epoch with two entries, in the second not, in the third with one."""
    crowd = Crowd(path, people=9)
    crowd.use(0, 1, 2)
    crowd.use(0)
    crowd.use(3, 4)
    crowd.close()
    crowd.use(*range(1, 8))
    crowd.close()
    crowd.use(0, 5)
    crowd.close()
    crowd.use(0)
    crowd.ledger.publish()
    return crowd


def said_by(crowd: Crowd) -> Said:
    """Return what her package says."""
    return json.loads((crowd.package(0) / "package.json").read_bytes())
