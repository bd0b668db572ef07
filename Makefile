# Portable: GNU make 3.81 and a POSIX shell. Works from any folder: make -C path/to/lazyvox test
#
#   PYTHON=python3.12   which Python builds the environments; default: the newest that is found
#   ARGS="..."          more arguments for the program that the target runs
#   FILE=run.nii.gz     (demo) the image to work on, instead of a generated one

PYTHON ?=
ARGS =
FILE =

export PYTHON
# The environments are complete in themselves; settings of the caller's Python must not reach them.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PIP_USER PIP_TARGET PIP_PREFIX

IN_TEST = .venv/bin/python
IN_DEMO = .venv-demo/bin/python
IN_BENCH = .venv-bench/bin/python
IN_DOCS = .venv-docs/bin/python
IN_DIST = .venv-dist/bin/python

.PHONY: help test test-long lint format docs docs-check demo bench bench-nilearn bench-cli bench-asv
.PHONY: docs-browser dist parity clean environment viewer test-browser

help:
	@echo "make demo        make a real-sized run, extract regions from it, plot them (2 minutes)"
	@echo "make demo FILE=MY.nii.gz    the same on a file of yours"
	@echo "make test        lint, types, import contracts, doctests and all fast tests"
	@echo "make test-long   the tests that take minutes or gigabytes as well"
	@echo "make lint        lint, types and import contracts only"
	@echo "make format      let ruff put the code into shape"
	@echo "make viewer      fetch the libraries of the page of lazyvox view, with npm (10 seconds)"
	@echo "make docs        build the documentation site, docs/_build/html/index.html (2 minutes)"
	@echo "make docs-check  run every example of README.md and docs/"
	@echo "make test-browser    check the types of the page of lazyvox view, use it in headless Chromium (1 minute)"
	@echo "make docs-browser    build the site, and check it in headless Chromium (5 minutes)"
	@echo "make dist        build wheel and source archive, and check them in an empty environment"
	@echo "make bench       measure every stated figure, next to nibabel and nilearn (an hour)"
	@echo "make bench-nilearn   the maskers and functions of nilearn's names, next to nilearn"
	@echo "make bench-cli   the commands, next to niimath and MRtrix3 where they are installed"
	@echo "make bench-asv   the small benchmarks of benchmarks/suite, with asv"
	@echo "make parity      compare every function with nilearn's, and write docs/parity.md"
	@echo "make clean       remove the environments and caches"

environment:
	@tools/build-environment .venv all,test,dev

lint: environment
	$(IN_TEST) -m ruff check .
	$(IN_TEST) -m ruff format --check .
	$(IN_TEST) -m mypy
	$(IN_TEST) -c "from importlinter.cli import lint_imports_command as run; run()"
	$(IN_TEST) tools/words
	find src -name '*.py' -exec $(IN_TEST) -m numpydoc lint --config . {} +

test: lint
	$(IN_TEST) -m pytest -q --numprocesses=logical --dist=worksteal $(ARGS)

test-long: lint
	$(IN_TEST) -m pytest -q --numprocesses=logical --dist=worksteal -m "not browser" \
	    --hypothesis-profile=long --timeout=1800 -o faulthandler_timeout=1700 $(ARGS)

test-browser: environment viewer
	@$(IN_TEST) tools/check-page
	@PYTHONPATH=tools $(IN_TEST) -c "import chromium; chromium.install_chromium()"
	$(IN_TEST) -m pytest -q -m browser tests/browser $(ARGS)

format: environment
	$(IN_TEST) -m ruff check --fix .
	$(IN_TEST) -m ruff format .

viewer:
	@tools/build-viewer $(ARGS)

docs:
	@tools/build-environment .venv-docs docs
	$(IN_DOCS) -m sphinx -W --keep-going -b html docs docs/_build/html $(ARGS)
	@echo "The site is in docs/_build/html/index.html"

docs-browser: docs
	$(IN_DOCS) tools/check-site docs/_build/html docs/_build/screenshots $(ARGS)

docs-check: environment
	$(IN_TEST) -m pytest -q tests/api/test_docs.py $(ARGS)

demo:
	@tools/build-environment .venv-demo plot
	@$(IN_DEMO) -m lazyvox demo $(if $(FILE),--file "$(FILE)") $(ARGS)

bench:
	@tools/build-environment .venv-bench bench
	@$(IN_BENCH) benchmarks $(ARGS)

bench-nilearn:
	@tools/build-environment .venv-bench bench
	@$(IN_BENCH) benchmarks/against_nilearn.py $(ARGS)

bench-cli:
	@tools/build-environment .venv-bench bench
	@$(IN_BENCH) benchmarks/command_line.py $(ARGS)

bench-asv:
	@tools/build-environment .venv-bench bench
	@$(IN_BENCH) -m asv machine --yes --config benchmarks/asv.conf.json
	@$(IN_BENCH) -m asv run --python=same --config benchmarks/asv.conf.json $(ARGS)

parity: environment
	@$(IN_TEST) tools/parity $(ARGS)

dist: viewer
	@tools/build-environment .venv-dist release
	$(IN_DIST) tools/check-dist $(ARGS)

clean:
	rm -rf src/lazyvox/viewer/static/vendor tools/viewer/node_modules
	rm -rf .venv .venv-demo .venv-bench .venv-dist .venv-docs build dist .hypothesis .import_linter_cache \
	    .mypy_cache .pytest_cache .ruff_cache docs/_build docs/api/generated docs/examples
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
