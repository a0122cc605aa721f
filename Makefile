# make demo   the main job and any-domain mode on a private Postfix: shows the SMTP conversations
# make test   everything that CI runs
# make run    a daemon for development, its state below target/run
# make bench  speed and memory against servers that do nothing
# make fuzz   every fuzz target for SECONDS (30); not part of make test, which replays the seeds
# make deb    the Debian package, in target/debian
# make release  all of make test and more, then everything that is published, in target/release-files; publishes
#             nothing. A clean tree and a CHANGELOG entry of this version are wanted; REHEARSAL=1 goes on without
# FROM=STAGE  begins make test and make release at that stage
# Targets install what they need on Debian (tests/setup.sh).

.PHONY: all demo run test bench fuzz deb setup release

all:
	cargo build

setup:
	@tests/setup.sh

demo: setup
	cargo build --bin outgate --example nameserver
	@tests/demo.sh

run:
	cargo build
	@tests/run.sh

# The stages of make test, in this order. Each is a target of its own, `make stage-lint`, and the times of all are
# printed at the end; `make test STAGES="lint tests"` takes some of them.
STAGES = lint tests docs licences package book container

test: setup
	@tests/stages.sh test $(STAGES)

.PHONY: stage-lint stage-tests stage-docs stage-licences stage-package stage-book stage-container
stage-lint:
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings

stage-tests:
	@tests/setup.sh fail2ban pflogsumm strace
	cargo test

stage-docs:
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps

stage-licences:
	@tests/deny.sh

# Builds the package, and takes it through its life in a throw-away Debian 12.
stage-package:
	@tests/debian/package.sh

# Does what the book shows, page by page.
stage-book:
	@tests/debian/book.sh

# Skipped where no container engine answers.
stage-container:
	@tests/container.sh

bench:
	@tests/bench/run

SECONDS = 30

fuzz:
	@tests/fuzz/run $(SECONDS)

deb: setup
	@packaging/deb.sh

# What a release has beside make test: other suites, the second build, the long runs, and the files.
RELEASE = ready $(STAGES) package-trixie package-noble systemd reproduce restarts fuzz files

release: setup
	@tests/stages.sh release $(RELEASE)

.PHONY: stage-ready stage-package-trixie stage-package-noble stage-systemd stage-reproduce stage-restarts stage-fuzz \
  stage-files
stage-ready stage-files:
	@packaging/release.sh $(@:stage-%=%)

stage-package-trixie stage-package-noble:
	@tests/debian/package.sh $(@:stage-package-%=%)

# Skipped where systemd cannot be booted in a container.
stage-systemd:
	@tests/debian/systemd.sh

stage-reproduce:
	@tests/debian/reproduce.sh "$$(packaging/deb.sh)"

stage-restarts:
	OUTGATE_TEST_RESTARTS=50 cargo test --test postfix restarts

stage-fuzz:
	@tests/fuzz/run $(SECONDS)
