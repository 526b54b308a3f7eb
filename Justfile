# Everyday commands; `just` lists them.

default:
    @just --list

# Format, lint and test, as CI does.
check:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    cargo test

# Accept changed snapshots of texts.
snapshots:
    for suite in cli:: compare:: evidence:: output:: verify::; do \
        INSTA_UPDATE=always cargo test --test it $suite; \
    done

# Speed beside peers.
bench:
    cargo bench

# Our queue beside those of libraries: `just queue 20000`; `just queue --kills` kills their workers.
queue *arguments:
    benches/queue.sh {{arguments}}

# New locks for the built-in containers, or for those that are named.
lock *names:
    for name in $(basename -s .toml {{ if names == "" { "containers/*.toml" } else { names } }}); do \
        cargo run --release -- --containers containers container lock "$name"; \
    done

# Fuzz every reader for so many seconds (needs cargo-fuzz and a nightly compiler). No code here is unsafe, so no sanitizer
# is needed; what overflows or fails an assertion is found. Unpacking trees needs a root, which is one of a namespace here.
fuzz seconds="60":
    cargo +nightly fuzz build -s none -a
    for target in $(cargo +nightly fuzz list); do \
        unshare --map-root-user --mount cargo +nightly fuzz run -s none -a $target -- \
            -max_total_time={{seconds}} -max_len=8192 -rss_limit_mb=2048 -timeout=20; \
    done

# Every attack that an outsider may try, or the cases whose name contains this part.
attack part="":
    REBUILDER_ATTACK="{{part}}" cargo test --test it attack:: -- --nocapture

# Kill workers, helpers, builds and signers at random moments, so many rounds.
chaos rounds="200":
    REBUILDER_CHAOS_ROUNDS={{rounds}} cargo test --test it chaos:: -- --nocapture

# Plant changes in so many archives, and unpack so many with the reference unpackers.
adversary cases="20000":
    REBUILDER_ADVERSARY_CASES={{cases}} cargo test --test it compare::adversary:: -- --nocapture
    REBUILDER_ORACLE_CASES={{cases}} cargo test --test it compare::oracle:: -- --nocapture
