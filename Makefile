# make demo   a live stream through a mesh of processes on this machine (INPUT=my.mp4 streams your file)
# make test   formats, lints, all tests
# make bench  ratios to ffmpeg, to quinn, to bare blst and signatures, and over an emulated WAN
.PHONY: demo test bench lint dashboard setup setup-test build test-rust test-browser test-long test-mesh test-interop test-contracts fuzz

LIVEMESH = target/release/livemesh

demo: setup build
	$(LIVEMESH) demo $(if $(INPUT),--input "$(INPUT)") $(ARGS)

build: dashboard
	cargo build --release --bin livemesh

test: setup-test lint test-rust test-browser

setup:
	@sh scripts/setup.sh build

setup-test:
	@sh scripts/setup.sh test

# npm install, not npm ci: a lock file made on one platform leaves out the optional packages of the others, which ci refuses.
dashboard: dashboard/dist/index.html

dashboard/dist/index.html: $(shell find dashboard/src dashboard/public dashboard/index.html dashboard/package.json -type f 2>/dev/null)
	cd dashboard && npm install --no-save --no-audit --no-fund --loglevel=error && npm run build
	touch $@

lint: dashboard
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cd dashboard && npm run check

test-rust: dashboard
	cargo test --workspace

test-browser: dashboard
	cargo build --bin livemesh
	sh scripts/test-browser.sh target/debug/livemesh

# What takes longer than a test may: kills for two minutes, a thousand boundaries, a thousand winners, three hundred nodes.
test-long: setup-test build
	$(LIVEMESH) demo --port 0 --for 120s --kill-every 5s --json
	cargo test --release --workspace -- --ignored

# How long a newcomer needs to know three hundred orchestrators.
test-mesh:
	cargo test --release -p livemesh-p2p --test mesh_scale -- --ignored --nocapture

# The light client against a chain made by others' software, live, and against a proxy that lies; needs python3-venv and npm.
test-interop:
	sh scripts/test-interop.sh

# Reads of Livepeer's state and redemptions of tickets on genuine contracts in anvil, both from npm; needs npm.
test-contracts:
	cargo test -p livemesh-lightclient --features evm --test evm -- --ignored --nocapture --test-threads 1
	cargo test -p livemesh --test contracts -- --ignored --nocapture

bench: setup-test build
	$(LIVEMESH) bench transcode
	$(LIVEMESH) bench lightclient
	$(LIVEMESH) bench mesh
	$(LIVEMESH) bench tickets
	$(LIVEMESH) bench wan

# Strangers' bytes against every parser of ours, SECONDS for each; needs a nightly toolchain and cargo-fuzz. The light client
# starts from its vectors and may hold 64 MB.
SECONDS = 60
fuzz:
	cargo test -p livemesh-lightclient --test seeds -- --ignored
	for target in $$(cargo +nightly fuzz list); do \
		cargo +nightly fuzz run -s none $$target -- $$(case $$target in (lc_*) echo -rss_limit_mb=64 -malloc_limit_mb=64;; esac) -max_total_time=$(SECONDS) -timeout=10 -verbosity=0 -print_final_stats=1 || exit 1; \
	done
