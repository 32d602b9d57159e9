"""The closed lists of the charter language: stages, actions, silos, seats."""

from __future__ import annotations

from typing import Final

STAGES: Final = (
    "ingest",
    "feature",
    "embedding",
    "training",
    "query",
    "private_join",
    "release",
    "audit",
    "self",
)
SELF: Final = ("see_own_trail", "export_own", "erase_own", "object")
GRANTED: Final = ("run_approved_recipe", "query", "pull_artifact")
ROWS: Final = ("read_raw", "read_rows", "export_vectors", "bulk_export", "join_external")
LEARN: Final = ("operate", "run_approved_recipe")  # what the stage training is entered by
DATA: Final = (*GRANTED, *ROWS, "operate")
ACTIONS: Final = (*DATA, "verify", *SELF)
RELEASES: Final = ("model_weights_dp", "dp_aggregate", "alert")
DLP_GROUPS: Final = (
    "identifiers",
    "private_communications",
    "health_financial_legal",
    "work_inferences",
    "security_behaviour",
)
SILOS: Final = ("hr", "badge", "payroll", "medical")
SEATS: Final = ("security", "privacy", "legal", "hr", "ml_lead", "employee_representative")
INTERNAL: Final = ("access_log",)  # what a purpose may use though no recorder collects it
DERIVED: Final = "feature"
REPAIR: Final = "repair"  # the one purpose of what is set aside
ASSURANCE: Final = ("E0", "E1", "E2", "E3", "E4")
MEASURES: Final = (  # what a promise can be measured by in this version
    "audit.days_since",
    "audit.open_findings",
    "drift.unapproved_config",
    "erasure.p100_hours",
    "incident.open_past_clock",
    "incident.p100_hours_to_contain",
    "reidentify.top1",
    "replay.any_employee_records",
    "replay.max_segments_exposed",
    "replay.people_exposed",
    "rights.overdue",
    "stop.p100_seconds",
    "trail.missing_entries",
)
