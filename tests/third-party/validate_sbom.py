"""Validates bills of materials with their own projects' libraries: CycloneDX files strictly against the schema, SPDX
files by all rules of the specification. Prints what is wrong, and fails."""

import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

wrong = []
for path in sys.argv[1:]:
    if path.endswith("spdx.json"):
        wrong += [f"{path}: {it.validation_message}" for it in validate_full_spdx_document(parse_file(path))]
    else:
        with open(path, encoding="utf-8") as file:
            error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(file.read())
        if error is not None:
            wrong.append(f"{path}: {str(error)[:2000]}")
print("\n".join(wrong[:20]))
sys.exit(bool(wrong))
