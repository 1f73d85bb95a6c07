# Two commands matter: `make demo` opens the page, `make test` runs the tests. Each sets up what it needs in .venv,
# once; the second time it starts at once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test soak lint format bench lock examples screenshots space docs docs-check chromium clean

demo: $(VENV)/.demo  ## open the page at http://127.0.0.1:7860
	$(BIN)/python app.py

test: $(VENV)/.dev chromium  ## run all tests, the browser's included
	$(BIN)/python -m pytest -n 2 --dist loadfile

soak: $(VENV)/.dev  ## fuzz, load and kill for about 20 minutes; MINUTES=5 for less
	$(BIN)/python -m benchmarks.soak --minutes $(or $(MINUTES),20)

lint: $(VENV)/.dev  ## style, types, who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/oxlint demo/page tests/modules
	$(BIN)/mypy

format: $(VENV)/.dev  ## mend what lint can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev  ## time and memory of the whole path
	$(BIN)/python -m benchmarks.speed

lock: $(VENV)/.dev  ## renew requirements.lock from requirements.txt (pip-tools in an environment of its own)
	@$(PYTHON) -m venv $(VENV)/lock && $(VENV)/lock/bin/pip install --quiet pip-tools
	$(VENV)/lock/bin/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
	  --no-emit-find-links --output-file requirements.lock requirements.txt

examples: $(VENV)/.dev  ## make the example photos and the README's picture again
	$(BIN)/python -m demo.make_examples

screenshots: $(VENV)/.dev chromium  ## make the README's picture of the page again
	$(BIN)/python -m demo.make_screenshots

HARDWARE ?= cpu
space:  ## a Hugging Face Space in build/space, ready to upload; HARDWARE=zero for ZeroGPU
	$(PYTHON) -m demo.make_space --hardware $(HARDWARE)

docs: $(VENV)/.docs  ## the documentation as a site in build/site; a warning or a dead link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

docs-check: $(VENV)/.dev $(VENV)/.docs  ## run every documented command, also from clean environments (20 minutes)
	$(BIN)/python -m benchmarks.docs_check

$(VENV)/.docs: $(VENV)/.demo
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

$(VENV)/.demo: requirements.txt pyproject.toml
	@echo "Setting up $(VENV) for the page (about a minute)"
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	@echo "Setting up $(VENV) for tests and training"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[demo,heic,train,dev]'
	@touch $@

# The browser tests use Debian's Chromium. Where it cannot be installed they skip, and say so.
chromium:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
	{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "Installing Chromium for the browser tests" && \
	  apt-get update -qq >/dev/null 2>&1 && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y chromium >/dev/null 2>&1; } || \
	echo "No Chromium here and none can be installed: the browser tests will skip"

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
