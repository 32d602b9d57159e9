"""The drill's own judgement: what a scenario is, what it may expose, and what a run says. No IO here.

The attacks themselves start processes and so live in ``safehold.app.drill``.
"""
