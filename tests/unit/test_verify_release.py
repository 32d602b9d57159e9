"""A folder that was pulled holds files: nothing in it leads elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from safehold_verify import VerificationError, verify_release
from safehold_verify.release import FILES


@pytest.mark.parametrize("name", FILES)
def test_a_link_in_the_place_of_a_file_is_refused(tmp_path: Path, name: str) -> None:
    """What is checked through a link need not be what is loaded through it later."""
    folder = tmp_path / "pulled"
    folder.mkdir()
    (tmp_path / "elsewhere").write_bytes(b"{}")
    for one in FILES:
        (folder / one).write_bytes(b"{}")
    (folder / name).unlink()
    (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(VerificationError) as caught:
        verify_release(folder, tmp_path / "policy")
    assert (caught.value.message, caught.value.where) == ("not a regular file", name)
