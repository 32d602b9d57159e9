"""What the company calls its teams, segments, tables, models, purposes and people."""

SEGMENTS = {
    "search": ("query_log", "click_stream", "doc_index", "synonym_graph", "relevance_labels"),
    "recs": ("watch_history", "item_catalogue", "session_events", "cold_start", "feed_impressions"),
    "safety": ("abuse_reports", "spam_signals", "moderation_queue", "account_graph", "appeals"),
    "speech": ("voice_clips", "transcripts", "speaker_profiles", "wakeword", "pronunciation"),
    "demand": ("orders", "inventory", "pricing", "weather_feeds", "depot_capacity"),
    "platform": ("compute_usage", "job_logs", "feature_registry", "lineage_graph", "cost_ledger"),
}
OPEN = ("geo_reference", "calendar_days", "currency_rates")
GUARDED = ("identity_keys", "staff_survey", "employee_chat")
LATER = {"search": "answer_feedback", "recs": "short_clips", "safety": "deepfake_reports"}
LATER |= {"speech": "dialect_corpus", "demand": "returns", "platform": "gpu_telemetry"}

TABLES: tuple[str, ...] = (
    "daily",
    "hourly",
    "sessions",
    "weekly_agg",
    "labels",
    "sample_1pct",
    "dim",
    "facts",
)
TABLES += ("snapshots", "train_split", "eval_split", "quality", "deduped", "joined_flat")

INDEXES: tuple[str, ...] = (
    "query_log",
    "doc_index",
    "relevance_labels",
    "watch_history",
    "item_catalogue",
)
INDEXES += ("feed_impressions", "abuse_reports", "account_graph", "voice_clips", "transcripts")
INDEXES += ("speaker_profiles", "orders", "job_logs", "feature_registry")

MODELS = {
    "ranker": "click_stream",
    "query-rewriter": "query_log",
    "doc-encoder": "doc_index",
    "feed-scorer": "feed_impressions",
    "item-tower": "item_catalogue",
    "next-watch": "watch_history",
    "spam-net": "spam_signals",
    "abuse-triage": "abuse_reports",
    "asr-large": "transcripts",
    "asr-edge": "voice_clips",
    "speaker-id": "speaker_profiles",
    "order-forecast": "orders",
    "price-elasticity": "pricing",
    "job-eta": "job_logs",
    "cost-guard": "cost_ledger",
}

PURPOSES = {
    "search": ("ranking-quality", "query-understanding", "index-freshness"),
    "recs": ("feed-relevance", "cold-start-study", "engagement-health"),
    "safety": ("abuse-detection", "moderator-support", "appeal-fairness"),
    "speech": ("asr-accuracy", "accent-coverage", "edge-latency"),
    "demand": ("stock-planning", "price-study", "depot-routing"),
    "platform": ("capacity-planning", "pipeline-health", "cost-control"),
}

OFFICES = {
    # name: hours from UTC in winter, the day of March 2026 on which summer time begins (0 = never),
    # days off counted from Monday 2 March 2026 (Holi; Good Friday; Easter Monday)
    "zurich": (1.0, 29, (32, 35)),
    "london": (0.0, 29, (32, 35)),
    "new_york": (-5.0, 8, ()),
    "bengaluru": (5.5, 0, (2, 32)),
}
TEAM_OFFICE = {
    "search": "zurich",
    "recs": "london",
    "safety": "new_york",
    "speech": "zurich",
    "demand": "bengaluru",
    "platform": "london",
}

HANDLES = """
amara anton bea boris carla chidi clara dario dina edda elif emeka esra fabio farah felix gita goran
hana hugo ida imran ines ivo jana joao jonas kaori karim keiko lars leila luca maeve marek mei milan
mina nadia niall noor olga omar oskar paula pedro petra priya quinn rafa ravi rosa sami sanna sven
talia tariq thea tomas uma vera vikram wanda xenia yara yusuf zane zofia
"""
PEOPLE = HANDLES.split()

PROJECTS = ("heron", "kestrel", "osprey", "plover", "siskin", "wigeon", "avocet", "dunlin")

AGENTS = (
    # name, role, bursty
    ("sql-copilot", "assistant", False),
    ("docs-helper", "assistant", False),
    ("notebook-pal", "assistant", False),
    ("metric-explainer", "assistant", False),
    ("label-checker", "assistant", False),
    ("oncall-scribe", "assistant", False),
    ("eval-runner", "batch_agent", True),
    ("index-keeper", "batch_agent", True),
    ("auto-labeller", "batch_agent", True),
    ("feature-scout", "batch_agent", True),
    ("regression-hunter", "batch_agent", True),
    ("data-tidier", "batch_agent", True),
)
