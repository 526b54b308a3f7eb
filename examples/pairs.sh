#!/bin/bash
# Fetches 60 pairs of files into FOLDER, each of them two releases of one package, and prints their paths:
# 11 crates, 14 npm packages and 10 wheels, and 25 packages of Debian as in bookworm and in trixie.
#
# usage: pairs.sh FOLDER > LIST; beside_diffoscope.py REBUILDER $(cat LIST)
#
# Needs cargo, npm, pip and apt with the keys of Debian's archive. What is there already is not fetched again.
set -u
folder=$(realpath -m "$1"); mkdir -p "$folder"; cd "$folder" || exit 1

crate() { # NAME A B
    for v in "$2" "$3"; do
        [ -e "$1-$v.crate" ] && continue
        mkdir -p cargo/src && : > cargo/src/lib.rs
        printf '[package]\nname="x"\nversion="0.0.0"\n[dependencies]\n%s="=%s"\n[workspace]\n' "$1" "$v" > cargo/Cargo.toml
        rm -f cargo/Cargo.lock
        CARGO_HOME=$folder/home cargo fetch --quiet --manifest-path cargo/Cargo.toml
        cp home/registry/cache/*/"$1-$v.crate" .
    done
    echo "$folder/$1-$2.crate"; echo "$folder/$1-$3.crate"
}
package() { # NAME A B
    for v in "$2" "$3"; do
        [ -e "$1-$v.tgz" ] || npm pack --silent "$1@$v" > /dev/null
    done
    echo "$folder/$1-$2.tgz"; echo "$folder/$1-$3.tgz"
}
wheel() { # NAME A B [pip's options]
    local name=$1 a=$2 b=$3 place; shift 3
    for v in "$a" "$b"; do
        place="wheels/$name-$v-$(printf %s "$@" | tr -cd a-z0-9_)"
        mkdir -p "$place"
        [ -n "$(ls "$place")" ] || pip --quiet download --no-deps --only-binary=:all: "$@" -d "$place" "$name==$v"
        ls "$folder/$place"/*.whl
    done
}
deb() { # NAME
    for s in bookworm trixie; do
        mkdir -p "debs/$s"
        [ -n "$(ls "debs/$s/$1"_*.deb 2> /dev/null)" ] || (cd "debs/$s" && apt-get -qq -c "$folder/$s.conf" download "$1" > /dev/null)
        ls "$folder/debs/$s/$1"_*.deb
    done
}

for s in bookworm trixie; do
    state=$folder/apt-$s
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $s main" > "$state/list"
    printf 'Dir::Etc::SourceList "%s";\nDir::Etc::SourceParts "-";\nDir::State::Lists "%s";\nDir::Cache "%s";\nDir::State::status "/dev/null";\nAPT::Sandbox::User "root";\n' \
        "$state/list" "$state/lists" "$state/cache" > "$s.conf"
    [ -e "$state/done" ] || { apt-get -qq -c "$folder/$s.conf" update && : > "$state/done"; }
done

crate itoa 1.0.9 1.0.11
crate memchr 2.6.4 2.7.4
crate libc 0.2.150 0.2.155
crate serde 1.0.190 1.0.203
crate syn 2.0.38 2.0.66
crate regex 1.10.2 1.10.5
crate rand 0.8.4 0.8.5
crate log 0.4.20 0.4.21
crate cfg-if 1.0.0 1.0.1
crate hashbrown 0.14.2 0.14.5
crate wasm-bindgen 0.2.89 0.2.92
package lodash 4.17.20 4.17.21
package react 18.2.0 18.3.1
package semver 7.5.4 7.6.2
package typescript 5.2.2 5.3.3
package uuid 9.0.0 9.0.1
package chalk 5.2.0 5.3.0
package axios 1.6.0 1.7.2
package express 4.18.2 4.19.2
package moment 2.29.3 2.29.4
package esbuild-wasm 0.20.0 0.20.1
package katex 0.16.8 0.16.9
package bootstrap 5.3.1 5.3.2
package jquery 3.7.0 3.7.1
package postcss 8.4.30 8.4.31
wheel requests 2.31.0 2.32.3
wheel setuptools 68.2.2 69.5.1
wheel idna 3.4 3.7
wheel markupsafe 2.1.3 2.1.5 --platform win_amd64 --python-version 3.11
wheel markupsafe 2.1.3 2.1.5 --platform macosx_10_9_universal2 --python-version 3.11
wheel orjson 3.9.10 3.10.5 --platform manylinux2014_x86_64 --python-version 3.11
wheel pyyaml 6.0 6.0.1 --platform win_amd64 --python-version 3.11
wheel cffi 1.15.1 1.16.0 --platform manylinux2014_x86_64 --python-version 3.11
wheel fonttools 4.50.0 4.51.0 --platform macosx_10_9_universal2 --python-version 3.11
wheel pythonnet 3.0.2 3.0.3
for name in base-files hello hostname jq figlet bsdextrautils libcjson1 zlib1g liblz4-1 liblua5.4-0 \
    libcommons-io-java libjsr305-java junit4 fonts-dejavu-core fonts-urw-base35 \
    grub-pc-bin grub-efi-amd64-bin gettext-base python3-idna python3-six \
    iso-codes tzdata debconf lintian python3-markdown; do
    deb "$name"
done
