# Builds, runs, tests and measures this project: `make help` lists the targets.

PYTHON ?= python3
VENV ?= .venv
SECONDS ?= 60
PROCESSES ?= 3
VERSIONS ?= 3.10 3.11 3.12 3.13 3.14
ARGS ?=

bin := $(VENV)/bin
environment := $(PYTHON) tools/environment.py $(VENV)
# Most tests wait for somebody: three processes keep two cores busy. The tests of one file stay together and in order.
pytest := $(bin)/python -m pytest $(ARGS)
parallel := $(pytest) --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder
# What failed beside other tests is run once more by itself: a fault fails again, a test that was starved does not.
alone := $(pytest) --last-failed --last-failed-no-failures none
# A file that cannot be collected is no failed test, and would not be run again.
collected := $(bin)/python -m pytest --collect-only -qq > $(VENV)/collected || { cat $(VENV)/collected; exit 1; }
# Tests of Go that wait run eight at a time. Once more, only the packages that failed are run.
at_once := -parallel 8
of_go = go test $(1) $(at_once) ./gocore/internal/... && \
	go test $(1) $(at_once) -tags full ./gocore/internal/transport ./gocore/internal/tlsshake && \
	go test $(1) $(at_once) -tags full -run TLS ./gocore/internal/server
# Tests of the wire once more, whose servers and peers speak TLS.
over_tls := --over-tls tests/wire/test_30_keep_alive.py tests/wire/test_50_answers.py tests/wire/test_81_messages.py
quick := -m "not slow" tests/bridge tests/config tests/wire tests/adversary

.DEFAULT_GOAL := help
.PHONY: help run test test-quick test-all test-versions test-python test-debug test-asan test-adversary bench bench-quick bench-parser bench-websocket profile apps fmt lint fuzz build wheels test-wheels options clean compliance

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20
	@echo "  PYTHON=$(PYTHON) chooses the interpreter, VENV=$(VENV) its environment, PROCESSES=$(PROCESSES) how many run tests;"
	@echo "  ARGS is passed on to pytest or the benchmark"

run: ## serve examples/hello on http://127.0.0.1:8000
	@$(environment) example
	$(bin)/saltare --app-dir examples/hello main:app

test: lint ## everything: formatting, vet, Go tests with the race detector, all Python tests
	@tools/system_packages.sh curl redis-server postgresql strace
	$(call of_go,-race) || { echo "make test: what failed runs once more"; $(call of_go,-race); }
	$(collected)
	$(parallel) || { echo "make test: what failed runs once more, alone"; $(alone); }
	$(parallel) $(over_tls) || { echo "make test: what failed runs once more, alone"; $(alone) $(over_tls); }

test-quick: ## in two minutes: Go tests, and the Python tests of the border, the wire and the options that are not slow
	@$(environment) dev
	go vet ./gocore/internal/...
	$(call of_go,)
	$(parallel) $(quick)

test-all: test fuzz test-versions test-debug test-asan test-adversary ## everything, on every Python and with every checker that this machine has

test-versions: ## the quick Python tests on each of VERSIONS that this machine has
	@set -e; for python in $$(tools/interpreters.sh $(VERSIONS)); do \
	    venv=.venv-$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	    $$python tools/environment.py $$venv quick; \
	    $(MAKE) --no-print-directory test-python VENV=$$venv; \
	done

test-python:
	$(parallel) $(quick)

compliance: ## outside judges: other readers of HTTP/1.1, linters, load tools, proxies (ARGS=--regenerate writes the table anew)
	@tools/system_packages.sh nginx libnginx-mod-stream haproxy slowhttptest apache2-utils nghttp2-client chromium
	@$(environment) compliance
	$(pytest) tests/compliance

bench: ## the benchmark against other servers (an hour; results in benchmarks/results); without ARGS bench-websocket as well
	@tools/system_packages.sh wrk nginx
	$(PYTHON) benchmarks/run.py $(ARGS)
	$(if $(ARGS),,$(PYTHON) benchmarks/bench_websocket.py)

profile: ## measures anew by which calls the compiler optimises the core (gocore/default.pgo; two minutes on a quiet machine)
	go test -trimpath -run '^$$' -bench 'Request|Bodies|Messages' -benchtime 20s -cpuprofile gocore/default.pgo -o $(VENV)/profiled ./gocore/internal/server

bench-quick: ## the same in two minutes, against uvicorn alone
	@tools/system_packages.sh wrk
	$(PYTHON) benchmarks/run.py --quick $(ARGS)

bench-parser: ## how fast request heads are parsed, beside fasthttp, net/http and llhttp (results/parser.md)
	@$(environment) dev
	cd benchmarks/parser && go run . -to ../results/parser.md -python $(abspath $(bin)/python) $(ARGS)

bench-websocket: ## echo, broadcast and idle WebSockets beside other servers (a quarter of an hour; results/websocket.md)
	$(PYTHON) benchmarks/bench_websocket.py $(ARGS)

apps: ## well-known programs under uvicorn and under saltare: responses, pages in a browser, streams, stops and memory (ARGS="--only gradio --write")
	@tools/system_packages.sh chromium
	$(PYTHON) benchmarks/bench_programs.py $(ARGS)

fmt: ## format Go and Python
	@$(environment) dev
	gofmt -w gocore
	$(bin)/ruff check --fix-only --quiet
	$(bin)/ruff format

lint: ## formatting, go vet, ruff, and whether the tables in docs are up to date
	@$(environment) dev
	tools/lint.sh $(bin)

fuzz: ## every fuzz target for SECONDS each
	tools/fuzz.sh $(SECONDS)

build: ## a wheel into dist/
	@$(environment)
	$(bin)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

wheels: ## the wheels of a release into dist/, for x86_64 and aarch64 and each of VERSIONS that this machine has, against glibc 2.28
	@tools/system_packages.sh gcc-aarch64-linux-gnu libc6-dev-arm64-cross
	@$(environment) wheels
	$(bin)/python tools/wheels.py dist --machine x86_64 --machine aarch64 $$(tools/interpreters.sh $(VERSIONS))

test-wheels: ## the quick Python tests with each wheel in dist/ that fits this machine, installed in a new environment
	PYTEST_ADDOPTS="--numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder" $(PYTHON) tools/try_wheels.py dist/*.whl

options: ## write the tables of options and of other servers' names into docs/options.md and docs/migrating.md
	@$(environment) dev
	$(bin)/python tools/options.py docs/options.md docs/migrating.md

clean: ## remove the environment and everything that was built
	rm -rf $(VENV) dist build .pytest_cache .ruff_cache saltare/*.so *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

test-debug: ## the border of C and Python on a debug interpreter, in which every reference is counted
	@tools/system_packages.sh python3-dbg python3-venv
	@if command -v python3-dbg >/dev/null; then \
	    python3-dbg tools/environment.py .venv-debug bridge && \
	    $(MAKE) --no-print-directory test-python VENV=.venv-debug quick="tests/bridge tests/adversary"; \
	fi

test-asan: ## the border and the wire with AddressSanitizer and UBSan in the C of the core (which keep freed memory: no large bodies)
	@$(environment) dev
	tools/sanitize.sh $(bin) $(ARGS) -k "not a_large_" tests/bridge tests/wire
	tools/sanitize.sh $(bin) $(ARGS) -k "not nothing_is_left_of_requests" tests/adversary

test-adversary: ## the border and the wire while each allocation collects garbage that acts, and a million requests and messages of that kind
	@$(environment) dev
	$(parallel) --adversary tests/bridge tests/wire
	SALTARE_SOAK=1000000 $(pytest) tests/adversary/test_soak.py
