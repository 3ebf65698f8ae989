"""Writes the configurations of the tests: tables as dicts, `[[arrays of tables]]` as lists of dicts."""

import json


def _value(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    return json.dumps(value)  # strings, numbers and booleans look the same in both


def _is_tables(value):
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _table(lines, path, table):
    for key, value in table.items():
        if not _is_tables(value) or path.endswith("cluster"):
            lines.append(f"{key} = {_value(value)}")
    for key, value in table.items():
        if _is_tables(value) and not path.endswith("cluster"):
            for each in value:
                lines.append(f"[[{path}.{key}]]")
                _table(lines, f"{path}.{key}", each)


def dumps(**tables):
    lines = []
    for name, value in tables.items():
        if value is None:
            continue
        for each in value if isinstance(value, list) else [value]:
            lines.append(f"[[{name}]]" if isinstance(value, list) else f"[{name}]")
            _table(lines, name, each)
            lines.append("")
    return "\n".join(lines) + "\n"
