# Every target does its own set-up: `make demo` and `make test` work on a fresh machine.

SHELL := /bin/bash
.DELETE_ON_ERROR:

VENV := .venv
PY := $(VENV)/bin/python
PACKAGING := build/packaging-venv
PIP := $(PY) -m pip --disable-pip-version-check --no-cache-dir
PYTEST := tools/scratch $(PY) -m pytest
# Shows what a command printed only if it failed.
QUIETLY := tools/quietly

KERNEL_SOURCES := $(shell find agent/_fast agent/sandesh -name '*.pyx' -o -name '*.px[di]' \
	-o -name '*.h' -o -name '*.sandesh' -o -path 'agent/_fast/src/*.c' -o -path 'agent/sandesh/compiler/*.py')

.PHONY: help
help:
	@echo 'make demo           two hosts, two networks, four VMs and two controllers, checked end to end'
	@echo '                    (make demo TOPOLOGY=agent/lab/topologies/one-host.yaml: one host on its own)'
	@echo 'make run            the same, kept up until Ctrl-C, with a prompt of what to try'
	@echo 'make test           every test'
	@echo 'make lint           ruff and mypy --strict'
	@echo 'make bench          benchmarks beside their peers, and the report'
	@echo 'make bench-compare  the ratios to the peers against the committed baseline'
	@echo 'make asan           unit and fuzz tests with sanitized kernels'
	@echo 'make share          man pages and shell completions of the commands, in share/'
	@echo 'make dist           sdist and wheel, tried in a fresh venv, with a host of a lab;'
	@echo '                    vrouter-port-control as one file'
	@echo 'make wheels         wheels for every supported Python (needs docker or podman)'
	@echo 'make deb            Debian package for this machine'"'"'s release and processor'
	@echo 'make fresh          the wheel on a new machine, a root of Debian (RELEASE=trixie, WHAT=wheel'
	@echo '                    or deb, or unit for the unit tests with its Python)'
	@echo 'make sbom           what a package brings: CycloneDX, and licences'
	@echo 'make audit          known vulnerabilities of what is pinned'
	@echo 'make requirements   pin requirements/ again (UPGRADE=1: to the newest)'
	@echo 'make build          .venv with the package and its tools'
	@echo 'make clean          remove what the targets made, except .venv'

# --- Set-up ---------------------------------------------------------------------------

.PHONY: build packages-build packages-deb packages-fresh packages-lab packages-page packages-test
packages-build packages-deb packages-fresh packages-lab packages-page packages-test: packages-%: | build/
	@tools/system-packages $*

build/:
	@mkdir -p build

$(PY): | packages-build
	@echo 'making $(VENV)'
	@"$$(tools/find-python)" -m venv $(VENV)

# The build requirements come first so that the kernels are compiled in place, once.
$(VENV)/.installed: pyproject.toml requirements/build.txt | $(PY)
	@echo 'installing the package and its tools'
	@$(QUIETLY) $(PIP) install --require-hashes -r requirements/build.txt
	@$(QUIETLY) $(PIP) install --no-build-isolation --editable '.[dev]'
	@touch $@

$(VENV)/.kernels: $(VENV)/.installed setup.py $(KERNEL_SOURCES)
	@echo 'compiling the kernels'
	@$(QUIETLY) $(PY) setup.py build_ext --inplace --parallel $$(nproc)
	@touch $@

build: packages-build $(VENV)/.kernels

# --- Lab ------------------------------------------------------------------------------

TOPOLOGY := agent/lab/topologies/two-hosts.yaml

.PHONY: demo run
demo: build packages-lab packages-page
	@$(VENV)/bin/vrouter-lab demo --pictures build $(TOPOLOGY)

run: build packages-lab
	@$(VENV)/bin/vrouter-lab run $(TOPOLOGY)

# --- Checks ---------------------------------------------------------------------------

# What needs no more than its own process takes all processors; what has hosts, links and clients of
# its own mostly waits, and has its limits of time: two at a time.
ALONE := tests/unit tests/graph tests/fuzz $(wildcard tests/test_*.py)
ON_THE_MACHINE := tests/fault tests/system

.PHONY: test lint asan
test: build packages-lab packages-page packages-test
	@$(PYTEST) -n auto --dist loadfile $(ALONE)
	@$(PYTEST) -n 2 --dist loadfile $(ON_THE_MACHINE)

lint: build
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

# A copy of the tree with its own kernels, so that the ordinary ones stay as they are.
ASAN := build/asan
ASAN_TESTS := tests/unit tests/fuzz
asan: build
	@mkdir -p $(ASAN)
	@find $(ASAN) \( -name '*.py' -o -name '*.pyx' \) -delete
	@tar -c --exclude='*.so' --exclude='__pycache__' agent contrail_vrouter_api \
		bench debian deploy docs requirements tests tools setup.py pyproject.toml README.md \
		| tar -x -C $(ASAN)
	@cd $(ASAN) && VROUTER_SANITIZE=1 $(CURDIR)/$(QUIETLY) $(CURDIR)/$(PY) setup.py \
		build_ext --inplace --parallel $$(nproc)
	@cd $(ASAN) && LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
		ASAN_OPTIONS=detect_leaks=0:handle_segv=1 PYTHONMALLOC=malloc \
		$(CURDIR)/tools/scratch $(CURDIR)/$(PY) -m pytest -p no:cacheprovider $(ASAN_TESTS)

# --- Benchmarks -----------------------------------------------------------------------

.PHONY: bench bench-compare
$(VENV)/.bench: $(VENV)/.installed
	@echo 'installing the peers of the benchmarks'
	@$(QUIETLY) $(PIP) install --no-build-isolation --editable '.[dev,bench]'
	@touch $@

bench: build $(VENV)/.bench
	@$(PYTEST) bench --benchmark-json build/bench.json
	@$(PY) bench/report.py build/bench.json

bench-compare: build $(VENV)/.bench
	@$(PYTEST) bench --benchmark-json build/bench.json
	@$(PY) bench/compare.py build/bench.json

# --- Packages -------------------------------------------------------------------------

# Made from the commands' own parsers, so they go into packages and not into the repository.
.PHONY: share
share: build
	@rm -rf share
	@$(PY) -m tools.share share
	@echo 'share/: man pages, and completions for bash, zsh and fish'

.PHONY: sdist dist wheels deb
sdist: build share
	@rm -rf dist
	@mkdir -p dist
	@$(QUIETLY) $(PY) -c 'from setuptools import build_meta; build_meta.build_sdist("dist")'

dist: sdist packages-lab
	@rm -rf build/dist-venv
	@$(QUIETLY) $(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist dist/*.tar.gz
	@$(PY) -m venv build/dist-venv
	@$(QUIETLY) build/dist-venv/bin/python -m pip --disable-pip-version-check --no-cache-dir install \
		--require-hashes -r requirements/run.txt
	@$(QUIETLY) build/dist-venv/bin/python -m pip --disable-pip-version-check install --no-deps dist/*.whl
	@tools/smoke build/dist-venv
	@tools/smoke-lab build/dist-venv
	@rm -rf build/dist-venv
	@$(PY) tools/port-control dist/vrouter-port-control
	@ls -1 dist

# Of other processors only where the kernel runs their programs (binfmt_misc with QEMU).
WHEEL_ARCHS := native
wheels: sdist $(PACKAGING)/.installed
	@engine=$$(tools/container-engine) && CIBW_CONTAINER_ENGINE=$$engine \
		$(PACKAGING)/bin/cibuildwheel --platform linux --archs $(WHEEL_ARCHS) --output-dir dist dist/*.tar.gz

deb: sdist packages-deb
	@tools/build-deb dist/*.tar.gz

# Minutes and a gigabyte of disk, so not part of continuous integration.
.PHONY: fresh
RELEASE := trixie
WHAT := wheel
fresh: sdist packages-fresh
	@tools/fresh $(WHAT) $(RELEASE) $(ARCH)

# --- What packages are made of --------------------------------------------------------

.PHONY: requirements sbom audit check-deploy
$(PACKAGING)/.installed: requirements/packaging.txt | $(PY)
	@echo 'installing the tools of packaging'
	@$(PY) -m venv --clear $(PACKAGING)
	@$(QUIETLY) $(PACKAGING)/bin/python -m pip --disable-pip-version-check --no-cache-dir install \
		--require-hashes -r requirements/packaging.txt
	@touch $@

requirements: $(PACKAGING)/.installed
	@tools/pin-requirements $(PACKAGING)/bin/uv $(if $(UPGRADE),--upgrade)

sbom: $(PACKAGING)/.installed
	@tools/sbom $(PACKAGING) dist

audit: $(PACKAGING)/.installed
	@for name in build run packaging; do echo "requirements/$$name.txt"; \
		$(PACKAGING)/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off \
			-r requirements/$$name.txt && continue; \
		echo "make audit: not clean, or not all could be looked up: \"not found on PyPI\" of a package" \
			"that is there means that this index serves packages and no advisories" >&2; exit 1; done

check-deploy: $(PACKAGING)/.installed
	@$(PACKAGING)/bin/kubernetes-validate --strict deploy/kubernetes/*.yaml

.PHONY: clean
clean:
	@rm -rf build dist share *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	@rm -rf $(VENV)/.kernels .vrouter-lab
	@find agent -name '*.so' -delete
	@find agent tests bench -name __pycache__ -type d -exec rm -rf {} +
