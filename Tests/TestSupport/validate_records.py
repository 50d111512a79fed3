#!/usr/bin/env python3
"""Validates lines of NDJSON against a schema, of which no record may have more than the schema has fields for.

python3 validate_records.py SCHEMA LINES
Prints how many lines there are, or the first wrong one and why, and ends with 3. Readers are not so strict: fields are added.
"""

import json
import sys

import jsonschema


def refuse(word: str) -> None:
    raise ValueError("not JSON: " + word)


def close(node: object) -> None:
    """Lets objects have no other fields than those that are described; conditions (if, then) are none."""
    if isinstance(node, dict):
        if node.get("type") == "object":
            node["additionalProperties"] = False
        for value in list(node.values()):
            close(value)
    elif isinstance(node, list):
        for value in node:
            close(value)


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    close(schema)
    validator = jsonschema.Draft202012Validator(schema)
    count = 0
    with open(sys.argv[2], encoding="utf-8", newline="\n") as lines:
        for line in lines:
            errors = list(validator.iter_errors(json.loads(line, parse_constant=refuse)))
            if errors:
                print(line, errors[0].message, *[error.message for error in errors[0].context or []], sep="\n")
                sys.exit(3)
            count += 1
    print(count)


if __name__ == "__main__":
    main()
