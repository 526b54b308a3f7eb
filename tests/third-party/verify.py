"""Verifies a bundle's DSSE envelope with securesystemslib and a public key in PEM; prints the payload, or fails."""

import json
import sys

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

with open(sys.argv[1], encoding="utf-8") as file:
    bundle = json.load(file)
with open(sys.argv[2], "rb") as file:
    public = load_pem_public_key(file.read())
envelope = Envelope.from_dict(bundle["dsseEnvelope"])
key = SSlibKey.from_crypto(public, keyid=bundle["verificationMaterial"]["publicKey"]["hint"])
envelope.verify([key], 1)
sys.stdout.write(envelope.payload.decode())
