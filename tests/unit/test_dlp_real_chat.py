"""False alarms on real work chat (Ubuntu IRC), counted per megabyte."""

from collections import Counter

import pyarrow.parquet as pq
import pytest

from safehold.dlp import scan


@pytest.mark.real
def test_real_chat_raises_few_false_alarms(shared_data):
    table = pq.read_table(shared_data / "telemetry/irc_ubuntu.parquet", columns=["text"])
    size = sum(len(text.encode()) for text in table["text"].to_pylist()) / 1e6
    found = Counter(scan(table, ["text"])["class"].to_pylist())
    print({name: round(count / size, 2) for name, count in found.most_common()})
    assert (found["SECRET"] + found["PASSWORD"] + found["OTP"]) / size <= 2
    for name in ("PHONE", "CARD", "SSN"):
        assert found[name] / size <= 1
