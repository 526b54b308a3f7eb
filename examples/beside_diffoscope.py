#!/usr/bin/env python3
"""Compares pairs of files with rebuilder and diffoscope, and names what only diffoscope shows as different.

usage: beside_diffoscope.py REBUILDER A B [A B ...]

Every file that diffoscope shows as different, however deeply nested, must have a node in rebuilder's tree. Every
listing that differs (zipinfo, file list, ...) must have a finding. Prints one line for each pair, and exits with 1 if
anything is missed. Needs diffoscope on the PATH.
"""

import json
import re
import subprocess
import sys
import time

COMPRESSED = re.compile(r"\.(gz|xz|zst|bz2|lzma|lz4|tgz|crate|gem)$")

# What diffoscope shows of a file beside its content.
LISTINGS = {"file list", "Python bytecode", "zipinfo", "metadata", "filetype from file(1)", "encoding", "Pretty-printed", "line order"}


def ours(tool, a, b):
    begun = time.time()
    result = subprocess.run([tool, "--json", "--quiet", "compare", a, b], capture_output=True, check=False)
    return json.loads(result.stdout), time.time() - begun


def theirs(a, b):
    begun = time.time()
    result = subprocess.run(["diffoscope", "--json", "-", a, b], capture_output=True, check=False, timeout=1800)
    return json.loads(result.stdout) if result.stdout.strip() else None, time.time() - begun


def nodes(node, path=""):
    """Paths of rebuilder's nodes that differ, with the names of both sides."""
    yield path, node
    for child in node.get("children", []):
        for name in {child["name"], child.get("rebuilt_name", child["name"])}:
            yield from nodes(dict(child, name=name), f"{path}/{name}" if path else name)


def is_command(name):
    return "{}" in name or name in LISTINGS or name.startswith(("zipnote ", "objdump")) or name.endswith(" file list")


def files(detail, path=()):
    """Paths of the files in diffoscope's tree that differ; listings are differences of the file that they list."""
    for child in detail.get("details", []):
        one, two = child["source1"], child["source2"]
        if is_command(one):
            if child.get("unified_diff"):
                yield path, one, child["unified_diff"]
            yield from files(child, path)
        else:
            below = path + (one,) if one != "/dev/null" else path + (two,)
            if child.get("unified_diff") or not child.get("details"):
                yield below, None, child.get("unified_diff")
            yield from files(child, below)


def flat(path):
    """A path without the names that decompressing gives and without leading dots."""
    parts = []
    for part in path:
        part = re.sub(r"^\./|/$", "", part)
        if parts and COMPRESSED.sub("", parts[-1]).split("/")[-1] == part.split("/")[-1] and COMPRESSED.search(parts[-1]):
            continue
        # Names that diffoscope makes up for what a file without a name holds, and for its view of a list.
        if part.endswith("-content") or parts and (parts[-1].split("/")[-1] == part or parts[-1] == part.lstrip("/")):
            continue
        parts.append(part)
    return "/".join(parts)


def is_part(wanted, known):
    """Whether a name is that of a section or an architecture of a program, which rebuilder tells among its findings."""
    parent, _, part = wanted.rpartition("/")
    if not part.startswith(".") and part not in ("x86_64", "aarch64", "arm64", "i386"):
        return False
    return any(
        node.get("format") in ("ELF", "PE", "Mach-O") and node.get("findings")
        for name, node in known.items()
        if name == parent or name.endswith("/" + parent) or parent.endswith("/" + name) or not name
    )


def main():
    tool, names = sys.argv[1], sys.argv[2:]
    missed_any = False
    for a, b in zip(names[::2], names[1::2]):
        found, fast = ours(tool, a, b)
        shown, slow = theirs(a, b)
        known = {path: node for path, node in nodes(found["tree"])} if found["tree"] else {}
        unpacked = COMPRESSED.sub("", a.split("/")[-1])
        missed, count = [], 0
        for path, listing, _ in files(shown) if shown else []:
            count += 1
            wanted = flat(path)
            fits = any(
                name == wanted or name.endswith("/" + wanted) or wanted.endswith("/" + name) or (listing and wanted in ("", name, unpacked))
                for name in known
            )
            if not fits and not is_part(wanted, known):
                missed.append((wanted, listing))
        missed_any |= bool(missed)
        print(
            f"{a.split('/')[-1]} {b.split('/')[-1]}: {found['outcome']}, "
            f"{count} differences of diffoscope, {len(missed)} missed; {fast:.2f} s and {slow:.1f} s"
        )
        for wanted, listing in missed[:10]:
            print(f"    missed: {wanted} {listing or ''}")
    sys.exit(1 if missed_any else 0)


main()
