#!/bin/sh
# Backend of a worker of rebuilderd that rebuilds Debian packages with rebuilder. In rebuilderd-worker.conf:
#
#   [backend."debian"]
#   path = "/usr/local/libexec/rebuilder-backend.sh"
#
# The worker names the build's input. The released files are in the same folder. The worker then compares them with the
# files of the same names in REBUILDERD_OUTDIR. Needs dpkg-deb.
set -eu

inputs=$(dirname "$1")
place=$(mktemp -d "${TMPDIR:-/var/tmp}/rebuilder-backend.XXXXXX")
trap 'rm -rf "$place"' EXIT
trap 'exit 143' TERM

# The packages of one source are built together, so any of them names the build.
for deb in "$inputs"/*.deb; do break; done
name=$(dpkg-deb --field "$deb" Package)
version=$(dpkg-deb --field "$deb" Version)

status=0
rebuilder rebuild "deb:$name=$version" --unsigned --out "$place/run" || status=$?
if [ -e "$place/run/build.log" ]; then cat "$place/run/build.log"; fi

for deb in "$inputs"/*.deb; do
    file=$(basename "$deb")
    # The worker names a file as its address does, where a plus sign may be "%2B"; the build names it by its fields.
    built=$(dpkg-deb --show --showformat '${Package}_${Version}_${Architecture}.deb' "$deb" | sed 's/_[0-9]*:/_/')
    case $status in
    # There was a build, whatever its bytes are.
    0 | 1) [ ! -e "$place/run/rebuilt/$built" ] || cp "$place/run/rebuilt/$built" "$REBUILDERD_OUTDIR/$file" ;;
    # There was none to compare. A worker calls a file BAD if it is missing, and asks for no exit code. What it cannot
    # read it calls FAIL, which accuses nobody.
    *) mkdir "$REBUILDERD_OUTDIR/$file" ;;
    esac
done
