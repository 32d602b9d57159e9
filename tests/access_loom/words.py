"""The words of the company: names, streams, departments, lines of work, and what roles do."""

Mix = list[tuple[str, str, float]]


def _words(text: str) -> list[str]:
    return text.split()


def _mix(text: str) -> Mix:
    """What is done to which sort of thing, with its weight."""
    return [(a, s, float(w)) for a, s, w in (x.split(":") for x in text.split())]


def _lines(text: str) -> dict[str, tuple[str, list[str], list[str], list[str], list[str]]]:
    out = {}
    for row in text.strip().splitlines():
        name, purpose, *lists = row.strip().split(" | ")
        a, b, c, d = (x.split() for x in lists)
        out[name] = (purpose, a, b, c, d)
    return out


def _roles(text: str) -> dict[str, tuple[int, Mix]]:
    """A name begins a new entry; a number and what is done follow."""
    out: dict[str, tuple[int, list[str]]] = {}
    words = iter(text.split())
    for word in words:
        if ":" in word:
            out[next(reversed(out))][1].append(word)
        else:
            out[word] = (int(next(words)), [])
    return {k: (n, _mix(" ".join(x))) for k, (n, x) in out.items()}


FIRST = _words("""
    ada bela carlo dina emre farah gita hugo ines jonas kaya lena milo nora omar petra quinn
    rosa sami tessa umut vera wim xenia yusuf zoe anouk bram cleo dario elif finn greta hana ivo
    june kofi lars mira nils olga paulo rafi selma tomas ulla viktor wanda yara zeno aiko bruno
    chiara dev esther fyodor gwen hiro ilse jamal kirsten luca maya niko otto priya ravi sanne
    theo uri vikram willa yoko alma boris celia
    """)
LAST = _words("""
    abel brandt castro dahl eriksen fabre groen haas ito janssen kaur lindt mbeki nagy okoye
    pires quist rossi sato toth usman varga wolf xu yilmaz zander adler bose cruz duarte engel
    fox garcia huang ivanov jain kim lopez meyer novak olsen patel reid silva tran unger vogel
    weber young ziegler
    """)
PRODUCTS = _words("""
    inkwell parcel tempo lantern juniper orbit marble sparrow canopy ripple thicket beacon
    """)
CRAFTS = _words("studio desk mobile web sync growth")
DEPARTMENTS = _words("engineering design support sales marketing operations research")
CLOSED = _words("legal finance hr leadership")
PEOPLE_FILES = _words("roster reviews pay_bands leave engagement")

# stream: (rows in a table, bytes a row)
STREAMS = {
    "keys": (9_000_000, 48),
    "pointer": (14_000_000, 40),
    "apps": (2_500_000, 90),
    "chat": (1_200_000, 420),
    "prompts": (400_000, 900),
    "meetings": (160_000, 1_500),
}

# line of work: purpose | streams | features | vectors of | models
LINES = _lines("""
    nextact | next-action-training | keys pointer apps | action_windows app_switches shortcut_use undo_chains | actions | nextact-s nextact-m
    helper | assistant-tuning | prompts chat | prompt_intents reply_pairs rewrite_edits | prompts | helper-3b helper-7b
    minutes | meeting-summaries | meetings chat | talk_turns agenda_spans decision_marks | meetings | minutes-base minutes-long
    ghost | typing-research | keys | typing_cadence pause_runs correction_rate |  | ghosttype
    flow | pointer-research | pointer apps | pointer_paths hover_dwell click_misses |  | flow-s
    ranker | search-relevance | chat prompts | query_clicks passage_pairs | chat passages | ranker-x embedder-2
    triage | support-quality | chat apps | handling_time reply_tone handover_chains | tickets | triage-lite
    rhythm | wellbeing-report | meetings keys | work_rhythm meeting_load focus_blocks |  | rhythm-cluster
    usage | product-analytics | apps pointer | feature_use drop_offs first_week |  | churn-tree
    shield | model-safety | prompts | risk_flags leak_probes | probes | shield-mini
    """)

# action: usual rows (0 for none) and the spread of their logarithm
ACTS = {
    a: (float(n), s)
    for a, n, s in _mix("""
        table.query:600:1.1 table.sample:1500:0.7 table.describe:1:0 table.read:20000:1
        table.join:9000:1 table.export:3000:0.8 feature.read:12000:0.9 feature.join:15000:0.8
        feature.build:40000:0.7 feature.export:2500:0.7 feature.publish:0:0
        notebook.run:5000:1.2 embedding.search:25:0.7 embedding.read:800:0.8
        embedding.export:4000:0.6 run.start:0:0 run.status:0:0 run.stop:0:0 run.logs:300:0.8
        model.evaluate:2000:0.5 model.card:0:0 model.register:0:0 dashboard.view:40:0.6
        report.export:200:0.6 report.edit:60:0.8 repo.read:120:0.9 repo.search:60:0.9
        repo.write:40:0.9 test.run:0:0 ticket.read:4:0.6 ticket.reply:1:0 ticket.search:30:0.7
        people.read:150:0.9 people.join:400:0.7 consent.check:20:0.8 consent.update:1:0
        audit.search:900:0.9 audit.read:2500:0.8 audit.export:6000:0.6 eval.label:15:0.6
        stream.inspect:2000:1 stream.repair:8000:1
        """)
}
# downloads: bytes of the file, in MB
HEAVY = {"model.download": 1_400, "checkpoint.download": 2_600, "adapter.download": 90}

# role: events a day, and what they do
ROLES = _roles("""
    data_scientist 24 table.query:clean:6 notebook.run:feature:5 feature.read:feature:4
        table.sample:clean:2 feature.join:feature+feature:0.9 table.join:clean+feature:0.6
        embedding.search:index:2 run.start:run:0.35 run.status:run:1.5 model.evaluate:model:0.7
        dashboard.view:report:1.2 feature.export:feature:0.12
    research_scientist 19 feature.read:feature:5 notebook.run:feature:5 run.start:run:0.7
        run.status:run:3 run.logs:run:2 model.evaluate:model:1.6
        checkpoint.download:checkpoint:0.25 embedding.read:index:1.2 table.sample:clean:1
        table.join:clean+clean:0.25
    ml_engineer 25 run.status:run:5 run.logs:run:4 run.start:run:0.6 model.register:model:0.3
        model.download:model:0.4 adapter.download:adapter:0.5 checkpoint.download:checkpoint:0.35
        model.evaluate:model:1.5 feature.read:feature:2 embedding.read:index:1.5
        embedding.export:index:0.15 repo.read:repo:3 repo.write:repo:2
    platform_engineer 20 run.status:run:5 run.logs:run:5 run.stop:run:0.3 repo.read:repo:4
        repo.write:repo:3 test.run:repo:2 table.describe:clean:1 model.card:model:0.7
        dashboard.view:report:2
    data_engineer 22 stream.inspect:raw:5 table.describe:clean:4 table.query:clean:4
        stream.repair:raw:0.5 feature.build:feature:0.8 feature.publish:feature:0.3
        repo.read:repo:3 repo.write:repo:2 table.join:clean+clean:0.3 run.logs:run:1
    product_manager 9 dashboard.view:report:7 report.export:report:0.4 model.card:model:1
        report.edit:report:1 ticket.search:ticket:1
    product_analyst 19 table.query:clean:4 feature.read:feature:3 dashboard.view:report:4
        report.edit:report:2 report.export:report:0.5 feature.join:feature+feature:0.5
        embedding.search:index:0.8 table.export:clean:0.1
    software_engineer 18 repo.read:repo:7 repo.write:repo:4 test.run:repo:4 model.card:model:0.8
        model.download:model:0.1 table.describe:clean:0.8 dashboard.view:report:1.5
        ticket.read:ticket:1.5
    people_analyst 17 people.read:people:4 feature.read:feature:4 people.join:people+feature:0.7
        report.edit:report:3 dashboard.view:report:3 report.export:report:0.5 table.query:clean:1
    support_agent 26 ticket.read:ticket:9 ticket.reply:ticket:6 ticket.search:ticket:3
        embedding.search:index:2 dashboard.view:report:0.5
    security_analyst 18 audit.search:audit:7 audit.read:audit:4 dashboard.view:report:2
        table.describe:clean:0.7 audit.export:audit:0.15 run.logs:run:0.8 repo.read:repo:1
    privacy_officer 13 consent.check:consent:6 consent.update:consent:2 audit.search:audit:3
        table.describe:clean:2 report.edit:report:1
    annotator 27 eval.label:eval:10 table.sample:clean:1.2 embedding.search:index:0.8
        dashboard.view:report:0.4
    team_lead 11 dashboard.view:report:5 report.edit:report:1 run.status:run:2 model.card:model:1
        feature.read:feature:1 table.query:clean:0.6
    """)
# what agents do
AGENTS = {
    role: mix
    for role, (_, mix) in _roles("""
    coding_agent 0 repo.read:repo:9 repo.search:repo:5 repo.write:repo:3 test.run:repo:3
        table.describe:clean:0.7 model.card:model:0.3
    analysis_agent 0 table.query:clean:6 feature.read:feature:5 table.describe:clean:3
        notebook.run:feature:4 feature.join:feature+feature:0.6 embedding.search:index:3
        report.edit:report:1
    desk_agent 0 ticket.read:ticket:6 embedding.search:index:4 ticket.search:ticket:3
        ticket.reply:ticket:2
    watch_agent 0 audit.search:audit:6 audit.read:audit:3
    """).items()
}
# craft of a team: roles, at least and at most
CREWS = {
    craft: [(role, int(lo), int(hi)) for role, lo, hi in mix]
    for craft, (_, mix) in _roles("""
    product 0 product_manager:1:1 software_engineer:3:5 product_analyst:1:2
    science 0 data_scientist:4:6 research_scientist:1:3 annotator:0:2
    platform 0 ml_engineer:3:5 platform_engineer:2:4
    data 0 data_engineer:4:6
    people 0 people_analyst:3:5
    support 0 support_agent:5:8
    security 0 security_analyst:4:6
    privacy 0 privacy_officer:2:3
    """).items()
}
# craft of a team: the purpose of its chores, and all sorts of things that they touch
CHORES = {
    "product": ("product-work", ()),
    "science": ("exploration", ()),
    "platform": ("platform-operations", ()),
    "data": ("data-quality", ("raw", "clean", "feature")),
    "people": ("people-reporting", ("people",)),
    "support": ("customer-support", ("ticket",)),
    "security": ("security-monitoring", ("audit",)),
    "privacy": ("consent-handling", ("consent", "audit")),
}
