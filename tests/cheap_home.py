"""A home whose root costs little to open: made once, and copied for each test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.keeper_desk import Bench, found_bench
from tests.key_crashing import cheap
from tests.seaweed import Weed

from safehold.vault.kms import sealed


@contextmanager
def cheap_home(path: Path, weed: Weed | None = None) -> Iterator[Bench]:
    """Yield a home with the blocks of one source, its keeper started; whoever goes on with copies of it stops it.

    While this lasts, every passphrase costs little, and what is said of the store opens its buckets.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealed, "Cost", sealed.Cost)
        if weed is not None:
            patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(weed.credentials))
        cheap()
        bench = found_bench(path)
        bench.start()
        bench.take(first=0)
        yield bench
