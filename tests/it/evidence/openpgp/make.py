"""Makes the layouts and links of this folder, with gpg and PyPI's in-toto 3.1 (securesystemslib 1.6), and says what in-toto
answers about them.

    python3 make.py FOLDER

Keys are made anew each time, so all files change together. None of them is secret: the private ones are thrown away.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HOME = tempfile.mkdtemp(prefix="g")
os.chmod(HOME, 0o700)


def at(year):
    """gpg as of that year; what is made then may have expired by now."""
    os.environ["GNUPG"] = f"gpg --batch --quiet --faked-system-time {year}0601T000000!"


at(2022)
import securesystemslib._gpg.constants as constants
from in_toto.models.layout import Inspection, Layout, Step
from in_toto.models.link import Link
from in_toto.models.metadata import Metablock
from in_toto.verifylib import in_toto_verify
from securesystemslib._gpg.functions import export_pubkey

TOOL = "tool\n"


def use(year):
    at(year)
    constants.GPG_ENV_COMMAND = os.environ["GNUPG"]


def gpg(*arguments, year, **more):
    command = ["gpg", "--batch", "--quiet", "--homedir", HOME, "--passphrase", "", "--pinentry-mode", "loopback"]
    command += ["--faked-system-time", f"{year}0101T000000!", *arguments]
    return subprocess.run(command, check=True, capture_output=True, **more).stdout


def key(name, kind, year=2022, expires="0", subkey=None):
    """The fingerprints of a new key and of its signing subkey."""
    gpg("--quick-generate-key", f"{name} <{name}@example.org>", kind, "sign", expires, year=year)
    lines = gpg("--with-colons", "--list-keys", f"{name}@example.org", year=year, text=True).splitlines()
    own = next(line.split(":")[9] for line in lines if line.startswith("fpr"))
    if subkey:
        gpg("--quick-add-key", own, *subkey, year=year)
        lines = gpg("--with-colons", "--list-keys", own, year=year, text=True).splitlines()
        return [line.split(":")[9].lower() for line in lines if line.startswith("fpr")]
    return [own.lower()]


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tool").write_text(TOOL)
    (owner,) = key("owner", "ed25519")
    rsa, rsa_sub = key("rsa", "rsa2048", subkey=("rsa2048", "sign", "0"))
    (dsa,) = key("dsa", "dsa2048")
    (eddsa,) = key("eddsa", "ed25519")
    # securesystemslib 1.6 loses the validity and the subkeys of Ed25519 keys.
    (old,) = key("old", "rsa2048", 2020, "1y")
    mixed, mixed_sub = key("mixed", "rsa2048", 2020, "0", ("rsa2048", "sign", "1y"))
    (other,) = key("other", "ed25519")

    def sign(signed, keyid, year=2022):
        use(year)
        block = Metablock(signed=signed, compact_json=True)
        # The exclamation mark asks gpg for exactly this key, and not for a newer subkey of it.
        block.sign_gpg(f"{keyid}!", HOME)
        return block

    digest = {"sha256": subprocess.run(["sha256sum", folder / "tool"], capture_output=True, text=True).stdout[:64]}
    source = {"foo.c": {"sha256": "aa" * 32}}
    write = Link(name="write", materials={}, products=source)
    check = Link(name="check", materials=source, products={})
    pack = Link(name="pack", materials=source, products={**source, "tool": digest}, byproducts={"stdout": "e\u0301 \"é\"\n\t"})

    def step(name, keys, materials, products, threshold=1):
        return Step(name=name, pubkeys=keys, expected_materials=materials, expected_products=products, threshold=threshold)

    matched = [["MATCH", "*", "WITH", "PRODUCTS", "FROM", "write"], ["DISALLOW", "*"]]

    def layout(writers, threshold=1, **more):
        own = Layout(expires="2999-01-01T00:00:00Z", **more)
        own.steps = [
            step("write", writers, [], [["CREATE", "foo.c"], ["DISALLOW", "*"]], threshold),
            step("check", [dsa], matched, []),
            step("pack", [eddsa], matched, [["CREATE", "tool"], ["ALLOW", "foo.c"], ["DISALLOW", "*"]]),
        ]
        for keyid in [rsa, dsa, eddsa, old, mixed]:
            own.keys[keyid] = export_pubkey(keyid, HOME)
        return own

    layouts = {
        "root": layout([rsa, old, mixed]),
        "subkey": layout([rsa_sub]),
        "two": layout([rsa, rsa_sub], threshold=2),
        "inspected": layout([rsa], inspect=[Inspection(name="untar", run=["tar", "tf", "tool"])]),
    }
    for name, own in layouts.items():
        sign(own, owner).dump(folder / f"{name}.layout")
    sign(layouts["root"], other).dump(folder / "foreign.layout")

    # A layout in the place of the link of "write".
    inner = Layout(expires="2999-01-01T00:00:00Z")
    inner.steps = [step("type", [eddsa], [], [["CREATE", "foo.c"], ["DISALLOW", "*"]])]
    inner.keys[eddsa] = export_pubkey(eddsa, HOME)
    links = {
        "write.rsa": (sign(write, rsa), rsa),
        "write.rsa-sub": (sign(write, rsa_sub), rsa_sub),
        "write.old": (sign(write, old, 2020), old),
        "write.mixed": (sign(write, mixed), mixed),
        "write.mixed-sub": (sign(write, mixed_sub, 2020), mixed_sub),
        "write.other": (sign(write, other), other),
        "write.eddsa": (sign(write, eddsa), eddsa),
        "write.inner": (sign(inner, rsa), rsa),
        "type.eddsa": (sign(Link(name="type", materials={}, products=source), eddsa), eddsa),
        "check.dsa": (sign(check, dsa), dsa),
        "pack.eddsa": (sign(pack, eddsa), eddsa),
    }
    for name, (block, _) in links.items():
        block.dump(folder / f"{name}.link")
    for name, keyid in {"owner": owner, "eddsa": eddsa, "rsa": rsa, "dsa": dsa, "old": old, "mixed": mixed}.items():
        (folder / f"{name}.asc").write_bytes(gpg("--armor", "--export", keyid, year=2022))

    # What in-toto says, for the rows of the test.
    answers = {}
    for name, writers in [
        ("root", ["rsa"]), ("root", ["rsa-sub"]), ("root", ["old"]), ("root", ["mixed"]), ("root", ["mixed-sub"]),
        ("root", ["other"]), ("root", ["eddsa"]), ("root", ["inner"]), ("root", []), ("foreign", ["rsa"]),
        ("subkey", ["rsa"]), ("subkey", ["rsa-sub"]), ("two", ["rsa", "rsa-sub"]),
    ]:
        use(2022)
        there = Path(tempfile.mkdtemp())
        for link in [f"write.{writer}" for writer in writers] + ["check.dsa", "pack.eddsa"]:
            keyid = links[link][1]
            shutil.copy(folder / f"{link}.link", there / f"{link.split('.')[0]}.{keyid[:8]}.link")
        inside = there / f"write.{rsa[:8]}"
        inside.mkdir()
        shutil.copy(folder / "type.eddsa.link", inside / f"type.{eddsa[:8]}.link")
        try:
            in_toto_verify(Metablock.load(folder / f"{name}.layout"), {owner: export_pubkey(owner, HOME)}, str(there))
            answers[" ".join([name, *writers])] = "verified"
        except Exception as error:
            answers[" ".join([name, *writers])] = type(error).__name__
    (folder / "answers.json").write_text(json.dumps(answers, indent=1) + "\n")


main(Path(sys.argv[1]))
shutil.rmtree(HOME, ignore_errors=True)
