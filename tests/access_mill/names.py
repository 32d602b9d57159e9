"""The words of the made-up company: its teams, what they keep, why they use it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TeamPlan:
    """One team as it is founded; sizes and members are drawn per seed.

    Attributes:
        name: How the log calls the team.
        domain: Whose data it mostly works on.
        friends: Other domains it uses as a matter of course.
        places: Regions its people live in, the first being the usual one.
        size: Fewest and most people.
        roles: Roles of its people, repeated by weight.
        grants: `project` (one id for several segments), `person` (one per person and segment),
            or `none`.
        purposes: What its people say they do.
        untidy: Share of its lines that lack a role or a purpose.
    """

    name: str
    domain: str
    friends: tuple[str, ...]
    places: tuple[str, ...]
    size: tuple[int, int]
    roles: tuple[str, ...]
    grants: str
    purposes: tuple[str, ...]
    untidy: float = 0.02


_SCIENCE = ("data scientist", "data scientist", "ml engineer", "ml engineer", "data engineer")
_ANALYSIS = ("analyst", "analyst", "analyst", "data scientist")
_BUILD = ("data engineer", "data engineer", "site reliability", "site reliability")

TEAMS = (
    TeamPlan("Ranking", "ranking", ("product",), ("us", "us", "eu"), (8, 13), _SCIENCE,
             "project", ("ranking-quality", "model-training", "experiment-readout")),
    TeamPlan("Speech", "speech", ("research",), ("eu",), (7, 11), _SCIENCE,
             "person", ("asr-training", "quality-review", "error-analysis")),
    TeamPlan("Forecasting", "forecast", ("finance",), ("eu", "in"), (4, 7), _SCIENCE,
             "none", ("demand-planning", "backtest"), 0.12),
    TeamPlan("Payments Risk", "risk", ("product",), ("us", "eu"), (6, 10),
             (*_ANALYSIS, "ml engineer", "site reliability"),
             "person", ("fraud-review", "rule-tuning", "chargeback-case", "model-training")),
    TeamPlan("People Analytics", "people", (), ("us",), (3, 5), ("analyst", "data scientist"),
             "person", ("headcount-report", "survey-report")),
    TeamPlan("Support Insight", "support", ("product", "speech"), ("in", "in", "us"), (6, 10),
             _ANALYSIS, "project", ("ticket-triage", "agent-quality", "weekly-report"), 0.06),
    TeamPlan("Product Analytics", "product", ("ranking", "support"), ("us", "eu"), (9, 14),
             _ANALYSIS, "project", ("funnel-analysis", "experiment-readout", "ad-hoc")),
    TeamPlan("Finance Control", "finance", ("risk",), ("us",), (4, 6), ("analyst", "controller"),
             "none", ("month-end-close", "budget-check", "audit-trail"), 0.04),
    TeamPlan("Data Platform", "platform", ("product", "ranking", "forecast"), ("eu", "in"),
             (8, 12), _BUILD, "none", ("operations", "incident", "capacity"), 0.2),
    TeamPlan("Data Governance", "platform", ("people", "risk", "speech", "telemetry", "support"),
             ("eu",), (2, 4), ("data steward",), "person", ("access-review", "retention-check")),
    TeamPlan("Research", "research", ("speech",), ("us", "eu"), (5, 9),
             ("researcher", "researcher", "ml engineer"),
             "project", ("pretraining", "benchmarking", "ablation"), 0.08),
    TeamPlan("Workflow Learning", "telemetry", ("research",), ("us",), (4, 7), _SCIENCE,
             "person", ("assistant-training", "privacy-evaluation")),
)  # fmt: skip

#: what each domain keeps; the names of segments are made of these
STORES: dict[str, tuple[str, ...]] = {
    "ranking": ("clicks", "impressions", "queries-eu", "queries-us", "items", "features"),
    "speech": ("calls-de", "calls-en", "calls-hi", "transcripts", "speakers", "acoustics"),
    "forecast": ("demand", "stock", "weather", "stores"),
    "risk": ("payments", "chargebacks", "devices", "merchants", "sanctions"),
    "people": ("directory", "reviews", "payroll", "surveys", "leave"),
    "support": ("tickets", "chats", "macros", "contacts"),
    "product": ("events-web", "events-app", "experiments", "funnels", "profiles"),
    "finance": ("ledger", "invoices", "budgets", "vendors"),
    "platform": ("logs", "metrics", "lineage", "costs"),
    "research": ("corpora", "benchmarks", "preferences", "synthetic"),
    "telemetry": ("keystrokes", "screens", "prompts", "pointers"),
    "shared": ("calendar", "geo", "currency", "taxonomy"),
}
#: domains about people, which an intruder would rather have
SENSITIVE = ("people", "telemetry", "risk", "speech")
#: how a domain names things: readable paths, dotted catalogue names, or opaque ids
STYLES = {
    "ranking": "path", "speech": "opaque", "forecast": "dotted", "risk": "dotted",
    "people": "opaque", "support": "path", "product": "dotted", "finance": "dotted",
    "platform": "path", "research": "path", "telemetry": "opaque", "shared": "dotted",
}  # fmt: skip
#: domains that keep vector indexes, and the families of models of a domain
INDEXED = ("ranking", "speech", "support", "product", "research", "telemetry")
FAMILIES = {
    "ranking": ("ranker", "query-rewriter"), "speech": ("asr-large", "diariser"),
    "forecast": ("demand-net",), "risk": ("fraud-gbm", "device-graph"),
    "support": ("reply-helper",), "research": ("base-lm", "reward"),
    "telemetry": ("workflow-lm",),
}  # fmt: skip
TABLES = (
    "raw", "clean", "daily", "facts", "labels", "features", "agg_week", "sample", "holdout",
    "scores", "sessions", "errors", "dim_user", "dim_item", "history", "snapshot", "corrections",
    "audit", "late_arrivals", "stats",
)  # fmt: skip
GIVEN = (
    "ana", "ben", "carla", "deepa", "eli", "fatma", "goran", "hana", "ivo", "jun", "kavya", "lars",
    "mira", "nils", "oya", "priya", "quinn", "rosa", "sami", "tove", "uma", "vikram", "wanda",
    "xin", "yara", "zoe",
)  # fmt: skip
FAMILY = (
    "abbott", "bauer", "costa", "dahl", "engel", "fischer", "gupta", "horvat", "iyer", "jansen",
    "kumar", "lopez", "marsh", "novak", "okafor", "patel", "quist", "reyes", "singh", "turner",
    "umar", "vogel", "weber", "young", "zeller",
)  # fmt: skip
