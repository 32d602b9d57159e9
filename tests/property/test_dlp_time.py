"""Time grows with the text and not faster, for each rule alone and for the reconstruction of what was typed.

``docs/draw_detection.py`` draws the same curves.
"""

import pytest
from tests.timing import growths, linear, rule_curves, typing_curves

from safehold.dlp.engine.tier import TIERS
from safehold.dlp.pattern import load_patterns

pytestmark = pytest.mark.proof


def hold_linear(curves):
    for name, curve in curves.items():
        for size, small, large in growths(curve):
            assert linear(small, large), (name, size, small, large)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("rule", load_patterns(), ids=lambda rule: rule.id)
def test_a_rule_alone(rule, tier):
    if tier == "fast":
        pytest.importorskip("hyperscan")
    hold_linear(rule_curves(rule, tier))


def test_the_reconstruction_of_typing():
    hold_linear(typing_curves())
