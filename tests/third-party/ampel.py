"""Evaluates a policy of Ampel about the summary in an envelope; prints whether it passes, or fails.

Ampel is a Go program. Its policies are CEL, evaluated here with PyPI's cel-python. It reads a summary by the protocol buffer
of in-toto/attestation if that has all members of it, and as plain JSON otherwise: that has no `verifier.version`, so ours
are read as plain JSON, as here.
"""

import base64
import json
import re
import sys

import celpy
from celpy.adapter import json_to_cel

with open(sys.argv[1], "rb") as file:
    envelope = json.load(file)
with open(sys.argv[2], "rb") as file:
    policy = json.load(file)
context = {name: value.get("default", "") for name, value in policy.get("context", {}).items()}
context.update(json.loads(sys.argv[3]))

statement = json.loads(base64.b64decode(envelope["payload"]))
kind, data = statement["predicateType"], statement["predicate"]


def evaluate(code, **variables):
    # The form of a macro with index and value is an extension that cel-python does not have; the index is not used.
    code = re.sub(r"\.exists\(k, v,", ".exists(v,", code)
    environment = celpy.Environment()
    program = environment.program(environment.compile(code))
    return program.evaluate({name: json_to_cel(value) for name, value in variables.items()})


passed = []
for tenet in policy["tenets"]:
    known = {"predicates": [{"data": data}], "context": context, "outputs": {}}
    if kind not in tenet["predicates"]["types"]:
        passed.append(False)
        continue
    for name, output in tenet.get("outputs", {}).items():
        value = evaluate(output["code"], **known)
        known["outputs"][name] = json.loads(json.dumps(value, cls=celpy.CELJSONEncoder))
    passed.append(bool(evaluate(tenet["code"], **known)))
json.dump(all(passed), sys.stdout)
