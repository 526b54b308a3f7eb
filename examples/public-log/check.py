#!/usr/bin/env python3
"""Checks a public log of verdicts, a proof out of it, or that it grew, without the program that wrote it.

    check.py log FOLDER KEY                 the signature, every entry, every tile
    check.py grew FOLDER KEY CHECKPOINT     the same, and that the log begins with what an earlier checkpoint signed
    check.py proof FILE KEY                 a proof that the log has an entry

KEY is the line that "rebuilder log key" prints. Only the standard library, and "cryptography" or the command
"openssl" for Ed25519. Formats: c2sp.org/tlog-tiles, tlog-checkpoint, signed-note and tlog-proof; hashes: RFC 6962, 2.1.
"""

import base64
import hashlib
import os
import subprocess
import sys
import tempfile


def sha256(data):
    return hashlib.sha256(data).digest()


def leaf_hash(entry):
    return sha256(b"\x00" + entry)


def node_hash(left, right):
    return sha256(b"\x01" + left + right)


def tree_root(leaves):
    """MTH of RFC 6962, bottom up: a lone node at the end of a row moves up as it is."""
    if not leaves:
        return sha256(b"")
    row = list(leaves)
    while len(row) > 1:
        up = [node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)]
        if len(row) % 2:
            up.append(row[-1])
        row = up
    return row[0]


def verify_ed25519(public, message, signature):
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        return verify_with_openssl(public, message, signature)
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        return True
    except InvalidSignature:
        return False


def verify_with_openssl(public, message, signature):
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("key.der", "message", "signature")]
        der = bytes.fromhex("302a300506032b6570032100") + public
        for path, data in zip(paths, (der, message, signature)):
            with open(path, "wb") as file:
                file.write(data)
        done = subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", paths[0], "-rawin", "-in", paths[1], "-sigfile", paths[2]],
            capture_output=True,
        )
        return done.returncode == 0


def checkpoint(note, vkey):
    """Size and root of a signed checkpoint."""
    name, key_id, key = vkey.strip().split("+", 2)
    material = base64.b64decode(key)
    assert material[0] == 1 and len(material) == 33, "not an Ed25519 key of a log"
    assert sha256(name.encode() + b"\n" + material)[:4].hex() == key_id, "the id is not the key's"
    text, lines = note.rsplit("\n\n", 1)
    text += "\n"
    good = False
    for line in lines.splitlines():
        dash, by, signature = line.split(" ")
        signature = base64.b64decode(signature)
        if dash == "\u2014" and by == name and signature[:4].hex() == key_id:
            assert verify_ed25519(material[1:], text.encode(), signature[4:]), "the signature is bad"
            good = True
    assert good, "the log did not sign its checkpoint"
    origin, size, root = text.splitlines()[:3]
    assert origin == name, f"the checkpoint is of {origin}"
    return int(size), base64.b64decode(root)


def place(index, width):
    parts = [f"{index % 1000:03}"]
    while index >= 1000:
        index //= 1000
        parts.insert(0, f"x{index % 1000:03}")
    return "/".join(parts) + ("" if width == 256 else f".p/{width}")


def read(folder, *parts):
    with open(os.path.join(folder, *parts), "rb") as file:
        return file.read()


def entries(folder, size):
    found = []
    for index in range((size + 255) // 256):
        width = min(256, size - 256 * index)
        data, at = read(folder, "tile", "entries", place(index, width)), 0
        for _ in range(width):
            length = int.from_bytes(data[at : at + 2], "big")
            found.append(data[at + 2 : at + 2 + length])
            assert len(found[-1]) == length, "an entry is cut off"
            at += 2 + length
        assert at == len(data), "bytes after the last entry of a bundle"
    return found


def check_tiles(folder, leaves):
    """Each hash of each tile is the root of what is below it."""
    row, level, tiles = leaves, 0, 0
    while row:
        for index in range((len(row) + 255) // 256):
            part = row[256 * index : 256 * (index + 1)]
            stored = read(folder, "tile", str(level), place(index, len(part)))
            assert stored == b"".join(part), f"tile {index} of level {level} has other hashes"
            tiles += 1
        row = [tree_root(row[i : i + 256]) for i in range(0, len(row) - 255, 256)]
        level += 1
    return tiles


def check_log(folder, vkey):
    size, root = checkpoint(read(folder, "checkpoint").decode(), vkey)
    leaves = [leaf_hash(entry) for entry in entries(folder, size)]
    assert tree_root(leaves) == root, "the entries do not give the root that the log signed"
    print(f"{size} entries, {check_tiles(folder, leaves)} tiles, root {base64.b64encode(root).decode()}")
    return leaves


def check_growth(folder, vkey, earlier):
    leaves = check_log(folder, vkey)
    with open(earlier, encoding="utf-8") as file:
        size, root = checkpoint(file.read(), vkey)
    assert size <= len(leaves), "the log shrank"
    assert tree_root(leaves[:size]) == root, "the log forked: it does not begin with what it signed before"
    print(f"begins with the {size} entries of the earlier checkpoint")


def check_proof(path, vkey):
    with open(path, encoding="utf-8") as file:
        head, note = file.read().split("\n\n", 1)
    lines = head.split("\n")
    assert lines[0] == "c2sp.org/tlog-proof@v1"
    entry = base64.b64decode(lines[1].removeprefix("extra "))
    index = int(lines[2].removeprefix("index "))
    size, root = checkpoint(note, vkey)
    # RFC 9162, 2.1.3.2.
    assert index < size
    at, last, found = index, size - 1, leaf_hash(entry)
    for sibling in map(base64.b64decode, lines[3:]):
        assert last > 0, "too many hashes"
        if at % 2 or at == last:
            found = node_hash(sibling, found)
            while at % 2 == 0 and at > 0:
                at, last = at // 2, last // 2
        else:
            found = node_hash(found, sibling)
        at, last = at // 2, last // 2
    assert last == 0 and found == root, "the proof does not lead to the root that the log signed"
    print(f"entry {index} of {size}: {entry.decode()}")


if __name__ == "__main__":
    commands = {"log": check_log, "grew": check_growth, "proof": check_proof}
    if len(sys.argv) < 4 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    try:
        commands[sys.argv[1]](*sys.argv[2:])
    except (AssertionError, OSError, ValueError) as error:
        sys.exit(f"not good: {error}")
