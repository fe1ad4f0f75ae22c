# Kennel: from a folder of labelled photos to an image classifier on AWS, or on this laptop.
# `make` lists the verbs. Every verb works on both stages: STAGE=local (default) or STAGE=aws.

SHELL := bash

STAGE ?= local
BUILD ?= build
DEMO ?= build/demo
DATA ?= $(BUILD)/data/photos
SETTINGS ?= config/$(STAGE).tfvars.json
HYPERPARAMETERS ?= config/hyperparameters.json
SEARCH_SPACE ?= config/search_space.json
WEIGHTS ?= auto
PROFILE ?=
PROCESSES ?= 1
TRIALS ?=
WORKERS ?=
PARENT ?=
IMAGE ?=
TO ?=
YES ?=
KEEP ?=
REMOVE ?=
ROLE ?=
COST ?=
ROWS ?= a,b
PICTURES ?= 200
LONG ?= 600
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& echo $$p && break; done)

ifeq ($(filter local aws,$(STAGE)),)
$(error STAGE is '$(STAGE)'; it must be local or aws)
endif
ifneq ($(and $(ROLE),$(filter aws,$(STAGE))),)
$(error ROLE is for the laptop; in an account say AWS_PROFILE=$(ROLE), as `make bootstrap` explains)
endif

export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/build/bin:$(PATH)
export PYTHONPATH := $(CURDIR)/src
export TF_CLI_CONFIG_FILE := $(CURDIR)/build/terraform.rc
export TF_IN_AUTOMATION := 1

# A path of yours for the shell: it may hold spaces, and not every shell expands `DATA=~/dogs`.
path = "$(patsubst ~/%,$(HOME)/%,$(1))"
# On the laptop a verb runs inside the local AWS; in an account it runs as it is.
AWS = $(if $(filter local,$(STAGE)),python -m localaws run --folder $(call path,$(BUILD)/local) --region $(REGION) $(if $(ROLE),--role "$(ROLE)") --)
REGION = $(or $(shell sed -n 's/.*"region": *"\([^"]*\)".*/\1/p' $(if $(filter local,$(STAGE)),$(call path,$(SETTINGS)),config/local.tfvars.json) 2>/dev/null),$(error SETTINGS is '$(SETTINGS)'; it must be a file like config/local.tfvars.json))
# What the local AWS needs to run models and training: the part that machine images are on AWS.
IMAGES = $(if $(filter local,$(STAGE)),.venv/train .venv/serve)
HAS_PYTHON = test -n "$(PYTHON)" || { echo "make: Python 3.11, 3.12 or 3.13 is wanted; none is on PATH."; exit 2; }
TO_STAGE = --stage $(STAGE) --settings $(call path,$(SETTINGS)) --build $(call path,$(BUILD))
OVERRIDES = --hyperparameters $(call path,$(HYPERPARAMETERS)) --weights $(call path,$(WEIGHTS))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

##@ Start here

.PHONY: help
help: ## List the verbs
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile

.PHONY: demo
demo: .venv/train .venv/serve .venv/export .venv/infra build/terraform.rc ## Photos to a deployed service, on this laptop (KEEP=1 leaves it up)
	@python -m localaws down --folder $(call path,$(DEMO)/local)
	@trap 'test -n "$(KEEP)" || python -m localaws down --folder $(call path,$(DEMO)/local)' EXIT; \
		python -m localaws run --folder $(call path,$(DEMO)/local) --region $(REGION) -- python -m pipeline.demo --build $(call path,$(DEMO)) $(if $(KEEP),--keep)

.PHONY: setup
setup: .venv/train .venv/serve .venv/infra .venv/dev .venv/export .venv/tune .venv/notebook .venv-audit/audit .venv-ray/ray .venv-toolkit/toolkit build/terraform.rc ## Install everything, from hashed locks

##@ Model

.PHONY: data
data: .venv/train ## Draw an example folder of labelled photos into DATA
	@if test -d $(call path,$(DATA)); then echo $(call path,$(DATA)) is there already.; \
		else python examples/draw_photos.py --out $(call path,$(DATA)); fi

.PHONY: train
train: .venv/train ## Train on DATA with HYPERPARAMETERS and WEIGHTS (PROFILE=1, PROCESSES=2)
	python -m $(if $(filter-out 1,$(PROCESSES)),training.launch --processes $(PROCESSES),training.main) --data $(call path,$(DATA)) --model-dir $(call path,$(BUILD)/model) --output-dir $(call path,$(BUILD)/training) --checkpoint-dir $(call path,$(BUILD)/training/checkpoints) --cache-dir $(call path,$(BUILD)/cache) $(OVERRIDES) $(if $(PROFILE),--profile)

.PHONY: report
report: .venv/train .venv/tune ## Write BUILD/training/report.html about the model, one file
	python -m training.report --data $(call path,$(DATA)) --model-dir $(call path,$(BUILD)/model) --output-dir $(call path,$(BUILD)/training) --out $(call path,$(BUILD)/training/report.html)

.PHONY: tune
tune: .venv/train .venv/tune ## Search SEARCH_SPACE on DATA, write HYPERPARAMETERS (TRIALS=, WORKERS=)
	python -m training.tuning --data $(call path,$(DATA)) --folder $(call path,$(BUILD)/tuning) --cache-dir $(call path,$(BUILD)/cache) --search-space $(call path,$(SEARCH_SPACE)) $(OVERRIDES) $(if $(TRIALS),--trials $(TRIALS)) $(if $(WORKERS),--workers $(WORKERS))

.PHONY: train-ec2
train-ec2: .venv/infra $(IMAGES) build/terraform.rc ## Train on the stage's EC2 instance, then stop it
	$(AWS) python -m pipeline.train_ec2 $(TO_STAGE) --data $(call path,$(DATA)) $(OVERRIDES)

.PHONY: train-sagemaker
train-sagemaker: .venv/infra $(IMAGES) build/terraform.rc ## Train as a SageMaker training job
	$(AWS) python -m pipeline.train_job $(TO_STAGE) --data $(call path,$(DATA)) $(OVERRIDES)

.PHONY: tune-sagemaker
tune-sagemaker: .venv/infra $(IMAGES) build/terraform.rc ## Search SEARCH_SPACE with SageMaker's tuner (TRIALS=, PARENT=)
	$(AWS) python -m pipeline.tune_job $(TO_STAGE) --data $(call path,$(DATA)) --search-space $(call path,$(SEARCH_SPACE)) $(OVERRIDES) $(if $(TRIALS),--trials $(TRIALS)) $(if $(PARENT),--parent "$(PARENT)")

##@ Service

.PHONY: package
package: .venv/train .venv/export .venv/infra ## Build the three archives of a release; DATA measures runtimes
	python -m training.runtimes --settings $(call path,$(SETTINGS)) --data $(call path,$(DATA)) --model-dir $(call path,$(BUILD)/model) --cache-dir $(call path,$(BUILD)/cache)
	python -m pipeline.package $(TO_STAGE)

.PHONY: image
image: .venv/infra $(IMAGES) build/terraform.rc ## Build the endpoint's own image in the account, if it is not there
	$(AWS) python -m pipeline.image $(TO_STAGE) $(if $(YES),--yes)

.PHONY: upload
upload: .venv/infra build/terraform.rc ## Put the release's archives (and a DATA you name) into the bucket
	$(AWS) python -m pipeline.upload $(TO_STAGE) --hyperparameters $(call path,$(HYPERPARAMETERS)) --search-space $(call path,$(SEARCH_SPACE)) $(if $(filter command environment,$(firstword $(origin DATA))),--data $(call path,$(DATA)))

.PHONY: bootstrap
bootstrap: .venv/infra ## Prepare an account once: state bucket, deployer (REMOVE=1 undoes it)
	$(AWS) python -m pipeline.bootstrap $(TO_STAGE) $(if $(REMOVE),--remove) $(if $(YES),--yes)

.PHONY: plan
plan: .venv/infra build/terraform.rc ## Show what `make apply` would change
	$(AWS) python -m pipeline.deploy $(TO_STAGE) --plan

.PHONY: apply
apply: .venv/infra $(IMAGES) build/terraform.rc ## Make STAGE match the code and the model, and prove it
	$(AWS) python -m pipeline.deploy $(TO_STAGE) $(if $(YES),--yes)

.PHONY: predict
predict: .venv/infra ## Ask the deployed service about IMAGE
	$(AWS) python -m pipeline.predict $(TO_STAGE) $(call path,$(IMAGE))

.PHONY: rollback
rollback: .venv/infra $(IMAGES) build/terraform.rc ## Deploy the release before this one, or TO=version
	$(AWS) python -m pipeline.rollback $(TO_STAGE) $(if $(TO),--to "$(TO)") $(if $(YES),--yes)

.PHONY: releases
releases: .venv/infra ## List the verified releases
	$(AWS) python -m pipeline.releases $(TO_STAGE)

.PHONY: cost
cost: .venv/infra build/terraform.rc ## Say what STAGE costs a month and for 1,000 requests
	$(AWS) python -m pipeline.cost $(TO_STAGE) $(COST)

.PHONY: doctor
doctor: .venv/infra build/terraform.rc ## Look for what is wrong, missing or running in STAGE
	$(AWS) python -m pipeline.doctor $(TO_STAGE)

.PHONY: unlock
unlock: .venv/infra ## Remove the lock of a command that was killed
	$(AWS) python -m pipeline.unlock $(TO_STAGE) $(if $(YES),--yes)

.PHONY: destroy
destroy: .venv/infra build/terraform.rc ## Remove everything of STAGE
	$(AWS) python -m pipeline.destroy $(TO_STAGE) $(if $(YES),--yes)

##@ Local AWS

.PHONY: local-up
local-up: .venv/infra $(IMAGES) ## Start the local AWS (every verb does when it needs to)
	python -m localaws up --folder $(call path,$(BUILD)/local) --region $(REGION)

.PHONY: local-down
local-down: .venv/infra ## Stop the local AWS and everything it runs
	python -m localaws down --folder $(call path,$(BUILD)/local)

.PHONY: logs
logs: .venv/infra ## Show what the local AWS does
	python -m localaws logs --folder $(call path,$(BUILD)/local)

##@ Development

.PHONY: lint
lint: setup ## Check style, types and Terraform
	ruff check . && ruff format --check . && mypy
	terraform fmt -check -recursive infra
	python -m pipeline.audit

.PHONY: test
test: lint ## Every check, fast ones first; what CI runs
	pytest -m "not slow and not aws" -n 2 --durations 5
	pytest -m "slow and not aws" -n 3 --dist loadscope --ignore tests/e2e --durations 12
	pytest -m "not aws" tests/e2e -n 2 --dist loadscope --durations 8

.PHONY: bench-training
bench-training: .venv/train .venv/tune ## Measure training beside the usual way (ROWS=a,b PICTURES=200), into benchmarks/RECORDS.md
	python -m benchmarks.training --rows $(ROWS) --pictures $(PICTURES)

.PHONY: bench-serving
bench-serving: .venv/train .venv/serve .venv/export .venv/infra .venv-peers/peers build/terraform.rc ## Measure serving beside other servers (ROWS=peers,path LONG=600), into benchmarks/RECORDS.md
	python -m benchmarks.serving --seconds $(LONG) $(if $(filter command environment,$(firstword $(origin ROWS))),--rows $(ROWS))

.PHONY: regenerate
regenerate: setup ## Write anew what plans and policies are compared with; read the difference
	pytest tests/infra/test_{access,bootstrap_access,examples,root}.py -n 2 --dist loadfile --regenerate

.PHONY: lock
lock: .venv/dev ## Pin the newest dependencies, with hashes
	python -m pipeline.lock

.venv/%: requirements/%.txt
	@$(HAS_PYTHON)
	@$(PYTHON) src/pipeline/setup.py python $*
	@touch $@

.venv-audit/% .venv-peers/% .venv-ray/% .venv-toolkit/%: requirements/%.txt
	@$(HAS_PYTHON)
	@$(PYTHON) src/pipeline/setup.py python $*
	@touch $@

build/terraform.rc: src/pipeline/setup.py
	@$(PYTHON) src/pipeline/setup.py terraform
