# Two commands do everything on a bare machine: `make corpus` and `make test`. Each makes .venv if it is missing.
FITS = $(shell $(1) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(1))
PYTHON ?= $(or $(firstword $(call FITS,python3.11) $(call FITS,python3)),python3)
RECIPE ?= sample
PRESET ?= sample
MEDTROVE = .venv/bin/medtrove
ROOMS = manifests scrapers filters dedup mixing train pipelines

.PHONY: setup setup-dev setup-train corpus plan report verify pretrain sft test test-slow test-ocr check bench bench-peers clean

setup:
	@$(PYTHON) -I pipelines/bootstrap.py core

corpus: setup
	@$(MEDTROVE) build $(RECIPE) $(INPUT)

plan: setup
	@$(MEDTROVE) plan $(RECIPE)

report: setup
	@$(MEDTROVE) report

verify: setup
	@$(MEDTROVE) verify

setup-train:
	@$(PYTHON) -I pipelines/bootstrap.py core train

pretrain: setup-train
	@$(MEDTROVE) pretrain $(PRESET)

sft: PRESET = sft-sample
sft: setup-train
	@$(MEDTROVE) sft $(SFT)

setup-dev:
	@$(PYTHON) -I pipelines/bootstrap.py core dev

test: setup-dev
	@.venv/bin/pytest -q -n 2 -m "not slow" --cov --cov-report=
	@for room in $(ROOMS); do printf '%-10s %s %% covered\n' $$room $$(.venv/bin/coverage report --include "$$room/*" --format=total); done

test-slow:
	@$(PYTHON) -I pipelines/bootstrap.py core dev train
	@.venv/bin/pytest -n 2 -m slow || [ $$? -eq 5 ]

test-ocr:
	@$(PYTHON) -I pipelines/bootstrap.py core dev ocr
	@.venv/bin/pytest -q tests/formats/test_pdf_ocr.py tests/formats/test_pdf_engine.py

check: setup-dev
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .
	@.venv/bin/mypy && .venv/bin/lint-imports

bench: setup-dev
	@for file in tests/benchmarks/bench_*.py; do .venv/bin/python $$file || exit 1; done

bench-peers: setup-dev
	@.venv/bin/python tests/benchmarks/peers.py $(PEERS)

clean:
	rm -rf build
