"""Models: looked at, attacked, decided about, taken out."""

from __future__ import annotations

from typing import Final

from safehold.portal.api.answers import artifacts as told
from safehold.portal.api.field import Given, Order, Permit, Word
from safehold.portal.api.route import Route


class OfPurpose(Permit):
    """Of which purpose."""

    purpose: Word


class Brought(Given):
    """For which purpose a file from elsewhere is."""

    purpose: Word | None = None


ROUTES: Final = (
    Route(method="GET", path="/artifacts", verb="artifact.list", answer=told.ArtifactList, listed="artifacts",
          says="The models; ids, never weights."),
    Route(method="POST", path="/artifacts", verb="artifact.import", given=Brought, answer=told.ArtifactImport,
          upload=True, status=201, says="Take a file in that was made elsewhere; it lies in quarantine."),
    Route(method="GET", path="/artifacts/quarantine", verb="artifact.quarantine", answer=told.ArtifactQuarantine,
          listed="quarantine", says="What lies in quarantine, why, and what it takes to release or delete it."),
    Route(method="POST", path="/artifacts/quarantine/decisions", verb="artifact.decide", given=Order,
          answer=told.ArtifactDecide, under="artifact.quarantine",
          says="Release something from quarantine, or delete it, by an order that seats signed."),
    Route(method="GET", path="/artifacts/{artifact}", verb="artifact.show", answer=told.ArtifactShow,
          says="The release record of a model, checked against its file and signatures."),
    Route(method="POST", path="/artifacts/{artifact}/pulls", verb="artifact.pull", given=OfPurpose,
          answer=told.ArtifactPull, download=True,
          says="Take a model out, under a grant for pulling; what proves what it is comes in a header."),
    Route(method="POST", path="/artifacts/{artifact}/canaries", verb="attack.canary", answer=told.AttackCanary,
          long=True, says="Does a model give away the sequences that were planted? Opens nobody's rows."),
    Route(method="POST", path="/artifacts/{artifact}/memberships", verb="attack.model", given=OfPurpose,
          answer=told.AttackModel, long=True, says="Does a model tell who was in its training set?"),
)  # fmt: skip
__all__ = ["ROUTES"]
