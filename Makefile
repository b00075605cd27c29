# POGs: every container its own system log. "make" alone lists what there is to do.

SHELL := /bin/sh
# Not every shell has the directories of chroot, ip and rsyslogd in its path.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

.DELETE_ON_ERROR:
.SUFFIXES:

PREFIX ?= /usr/local
DESTDIR ?=
SYSCONFDIR ?= /etc
RUN_DIR ?= /run/pogs
# Passed on: AVA_FLAGS=--tap, FILES=test/e2e/kmsg.test.ts, BENCH_FLAGS="--only fuse"
AVA_FLAGS ?=
FILES ?=
BENCH_FLAGS ?=
EVALUATE_FLAGS ?=
HOSTILE_FLAGS ?=
E2E_SECONDS ?= 1200

libdir := $(DESTDIR)$(PREFIX)/lib/pogs
bindir := $(DESTDIR)$(PREFIX)/bin
mandir := $(DESTDIR)$(PREFIX)/share/man
etcdir := $(DESTDIR)$(SYSCONFDIR)/pogs
unitdir := $(DESTDIR)$(PREFIX)/lib/systemd/system

SOURCES := $(shell find src -name '*.ts')
SCRIPTS := $(wildcard mount/pogs-* mount/*/pogs-*hook mount/*/pogs-*attach) .ci/run $(wildcard mount/*.sh test/*.sh bench/*.sh bench/evaluate/*.sh)
# Sources each other, so it is read from where it lies.
RUNTIME_SCRIPTS := $(notdir $(wildcard test/runtimes/*.sh))
MODULES := node_modules/.package-lock.json
BUILT := dist/.built

# A registry that lacks the optional packages of other systems makes "npm ci" refuse a lock file that names (or lacks)
# them; "npm install" takes the same versions and only leaves those out.
NPM_CI := npm ci --no-audit --no-fund --loglevel=silent
NPM_INSTALL := npm install --no-save --no-audit --no-fund --loglevel=error

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

$(MODULES): package.json package-lock.json
	@command -v npm >/dev/null || { echo 'make: no npm here: install Node.js 20.19 or later' >&2; exit 1; }
	@node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' || \
		{ echo "make: Node.js $$(node --version) is too old: 20.19 or later is needed" >&2; exit 1; }
	@echo '-- installing node modules'
	@$(NPM_CI) || $(NPM_INSTALL)
	@touch $@

$(BUILT): $(SOURCES) tsconfig.json tsconfig.build.json mount/launcher.sh mount/bundle.sh $(MODULES)
	@echo '-- compiling src/ to dist/'
	@rm -rf dist
	@npx tsc -p tsconfig.build.json
	@sh mount/bundle.sh dist
	@sh mount/launcher.sh dist/bin pogshim pogctl
	@touch $@

.PHONY: build
build: $(BUILT) ## compile to dist/ (dist/bin/pogshim, dist/bin/pogctl)

.PHONY: demo
demo: build ## two containers, one table: what a shared log breaks, and POGs do not
	@node --import=tsx bench/demo/main.ts

.PHONY: run
run: build ## pogshim in the foreground, and what to type next (RUN_DIR=/run/pogs)
	@sh mount/next-steps.sh "$(RUN_DIR)"
	@exec dist/bin/pogshim --run-dir "$(RUN_DIR)"

.PHONY: check types lint format unused scripts
check: types lint format unused scripts ## types, lint, format, unused code, shell scripts (-k: all of them)

types: $(MODULES)
	@echo '-- types'; npx tsc -p .

lint: $(MODULES)
	@echo '-- lint'; npx oxlint --type-aware src test bench

format: $(MODULES)
	@echo '-- format'; npx biome format $$(find src test bench -name '*.ts' -not -path 'bench/build/*') knip.json

unused: $(MODULES)
	@echo '-- unused code'; npx knip

scripts:
	@if command -v shellcheck >/dev/null; then echo '-- shell scripts'; shellcheck $(SCRIPTS); \
			cd test/runtimes && shellcheck -x $(RUNTIME_SCRIPTS); \
		else echo '-- shell scripts: skipped (apt-get install shellcheck)'; fi

.PHONY: test
test: unit e2e e2e-native ## all tests: unit, property, end to end on both transports

.PHONY: unit
unit: $(MODULES) ## tests that need no privileges and no device
	@echo '-- unit and property tests'
	@npx ava $(AVA_FLAGS) $(filter-out test/e2e/%,$(FILES))

.PHONY: e2e
e2e: build ## real mounts and real programs (root; installs the programs it wants by apt)
	@echo '-- end-to-end tests'
	@sh test/install-packages.sh
	@sh test/with-hugetlb.sh timeout -k 10 $(E2E_SECONDS) npx ava --config ava.e2e.config.js $(AVA_FLAGS) $(filter test/e2e/%,$(FILES))

.PHONY: e2e-native
e2e-native: export POGS_TEST_TRANSPORT := fuse-native
e2e-native: build ## the same through fuse-native (docs/transports.md); skipped without the package or libfuse 2
	@echo '-- end-to-end tests, through fuse-native'
	@sh test/install-packages.sh
	@sh test/with-hugetlb.sh timeout -k 10 $(E2E_SECONDS) npx ava --config ava.e2e.config.js $(AVA_FLAGS) $(filter test/e2e/%,$(FILES))

.PHONY: test-runtimes
test-runtimes: build ## every container runtime, one table (root; installs them by apt; DRIVERS="runc docker", WRITE=1 for the docs)
	@echo '-- container runtimes'
	@WRITE=$(WRITE) sh test/with-hugetlb.sh sh test/runtimes/run.sh $(DRIVERS)

.PHONY: soak-starts
soak-starts: build ## containers one after the other: what the service holds as they come and go (STARTS=1000, RUNTIME=runc)
	@POGS_TEST_DIST=1 POGS_STARTS=$(or $(STARTS),1000) sh test/with-hugetlb.sh npx ava --config ava.e2e.config.js --timeout 30m \
		--match '$(or $(RUNTIME),runc): * starts leave nothing behind' test/e2e/starts.test.ts

.PHONY: fuzz
fuzz: $(MODULES) ## every input fuzzed for MINUTES=10 (TARGETS="ring-files conf", SEED=1; finds are kept in fuzz-finds/)
	@MINUTES=$${MINUTES:-10} node --import=tsx test/fuzz/main.ts

.PHONY: soak
soak: build ## everything at once for MINUTES=60, and whether anything grows (root; KILL=1 kills the engine too, OUT=FILE for the curve)
	@MINUTES=$${MINUTES:-60} node --import=tsx test/soak/main.ts

.PHONY: cover
cover: $(MODULES) ## coverage of the unit tests, in coverage/
	@npx c8 --src src --reporter text --reporter html npx ava $(AVA_FLAGS) $(FILES)

.PHONY: bench
bench: build ## figures against other daemons, one table (BENCH_FLAGS="--only fuse")
	@sh bench/install-packages.sh >&2 || true
	@node --import=tsx bench/main.ts $(BENCH_FLAGS)

.PHONY: kill-test
kill-test: build ## kills the engine under load, 200 times: nobody may notice but by a pause (root; KILLS=50 POGS=10 LOAD=full)
	@POGS_TEST_LOAD=$(LOAD) KILLS=$${KILLS:-200} POGS=$${POGS:-20} sh test/kill-test.sh

.PHONY: hostile
hostile: build ## four hostile containers at once, and what a fifth one notices (root; HOSTILE_FLAGS="5 names opens")
	@sh bench/install-packages.sh >&2 || true
	@node --import=tsx bench/hostile/main.ts $(HOSTILE_FLAGS)

.PHONY: evaluate
evaluate: build ## the paper's evaluation and the peers: docs/evaluation.md (EVALUATE_FLAGS="--only launch", --quick, --render)
	@sh bench/install-packages.sh >&2 || true
	@sh bench/evaluate/install-packages.sh >&2
	@sh test/with-hugetlb.sh node --import=tsx bench/evaluate/main.ts $(EVALUATE_FLAGS)

.PHONY: install
install: build ## install below PREFIX=/usr/local (DESTDIR= for packagers)
	@install -d $(libdir)/mount $(bindir) $(mandir)/man1 $(mandir)/man8 $(etcdir)
	@rm -rf $(libdir)/dist $(libdir)/node_modules
	@cp -R dist $(libdir)/dist
	@install -m 644 package.json package-lock.json LICENSE $(libdir)/
	@rm -rf $(libdir)/mount
	@cp -R mount $(libdir)/mount
	@echo '-- node modules for running'
	@cd $(libdir) && { $(NPM_CI) --omit=dev --prefer-offline || $(NPM_INSTALL) --omit=dev --prefer-offline; }
	@ln -sfn ../lib/pogs/dist/bin/pogshim $(bindir)/pogshim
	@ln -sfn ../lib/pogs/dist/bin/pogctl $(bindir)/pogctl
	@for page in docs/man/*.1; do [ ! -e "$$page" ] || install -m 644 "$$page" $(mandir)/man1/; done
	@for page in docs/man/*.8; do [ ! -e "$$page" ] || install -m 644 "$$page" $(mandir)/man8/; done
	@for file in mount/etc/*; do \
		install -m 644 "$$file" "$(etcdir)/$${file##*/}.example"; done
	@install -d $(unitdir)
	@sed 's#@PREFIX@#$(PREFIX)#' mount/systemd/pogshim.service >$(unitdir)/pogshim.service
	@echo 'installed below $(DESTDIR)$(PREFIX); start the service, under systemd:'
	@echo '    systemctl daemon-reload && systemctl enable --now pogshim'
	@echo 'and elsewhere: pogshim. "pogctl doctor" says what this machine lacks.'

.PHONY: uninstall
uninstall: ## remove what install put there (keeps SYSCONFDIR/pogs but for its examples)
	rm -rf $(libdir)
	rm -f $(bindir)/pogshim $(bindir)/pogctl $(mandir)/man1/pogctl.1 $(mandir)/man8/pogshim.8 $(etcdir)/*.example
	rm -f $(unitdir)/pogshim.service
	-rmdir $(etcdir) 2>/dev/null

.PHONY: clean
clean: ## remove what was built
	rm -rf dist coverage bench/build
