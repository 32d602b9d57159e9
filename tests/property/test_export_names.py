"""Whatever a sentence says, no known name leaves to a target that gets tags."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from safehold.incident.export import letter, ocsf, otlp, syslog
from safehold.incident.export.finding import Names, from_alert

NAMES = st.text(st.sampled_from("abcdÉßİz09._+:/=@#-\\(["), min_size=8, max_size=20)
GLUE = st.sampled_from([" ", "", "'s ", ", ", "x", "_", "@", "(", "\\", ": "])
TWIST = st.sampled_from([str, str.upper, str.title, str.casefold])


@given(
    st.lists(NAMES, min_size=1, max_size=4),
    st.lists(st.tuples(GLUE, TWIST, st.integers(0, 3)), max_size=6),
    GLUE,
)
def test_no_name_leaves_in_any_form(names, pieces, end):
    text = "".join(glue + twist(names[which % len(names)]) for glue, twist, which in pieces) + end
    record = {
        "alert": 3, "t_us": 1, "signal": "export", "severity": 1, "principal": names[0], "sentence": f"somebody {text}",
        "events": [3],
    }  # fmt: skip
    finding = from_alert(record, Names(key=bytes(32), target="t", known=frozenset(names)))
    assert finding.sentence
    for said in (
        finding.to_json(), ocsf.to_ocsf(finding, product="1"), otlp.to_logs(finding, product="1", now_us=1),
        syslog.to_syslog(finding, finding.sentence, host="h").decode(),
        letter.to_mail(finding, sender="a@b.example", to=["c@d.example"], home="h").get_content(),
    ):  # fmt: skip
        left = json.dumps(said, ensure_ascii=False).casefold()
        for name in names:
            assert json.dumps(name, ensure_ascii=False)[1:-1].casefold() not in left
