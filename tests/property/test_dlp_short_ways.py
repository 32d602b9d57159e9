"""What is worked out a shorter way is what the long way gives, whatever the input."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.adversary import picture_texts

from safehold.dlp import counterpart, keystroke, picture
from safehold.dlp.classes import NAMES
from safehold.dlp.context import words_of
from safehold.dlp.engine.gate import numbered_rows
from safehold.dlp.keymap import Op
from safehold.dlp.level import take_rows
from safehold.dlp.mask import Marks
from safehold.dlp.stitch import _BEGINS
from safehold.dlp.topic.lexicon import find_terms, load_lexicon, rows_to_judge

quick = settings(max_examples=60, deadline=None)
