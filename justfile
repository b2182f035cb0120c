# `just` lists the recipes. It comes with `pip install rust-just`, among other ways.

[private]
default:
    @just --list --unsorted

# all that CI checks; or only these sections of it
check *SECTIONS:
    bash .ci/run {{SECTIONS}}

# the tests, judges included where Go is installed
test *ARGS:
    cargo test --workspace {{ARGS}}

# the tests with every write and source read past the page cache
test-uncached *ARGS:
    cargo test --workspace --features forcedirectio {{ARGS}}

# breaks uncached-io in one place after the other; each time a test must fail. Needs root
mutations *WORDS:
    tsdb/uncached-io/tests/mutations/run {{WORDS}}

# formats all there is
fmt:
    cargo fmt --all
    gofmt -w testdata/judge

# side by side with Prometheus 3.15: small, middle or large
bench SIZE="middle" *ARGS:
    @mkdir -p benches/out
    cargo run --release -p tsdb-peer-bench -- --size {{SIZE}} --out benches/out/peer-{{SIZE}}.json {{ARGS}}

# the head and the database against Prometheus 3.15's: smoke, small, middle or large
bench-head SIZE="middle" *ARGS:
    @mkdir -p benches/out
    cargo run --release -p tsdb-head-bench -- --size {{SIZE}} --out benches/out/head-{{SIZE}}.json {{ARGS}}

# tsdb-server against Prometheus 3.15 behind the same senders and readers: smoke, small or middle
bench-server SIZE="middle" *ARGS:
    @mkdir -p benches/out
    cargo run --release -p tsdb-server-bench -- --size {{SIZE}} --out benches/out/server-{{SIZE}}.json {{ARGS}}

# uncached I/O against fio, BufWriter and Prometheus's direct writer, on the disk of DIR
bench-io DIR SIZE="middle" *ARGS:
    @mkdir -p benches/out
    cargo build --release -p tsdb-compact
    cargo run --release -p uncached-io-bench -- --dir {{DIR}} --size {{SIZE}} --out benches/out/uncached-{{SIZE}}.json {{ARGS}}

# the long forms of random tests and of fuzzing; what they say goes to benches/results
long SETS="500" SECONDS="120":
    bash benches/long {{SETS}} {{SECONDS}}

# one fuzz target (`just fuzz-list`) with libFuzzer, until it finds something
fuzz TARGET *ARGS:
    bash .ci/fuzz {{TARGET}} {{ARGS}}

# the names of the fuzz targets
fuzz-list:
    @cargo run --quiet -p tsdb-fuzz -- list

# seeds for another fuzzer, out of testdata
fuzz-seed DIR:
    cargo run --quiet -p tsdb-fuzz -- seed {{DIR}}

# writes testdata anew with the real Prometheus; the same bytes come out
fixtures:
    cd testdata/judge && go run . fixtures ..
    cd testdata && sha256sum --quiet --check SHA256SUMS
