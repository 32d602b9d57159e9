"""The launcher: the only thing that starts a process which may see data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from safehold.errors import DeniedError, UnavailableError
from safehold.sandbox.job import CODE, RECIPES, TALKERS, Job, Probe, check_level
from safehold.sandbox.layout import Layout, find_layout
from safehold.sandbox.probe import find_mechanisms
from safehold.sandbox.running import Running
from safehold.sandbox.start import Plan, start_job


class Launcher:
    """Start recipes from a closed list, each in a sandbox as strong as this machine can make it.

    There is no argument that weakens it. The class attributes are for tests, which subclass it.
    """

    _recipes: ClassVar[Mapping[str, str]] = RECIPES
    _without: ClassVar[frozenset[str]] = frozenset()
    _extra: ClassVar[tuple[Path, ...]] = ()

    def __init__(self) -> None:
        self._layout: Layout | None = None

    @property
    def probe(self) -> Probe:
        """What confines a job here."""
        return find_mechanisms()[1]

    def start(self, job: Job) -> Running:
        """Start a job; data and spec reach it sealed, and its frames are all that comes back.

        Args:
            job: What to run. Its inputs may be closed as soon as this returns.

        Raises:
            DeniedError: The recipe is not in the list.
            InvalidError: ``least`` is no level, or an input is not read-only.
            UnavailableError: This machine does not reach the level, or no process started.
        """
        module = self._recipes.get(job.recipe)
        if module is None:
            raise DeniedError(
                "no such recipe",
                rule="sandbox.recipe",
                fix=f"one of: {', '.join(sorted(self._recipes))}",
            )
        if job.cells is not None and job.recipe != CODE:
            raise DeniedError("a recipe takes no code from outside", rule="sandbox.cells")
        if job.talks and job.recipe not in TALKERS:
            raise DeniedError("a recipe is told nothing while it runs", rule="sandbox.talks")
        mechanisms, probe = find_mechanisms()
        if not check_level(job.least, probe.level):
            raise UnavailableError(
                f"the job needs assurance level {job.least}, this machine reaches {probe.level}",
                rule="sandbox.level",
                fix="allow user namespaces (kernel.unprivileged_userns_clone=1,"
                " user.max_user_namespaces>0, in a container a profile that permits them) and use a"
                " kernel with Landlock (5.13 or later); E0 and E1 machines take synthetic data",
            )
        if self._layout is None:
            self._layout = find_layout(extra=self._extra)
        plan = Plan(level=probe.level, mechanisms=mechanisms - self._without, layout=self._layout)
        return start_job(job, module, plan)
