# Handed over as arguments: in some shells SECONDS is a clock.
PORT ?= 8000
HOST ?= 127.0.0.1
SECONDS ?= 0
STUDENTS ?= 30
SCENARIO ?= price-discovery
# A class is for a room, unless somebody names another address.
CLASS_HOST = $(if $(filter file,$(origin HOST)),0.0.0.0,$(HOST))
FLOWER_PORT ?= 5555
DB ?= mysql
SYMBOL ?= BTC-USD
DIST ?= dist
ARGS =
# Whose orders and key; make itself means its assembler by this name.
AS =
CHECK = --check
BIN = .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo class replay flower run watch key follow test prove check bench chaos siege drill clients compose-check audit-deps sbom package pictures format lock trace clean venv venv-demo venv-dev venv-bench

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { gsub(/\$$\$$/, "$$", $$2); printf "  make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: venv-demo ## the exchange with traders at work: PORT=8000, SECONDS=0 (until Ctrl-C), HOST=0.0.0.0 for others too
	@$(BIN)/python -m tools.demo --host $(HOST) --port $(PORT) --seconds $(SECONDS)

flower: venv ## watch the workers of the running demo: FLOWER_PORT=5555
	@$(BIN)/python -m tools.demo.flower --port $(FLOWER_PORT)

class: venv-demo ## a class: accounts with a sheet, a market, bots, a leaderboard: STUDENTS=30, SCENARIO=price-discovery, PORT=8000
	@$(BIN)/python -m tools.classroom --students $(STUDENTS) --scenario "$(SCENARIO)" --host $(CLASS_HOST) --port $(PORT) --seconds $(SECONDS) $(ARGS)

replay: venv ## play the file of a round again: FILE=round-1.zip, ARGS="--at 120" for the book after event 120
	@$(BIN)/python -m tools.classroom.replay $(if $(FILE),"$(FILE)",--help) $(ARGS)

run: venv-demo ## the exchange without traders: PORT=8000, HOST=0.0.0.0
	@$(BIN)/python -m tools.demo --no-traders --host $(HOST) --port $(PORT)

watch: venv ## a market in this terminal: SYMBOL=BTC-USD, AS=alice for own orders, ARGS="--once --url http://127.0.0.1:9000"
	@$(BIN)/python -m marketdata.watch $(SYMBOL) $(if $(AS),--user "$(AS)") $(ARGS)

key: venv ## an API key of a user of the demo, for bots: eval "$$(make -s key)"; AS=alice, ARGS="--url http://127.0.0.1:9000"
	@$(BIN)/python -m tools.demo.key $(if $(AS),--user "$(AS)") $(ARGS)

follow: venv ## one order through all logs: ID=its correlationId
	@$(BIN)/python -m tools.scripts.follow $(if $(ID),"$(ID)",--help)

trace: venv ## the way of one LIMIT order through the files, from POST to its event on the stream
	@$(BIN)/python -m tools.scripts.trace

test: venv-dev ## the checks, and all tests on MySQL, MariaDB and SQLite, the long ones sampled: ARGS="-k cancel"
	@$(BIN)/python -m tools.scripts.test $(CHECK) $(ARGS)

prove: venv-dev ## the same with nothing sampled, and each database in full: three quarters of an hour
	@$(BIN)/python -m tools.scripts.test $(CHECK) --prove $(ARGS)

check: venv-dev ## format, lint, types and the layers of imports
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	DEMO=1 $(BIN)/python -m mypy
	$(BIN)/lint-imports

bench: venv-bench ## measure everything, in five minutes: DB=mysql or mariadb, ARGS="--only drain" or ARGS=--scaling
	@$(BIN)/python -m tools.bench --database $(DB) $(ARGS)

chaos: venv-dev ## kill, freeze and cut off everything while it trades, for three hours: DB=mysql or mariadb, ARGS="kills --seed 7"
	@$(BIN)/python -m tools.chaos --database $(DB) $(ARGS)

siege: venv-dev ## hostile clients in turn while a polite one trades: ten minutes; ARGS="--only slow-bodies --seconds 5"
	@$(BIN)/python -m tools.siege $(ARGS)

clients: venv-dev ## the clients that bots run, unmodified, against a demo: a quarter of an hour; ARGS="--only ccxt freqtrade"
	@$(BIN)/python -m tools.clients $(ARGS)

drill: venv-dev ## back up while it trades, restore, audit the copy and go on from it: a minute; ARGS="--seconds 60"
	@$(BIN)/python -m tools.chaos.drill $(ARGS)

compose-check: venv-dev ## start the stack of docker-compose.yml, kill, redeploy and restore it: ARGS="one"
	@$(BIN)/python -m tools.compose $(ARGS)

audit-deps: venv-dev ## look the locked packages up among known vulnerabilities
	@$(BIN)/python -m tools.scripts.dependencies audit

sbom: venv-dev ## list the locked packages with their hashes (CycloneDX): DIST=dist
	@$(BIN)/python -m tools.scripts.dependencies sbom --output $(DIST)/sbom.json

package: venv-dev ## the exchange as a wheel and an sdist, to be installed elsewhere: DIST=dist
	@$(BIN)/python -m build --no-isolation --outdir $(DIST)

pictures: venv-dev ## photograph the running demo for the README (needs Chromium)
	@$(BIN)/python -m tools.scripts.pictures

format: venv-dev ## let ruff format and fix
	$(BIN)/python -m ruff format .
	$(BIN)/python -m ruff check --fix .

lock: venv-dev ## write the lock files from pyproject.toml: ARGS=--upgrade
	@sh tools/scripts/lock.sh $(ARGS)

clean: ## remove .venv and all caches in this folder
	rm -rf .venv .venv-clients .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv:
	@sh tools/scripts/venv.sh requirements.lock

# Before minutes of installing: whether the port is free.
venv-demo:
	@sh tools/scripts/venv.sh requirements.lock $(PORT)

venv-bench:
	@sh tools/scripts/venv.sh requirements-bench.lock

venv-dev:
	@sh tools/scripts/venv.sh requirements-dev.lock
