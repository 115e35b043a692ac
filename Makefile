# Every command that the README, CONTRIBUTING.md and CI name; `make help` lists them.

CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=

# The tests and the lints are of both machines, from one build.
test lint: export INDIR_TARGETS := x86_64,aarch64

.PHONY: help demo test bench lint install deps nix-demo

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile

demo: ## move real programs from one real glibc to another, byte-identical
	@tests/scripts/demo.sh

test: ## install what the tests need, fetch real builds of glibc and others, run every test
	tests/scripts/deps.sh build cross test
	tests/scripts/fetch-cross.sh
	tests/scripts/fetch-glibc.sh
	tests/scripts/fetch-libs.sh
	tests/scripts/fetch-arm64.sh
	tests/scripts/fetch-patchelf.sh
	tests/scripts/fetch-source.sh hello zlib expat
	$(CARGO) test --workspace --locked --doc
	$(CARGO) test --workspace --locked --lib --bins --tests

bench: ## run the benchmarks and print their tables
	tests/scripts/deps.sh build test
	$(CARGO) build --release --locked
	tests/scripts/bench-programs.sh
	$(CARGO) bench --workspace --locked --bench '*'

lint: ## formatting, clippy, documentation, shell scripts; any warning fails
	tests/scripts/deps.sh build cross lint
	tests/scripts/fetch-cross.sh
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items --locked
	shellcheck -x tests/scripts/*.sh .ci/run nix/*.sh nix/debian/*.sh share/initramfs-tools/indir share/dracut/99indir/module-setup.sh
	for script in tests/scripts/*.sh; do $$(sed -n '1s/^#!//p' $$script | grep . || echo sh) -n $$script || exit; done

nix-demo: ## what upgrades of a Nix package set build, download and store (SET=slice for few packages)
	tests/scripts/deps.sh build nix
	tests/scripts/nix-demo.sh $(or $(SET),full)

install: ## build with optimisation and lay out PREFIX= (default /usr/local)
	tests/scripts/deps.sh build
	$(CARGO) build --release --locked --bin indir
	"$${CARGO_TARGET_DIR:-target}/release/indir" setup --prefix "$(DESTDIR)$(PREFIX)"

deps: ## only install what building, linting and testing need
	tests/scripts/deps.sh build cross lint test
