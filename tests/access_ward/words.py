"""The words a group of hospitals uses: names of people, places, data, studies and models."""

import random


def _split(text: str) -> list[str]:
    return text.split()


FIRST = _split(
    "ada amara anselm bente bruno carla cosima daoud desta eirik elif emeka fabian farah gesa "
    "gunnar hanna hedda ibrahim ilse imke ines jannik jolanta kaan karin kofi lena leonor lior "
    "maja marek mina mirko nadia nils noor odile olga oskar paula petra quentin rana remo rosa "
    "sanne selma silas svea tamar tariq teresa tomas ulla uwe vera viktor wanda xenia yara "
    "yusuf zofia aoife bilal chidi dagny edith fritz greta henrik isolde jamal klara lothar "
    "merle"
)
LAST = _split(
    "abel adeyemi arndt baptiste berg bianchi brandt calder castro cohen dahl demir dietz "
    "eklund engel farkas fischer flores gruber haddad hansen hoffmann horvat ivanov jansen jung "
    "kaya keller kiss klein kovac kraus lang larsen lindner lopez maier marino mensah meyer "
    "moreau nagy novak oduya okafor olsen ortiz pauli peeters petrov quist rahman reiter ricci "
    "roth sander santos schulte silva sommer stein tanaka thoma toth urban vogel wagner weiss "
    "winter yilmaz zeller ziegler"
)
SITES = _split(
    "stanna stlukas northbank hillcrest seeburg marienhof westgate oldharbour lindenhof "
    "riverside elmwood brueckfeld parkside kaiserau southmere talheim"
)
WARDS = _split(
    "cardiology oncology neurology surgery icu paediatrics radiology nephrology pulmonology "
    "geriatrics emergency obstetrics"
)
TABLES = ("encounters", "labs", "vitals", "medication", "letters", "problems", "procedures")
SCANS = (
    "ct-chest",
    "ct-abdomen",
    "mri-brain",
    "mri-spine",
    "xray-chest",
    "mammo",
    "echo",
    "retina",
)
STUDIES = {
    "ehr": ("sepsis-alert", "readmission", "kidney-decline", "falls", "delirium", "anticoag"),
    "img": ("lung-nodule", "stroke-triage", "breast-density", "fracture-read", "echo-strain"),
    "gx": ("onco-panel", "rare-exome", "pharmaco", "cardiomyopathy", "tumour-evolution"),
    "txt": ("letter-summary", "dictation-style", "coding-help", "handover-notes"),
    "wf": ("night-shift-load", "staff-burnout", "roster-fairness"),
}
MODELS = {
    "img": ("thoraxnet", "scanseer", "nodulo", "brainmap", "mammaview", "echolens"),
    "txt": ("lettersum", "noteflow", "dictascribe", "wardtext", "codehint"),
}
PARTNERS = ("helixia", "northlight", "univ-arden", "pharmora", "quantscan", "tum-lab", "biovera")
SEGMENTS = {
    "img": ("imaging", "pacs-research", "image-store"),
    "gx": ("genomics", "sequence-vault", "gx-enclave"),
    "wf": ("workforce", "staffing", "people-data"),
    "sp": ("dictation", "speech-notes", "voice-notes"),
    "vec": ("vectors", "embedding-store", "semantic-index"),
    "mod": ("models", "model-registry", "model-store"),
    "link": ("linkage", "trust-centre", "pseudonym-office"),
    "out": ("exchange", "transfer-room", "partner-exchange"),
    "ops": ("platform", "operations", "infra"),
}
TEAMS = {
    "biostatistician": ("biostatistics", "institute-biometry", "stats-unit"),
    "ml-img": ("imaging-ai", "vision-models", "image-learning"),
    "ml-txt": ("language-ai", "text-models", "clinical-nlp"),
    "data-steward": ("data-office", "data-stewardship", "data-integration"),
    "it-operator": ("platform-ops", "it-operations", "control-room"),
    "bioinformatician": ("genomics-core", "sequencing", "omics-unit"),
    "imaging-analyst": ("imaging-core", "radiology-lab", "image-analysis"),
    "study-coordinator": ("study-office", "trial-office", "research-support"),
    "roster-planner": ("workforce-planning", "staff-planning", "duty-office"),
    "transcription-editor": ("dictation-desk", "medical-writing", "transcription"),
    "privacy-officer": ("governance", "data-protection", "trust-and-privacy"),
}
DIALECT = {
    "table.query": ("table.query", "sql.query"),
    "model.download": ("model.download", "registry.pull"),
    "dataset.join": ("dataset.join", "table.join"),
    "result.export": ("result.export", "report.export"),
    "extract.export": ("extract.export", "data.export"),
    "vector.search": ("vector.search", "embedding.search"),
    "vector.dump": ("vector.dump", "embedding.export"),
    "chart.open": ("chart.open", "record.open"),
    "retrieve.context": ("retrieve.context", "assistant.retrieve"),
    "share.send": ("share.send", "transfer.send"),
}


class Words:
    """One company's choice of words."""

    def __init__(self, r: random.Random) -> None:
        self.segment = {key: r.choice(names) for key, names in SEGMENTS.items()}
        self.team = {key: r.choice(names) for key, names in TEAMS.items()}
        self.action = {key: r.choice(names) for key, names in DIALECT.items()}
        self.sites = r.sample(SITES, r.randint(3, 4))
        self.wards = r.sample(WARDS[:-1], r.randint(6, 8))
        self.scans = r.sample(SCANS, r.randint(5, 7))
        self.partners = r.sample(PARTNERS, r.randint(2, 3))
        self.style = r.choice(("dot", "flat", "initial"))
        self.taken: set[str] = set()

    def person(self, r: random.Random) -> str:
        """A user name nobody has yet."""
        while True:
            first, last = r.choice(FIRST), r.choice(LAST)
            if self.style == "dot":
                name = f"{first}.{last}"
            elif self.style == "flat":
                name = f"{last}{first[:2]}"
            else:
                name = f"{first[0]}{last}{r.randint(1, 9)}"
            if name not in self.taken:
                self.taken.add(name)
                return name

    def verb(self, action: str) -> str:
        """The action as this company's log spells it."""
        return self.action.get(action, action)
