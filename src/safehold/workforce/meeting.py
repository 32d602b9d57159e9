"""Meetings of a team, and what is said in them."""

from __future__ import annotations

from typing import Final

import numpy as np

from safehold.workforce import words
from safehold.workforce.plan import Said
from safehold.workforce.secret import Secret
from safehold.workforce.spec import SPEECH, Draw, Spec, generator

_SEGMENTS: Final = (
    700  # a day, at the full rate of a recorder (an assumption of the measured rates)
)
_FULL_PACE: Final = 178_000
_WORD_MS: Final = 380  # about 158 words a minute
_SOUNDS: Final = ("so ", "well ", "okay ", "um ", "right ", "", "", "", "")


def meeting_hours(spec: Spec, index: int, day: int) -> list[float]:
    """Return when in the day the ordinary meetings are, 0 to 1, the last first."""
    draw = Draw(generator(spec.seed, index, day, SPEECH))
    return sorted((0.1 + 0.8 * draw.unit() for _ in range(draw.whole(1, 2))), reverse=True)


def hold(  # a meeting has this many facts
    draw: Draw, *, action: int, name: str, host: str, guests: list[str], pace: int,
    secret: Secret | None,
) -> tuple[list[Said], int, int]:  # fmt: skip
    """Return what is said in a meeting, its length in ms, and the place of the secret (-1: none).

    Args:
        draw: Source of chance.
        action: Number of the action that is the meeting.
        name: The meeting.
        host: External id of the one whose recorder transcribes it; the host says the secret.
        guests: External ids of the others.
        pace: Events a person makes per day.
        secret: What must not be kept.
    """
    mean = max(_SEGMENTS * pace / _FULL_PACE / 1.5, 3.0)
    lines = max(int(mean * np.exp(0.4 * draw.normal())), 3)
    place = draw.whole(0, lines - 1) if secret is not None else -1
    said, clock = [], 1_000
    for line in range(lines):
        speaker = host if line == place or draw.unit() < 0.4 else draw.pick(guests)
        text = draw.pick(_SOUNDS) + words.message(draw, length=draw.whole(15, 120))
        if line == place and secret is not None:
            text = f"{words.phrase(draw)} {secret.before}{secret.value}{secret.after}"
        lasts = _WORD_MS * (text.count(" ") + 1)
        said.append(
            Said(
                action=action,
                meeting=name,
                speaker=speaker,
                start=clock,
                end=clock + lasts,
                text=text,
                confidence=round(1.0 - 0.3 * draw.unit() ** 2, 3),
            )
        )
        clock += lasts + draw.whole(150, 2_500)
    return said, clock, place
