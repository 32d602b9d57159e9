"""One file a scenario. Each has ``attempt``, ``lake`` and ``control``, and ``at_level`` where levels differ.

``attempt`` tries it on the deployment and on its twin; ``lake`` on the same people in a plain lake; ``control`` on a
twin whose guards are off, where it must succeed: what fails to succeed there proves nothing here.
"""
