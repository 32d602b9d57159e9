"""A company's access log and the truth about it, written apart from whatever watches such logs.

Nobody who wrote this had seen the detector: it is the other author's distributions that the detector is measured on.
"""

from __future__ import annotations

from tests.access_world.world import SUBTLE, VARIANTS, World, live

__all__ = ["SUBTLE", "VARIANTS", "World", "live"]
