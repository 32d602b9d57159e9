"""Soak and chaos: a whole site under mixed load, with parts of it killed, halted and cut off, judged by a record apart.

``site`` is what runs, ``loads`` what is asked of it, ``plan`` what is done to it and when, ``faults`` does it, ``record``
keeps what was acknowledged, ``look`` opens everything again in the end, ``judge`` compares, ``table`` tells.
A load or a part is added by writing one more of its kind.
"""
