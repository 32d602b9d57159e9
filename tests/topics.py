"""Which lines of public corpora are on a topic, judged by reading before any model was run on them."""

# Lines (from 0) of WNUT17's training texts in which somebody speaks of their own or another private person's
# health: found by reading the 350 lines that hold a wide list of words, so lines without such a word are unjudged.
ON_HEALTH = frozenset(
    [7, 120, 157, 200, 480, 651, 787, 827, 1040, 1044, 1271, 1446, 1532, 1918, 1954, 2294, 2868, 2931, 2933, 3369]
)  # fmt: skip
