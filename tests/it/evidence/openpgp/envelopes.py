"""Makes envelopes that gpg signed, with PyPI's securesystemslib 1.6, which verifies each of them; and their certificates.

    python3 envelopes.py FOLDER

None of the keys is secret: the private ones are thrown away.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HOME = tempfile.mkdtemp(prefix="g")
os.chmod(HOME, 0o700)
TIME = ["--faked-system-time", "20220601T000000!"]
os.environ["GNUPG"] = " ".join(["gpg", "--batch", "--quiet", *TIME])

from securesystemslib.dsse import Envelope
from securesystemslib.signer import GPGSigner

STATEMENT = {
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [{"name": "tool", "digest": {"sha256": hashlib.sha256(b"tool\n").hexdigest()}}],
    "predicateType": "https://in-toto.io/attestation/link/v0.3",
    "predicate": {"name": "pack", "materials": []},
}


def gpg(*arguments):
    command = ["gpg", "--batch", "--quiet", "--homedir", HOME, "--passphrase", "", "--pinentry-mode", "loopback", *TIME]
    return subprocess.run([*command, *arguments], check=True, capture_output=True, text=True).stdout


def main(folder):
    for kind in ["rsa2048", "ed25519"]:
        address = f"{kind}@example.org"
        gpg("--quick-generate-key", address, kind, "sign", "never")
        lines = gpg("--with-colons", "--list-keys", address).splitlines()
        fingerprint = next(line.split(":")[9] for line in lines if line.startswith("fpr")).lower()
        _, key = GPGSigner.import_(fingerprint, HOME)
        envelope = Envelope(json.dumps(STATEMENT).encode(), "application/vnd.in-toto+json", {})
        envelope.sign(GPGSigner(key, HOME))
        document = json.dumps(envelope.to_dict())
        assert Envelope.from_dict(json.loads(document)).verify([key], 1)
        (folder / f"envelope.{kind}.json").write_text(document + "\n")
        (folder / f"envelope.{kind}.asc").write_text(gpg("--armor", "--export", fingerprint))


main(Path(sys.argv[1]))
