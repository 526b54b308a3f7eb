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
    INSTA_UPDATE=always cargo test --test cli

# Speed beside peers.
bench:
    cargo bench

# New locks for the built-in containers.
lock:
    for name in bookworm-build bookworm-python bookworm-node bookworm-go trixie-rust; do \
        cargo run --release -- --containers containers container lock $name; \
    done
