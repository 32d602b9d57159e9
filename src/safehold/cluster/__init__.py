"""Sandboxes on other workers: a scheduler carries letters that it cannot read.

Who does what, and who can read what::

    keeper ──pipe── driver ──Ray── carrier ──socket── opener ──sandbox
    (reads)         (letters only: ciphertext, sizes)  (reads)  (computes)

Ray is spoken to in ``driver`` alone, in a process of its own beside the keeper: what comes out of a cluster is never
unpickled where a key is. On a worker the *opener*, a process of its own with an identity that an operator enrolled,
makes a fresh key for each attempt, is told by the keeper how to open that one attempt, and starts the sandbox.
"""
