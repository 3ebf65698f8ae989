#!/usr/bin/python3
"""Sums test results into one line, "N passed, N failed", after what each failure said; fails
unless all passed.

Reads meson's testlog.json (each program's doctest summary) and pytest's junit.xml.
"""

import json
import re
import sys
import xml.etree.ElementTree as ElementTree

DOCTEST = re.compile(r"\[doctest\] test cases:\s*(\d+)\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed")
LINES = 40  # of a failure's output, its last ones


def show(name, said):
    print(f"--- failed: {name}")
    print("\n".join(said.splitlines()[-LINES:]))


def of_meson(text):
    passed = failed = 0
    for line in text.splitlines():
        test = json.loads(line)
        ok = test["result"] in ("OK", "SKIP", "EXPECTEDFAIL")
        said = re.sub(r"\x1b\[[0-9;]*m", "", test.get("stdout") or "")
        if not ok:
            show(test["name"], said + (test.get("stderr") or ""))
        summary = DOCTEST.search(said)
        if summary is None:  # not a doctest program, or it died before its summary
            passed, failed = passed + ok, failed + (not ok)
            continue
        passed += int(summary[2])
        # A sanitizer's finding fails the program even when every case has passed.
        failed += int(summary[3]) or int(not ok)
    return passed, failed


def of_junit(text):
    suite = ElementTree.fromstring(text).find("testsuite")
    for case in suite.iter("testcase"):
        for failure in [*case.iter("failure"), *case.iter("error")]:
            show(f"{case.get('classname')}::{case.get('name')}", failure.text or "")
    failed = int(suite.get("failures")) + int(suite.get("errors"))
    return int(suite.get("tests")) - failed - int(suite.get("skipped")), failed


def main(paths):
    passed = failed = 0
    for path in paths:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
        except FileNotFoundError:  # what should have written it did not get that far
            text = None
        count = of_meson if path.endswith(".json") else of_junit
        more_passed, more_failed = count(text) if text else (0, 1)
        passed, failed = passed + more_passed, failed + more_failed
    print(f"{passed} passed, {failed} failed")
    return 0 if passed > 0 and failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
