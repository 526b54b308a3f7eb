"""Verifies an in-toto link with PyPI's in-toto and a public key in PEM; prints the products, or fails."""

import json
import sys

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from in_toto.models.link import Link
from in_toto.models.metadata import Metablock
from securesystemslib.signer import SSlibKey

block = Metablock.load(sys.argv[1])
assert isinstance(block.signed, Link), "not a link"
with open(sys.argv[2], "rb") as file:
    public = load_pem_public_key(file.read())
# The name of a key is a hint; what counts is that this key signed it.
key = SSlibKey.from_crypto(public, keyid=block.signatures[0]["keyid"])
block.verify_signature(key)
json.dump({"name": block.signed.name, "products": block.signed.products}, sys.stdout)
