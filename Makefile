# The commands of the README, and what they are made of.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
WORKERS ?= 2

.PHONY: demo test docs lint types contracts unit clean help

help:
	@echo "make demo   install, make one synthetic neck, find its fractures"
	@echo "make test   install with the training extra; linters, types, import contracts, all tests"
	@echo "make docs   the documentation as a site, in site/; needs no network once its tools are installed"
	@echo "make clean  remove the environment and what the demo wrote"

demo: .venv/ready
	@rm -rf demo
	$(BIN)/cspine phantom demo/data --studies 1 --size small
	$(BIN)/cspine detect demo/data/train_images -o demo/result

docs: .venv/ready-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "Open site/index.html"

test: lint types contracts unit

lint: .venv/ready-test
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks

types: .venv/ready-test
	$(BIN)/mypy

contracts: .venv/ready-test
	$(BIN)/lint-imports

unit: .venv/ready-test
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --max-worker-restart 0 --durations 12

clean:
	rm -rf .venv demo site

.venv/made:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "cspine needs Python 3.11 or later")'
	$(PYTHON) -m venv .venv
	@touch $@

.venv/ready: .venv/made pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/ready-docs: .venv/made pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@ .venv/ready

.venv/ready-test: .venv/made pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,dicom,onnx,serve,docs,test]'
	@touch $@ .venv/ready
