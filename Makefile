# Every target sets up what it needs: a virtual environment in .venv, from pyproject.toml and constraints.txt.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# Pinned and first: an unpinned torch, asked for by another package, may take another build.
TORCH := torch==2.13.0
SHARED ?= ../shared/data

.DEFAULT_GOAL := help
.PHONY: help install demo serve test test-slow lint format protos evaluate-cifar10 evaluate-quick calibrate-cifar10 bench bench-soak bench-rolling bench-servers
.PHONY: evaluate-tuned analyze-quick analyze-cifar10 analyze-cifar10-difficulty analyze-cifar10-permutation analyze-cifar10-representation analyze-mnist bench-bypass bench-matching bench-representation bench-strata bench-canaries bench-generators bench-capacity prometheus test-images loadtest loadtest-distributed clean

help: ## Show the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

install: $(INSTALLED) ## Set up .venv with everything a developer needs

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '$(TORCH)'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--editable '.[attacks,calibrate,dev,loadtest,ray,tracing]'
	touch $@

demo: $(INSTALLED) ## Build a detector on scikit-learn's digits, serve it, attack it, show what it says
	$(BIN)/isthmus demo --out demo-output

serve: $(INSTALLED) ## The demo, but the server is left running and it says how to call it
	$(BIN)/isthmus demo --out demo-output --keep-serving

test: lint prometheus ## Lint, type-check and test; a quarter of an hour on 2 slow cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --no-loadscope-reorder --durations 40

test-slow: $(INSTALLED) ## The heavier replications, which `make test` leaves out, but for the images' (test-images)
	$(BIN)/python -m pytest -m slow --ignore tests/deploy/test_docker_stages.py

lint: $(INSTALLED) ## Ruff and mypy strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED) ## Let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

protos: $(INSTALLED) ## Regenerate the gRPC stubs (a test fails when they differ)
	$(BIN)/python protos/generate.py

CIFAR10_FILES := $(SHARED)/classifiers/cifar10_resnet20.onnx $(SHARED)/classifiers/cifar10_resnet20.pt2 $(SHARED)/cifar10/test.zip
CIFAR10 := --classifier $(SHARED)/classifiers/cifar10_resnet20.onnx \
	--gradients $(SHARED)/classifiers/cifar10_resnet20.pt2 --images $(SHARED)/cifar10/test.zip
MNIST := $(SHARED)/mnist/mnist_t10k-images-idx3-ubyte.gz

evaluate-cifar10: $(INSTALLED) ## Measure the guard on CIFAR-10 against every attack and peer (under an hour)
	$(BIN)/isthmus evaluate $(CIFAR10) --other-images $(MNIST) --out evaluation-output/cifar10

evaluate-quick: $(INSTALLED) ## The same with a few cheap attacks (6 minutes)
	$(BIN)/isthmus evaluate $(CIFAR10) --other-images $(MNIST) --out evaluation-output/quick --quick

evaluate-tuned: $(INSTALLED) ## The guard that --tune chooses, and the plain one beside it (hours)
	$(BIN)/isthmus evaluate $(CIFAR10) --other-images $(MNIST) --tune --out evaluation-output/tuned

analyze-cifar10: $(INSTALLED) ## The path-loss paper's analyses on CIFAR-10, and its published barriers (an hour)
	$(BIN)/isthmus analyze connectivity $(CIFAR10) --barriers within-class=$(SHARED)/paper_barriers/within_class_sample.csv \
		--barriers adversarial=$(SHARED)/paper_barriers/cross_class_adversarial_sample.csv --out analysis-output/connectivity

bench-strata: $(INSTALLED) ## Who pays for false alarms on CIFAR-10, with and without strata of difficulty (a quarter of an hour)
	$(BIN)/python -m benchmarks.strata $(CIFAR10_FILES) --out evaluation-output/strata

analyze-quick: $(INSTALLED) ## All four analyses on scikit-learn's digits, small (a few minutes)
	$(foreach analysis,connectivity permutation difficulty representation,$(BIN)/isthmus analyze $(analysis) --quick --out analysis-output/quick/$(analysis) &&) true

analyze-mnist: $(INSTALLED) ## Permutations, difficulty and representations of networks trained on MNIST (three quarters of an hour)
	$(BIN)/isthmus analyze permutation --images $(MNIST) --out analysis-output/permutation
	$(BIN)/isthmus analyze difficulty --images $(MNIST) --out analysis-output/difficulty
	$(BIN)/isthmus analyze representation --images $(MNIST) --out analysis-output/representation

analyze-cifar10-difficulty: $(INSTALLED) ## How hard images of CIFAR-10 are, for three small architectures, 6 runs each (a quarter of an hour)
	$(BIN)/isthmus analyze difficulty --images $(SHARED)/cifar10/train.zip --size 32x32 --runs 6 --gradients 2 \
		$(foreach study,reliability variance covariance components bias fingerprint,--studies $(study)) \
		--out analysis-output/difficulty-cifar10

CIFAR10_WIDTHS := --images $(SHARED)/cifar10/train.zip --size 32x32 --limit 12500 --epochs 10 --triples 2 --measured 2000 --studies width
analyze-cifar10-permutation: $(INSTALLED) ## Widths of small convolutional and residual networks on CIFAR-10 (an hour or two)
	$(BIN)/isthmus analyze permutation $(CIFAR10_WIDTHS) --architecture cnn --widths 4,8,16,32 \
		--out analysis-output/permutation-cifar10-cnn
	$(BIN)/isthmus analyze permutation $(CIFAR10_WIDTHS) --architecture resnet8-1-layernorm --widths 4,8,16 \
		--out analysis-output/permutation-cifar10-resnet8

analyze-cifar10-representation: $(INSTALLED) ## Paths of residual networks on CIFAR-10, and of the shared ResNet-20 (three quarters of an hour)
	$(BIN)/isthmus analyze representation --images $(SHARED)/cifar10/train.zip --size 32x32 --limit 10000 --epochs 8 --augment \
		--architecture resnet --out analysis-output/representation-cifar10
	$(BIN)/isthmus analyze representation $(CIFAR10) --out analysis-output/representation-cifar10-given

bench-matching: $(INSTALLED) ## What matching the units of two residual networks takes
	$(BIN)/python -m benchmarks.matching

bench-representation: $(INSTALLED) ## What distances between layers take, in each space
	$(BIN)/python -m benchmarks.representation

bench-bypass: $(INSTALLED) ## What bypasses cost on CIFAR-10
	$(BIN)/python -m benchmarks.bypass $(CIFAR10_FILES)

bench: $(INSTALLED) bundles/cifar10 ## Speed, as ratios taken in one run; docs/performance.md has a table
	$(BIN)/python -m benchmarks.engines bundles/cifar10
	$(BIN)/python -m benchmarks.serving bundles/cifar10

bench-canaries: $(INSTALLED) bundles/cifar10 ## Which changed classifiers a bundle's canaries tell, and whether a restart ever alarms them
	$(BIN)/python -m benchmarks.canaries bundles/cifar10 $(SHARED)/cifar10/test.zip

bench-soak: $(INSTALLED) bundles/cifar10 ## A quarter of an hour of load, then too much of it: memory, lost answers, the tail
	$(BIN)/python -m benchmarks.soak bundles/cifar10

bench-rolling: $(INSTALLED) bundles/cifar10 ## Two replicas restarted in turns under load; no request may fail
	$(BIN)/python -m benchmarks.rolling bundles/cifar10

bench-servers: $(INSTALLED) bundles/cifar10 .venv-mlserver .venv-kserve ## The classifier alone, here, in MLServer and in KServe's server
	$(BIN)/python -m benchmarks.servers bundles/cifar10 --mlserver .venv-mlserver --kserve .venv-kserve

.venv-mlserver:
	$(PYTHON) -m venv $@
	$@/bin/pip install --quiet mlserver onnxruntime 'uvloop<0.22' || (rm -rf $@; false)

.venv-kserve:
	$(PYTHON) -m venv $@
	$@/bin/pip install --quiet kserve onnxruntime || (rm -rf $@; false)

bundles/cifar10:
	$(MAKE) calibrate-cifar10

calibrate-cifar10: $(INSTALLED) ## Calibrate a detector for the shared CIFAR-10 classifier
	$(BIN)/isthmus calibrate $(CIFAR10) --out bundles/cifar10

prometheus: ## Debian's Prometheus and promtool into .tools, not installed; tests that need them are skipped without
	@sh deploy/prometheus/fetch.sh .tools/prometheus || echo "WARNING: no Prometheus here; tests of rules and monitoring will be SKIPPED" >&2

test-images: $(INSTALLED) ## Carry out every build stage of the Dockerfile in environments of their own (gigabytes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 0 -m slow -s tests/deploy/test_docker_stages.py

loadtest: $(INSTALLED) ## Load the demo's server with locust for 30 s; says whether the bars hold and where the report is
	$(BIN)/python -m loadtest run --out loadtest-output $(LOADTEST)

loadtest-distributed: $(INSTALLED) ## The same by a locust master and two workers
	$(BIN)/python -m loadtest run --out loadtest-output --workers 2 $(LOADTEST)

bench-generators: $(INSTALLED) bundles/cifar10 ## Locust beside the asyncio load generator, on the same server in turn
	$(BIN)/python -m benchmarks.generators bundles/cifar10 $(SHARED)/cifar10/test.zip

bench-capacity: $(INSTALLED) bundles/cifar10 ## Replicas for 200 images/s, two replicas beside one, a calibration of a million images
	$(BIN)/python -m benchmarks.capacity replicas bundles/cifar10 --images-per-second 200
	$(BIN)/python -m benchmarks.capacity scaling bundles/cifar10
	$(BIN)/python -m benchmarks.capacity calibration bundles/cifar10

clean: ## Remove everything that was built
	rm -rf .venv .tools .venv-mlserver .venv-kserve build dist demo-output evaluation-output analysis-output loadtest-output bundles *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
