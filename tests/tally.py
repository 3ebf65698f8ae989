#!/usr/bin/python3
"""Sums test results into one line, "N passed, N failed"; fails unless all passed.

Reads meson's testlog.json (each program's doctest summary), pytest's junit.xml, and plain files
that hold such a line themselves.
"""

import json
import re
import sys
import xml.etree.ElementTree as ElementTree

DOCTEST = re.compile(r"\[doctest\] test cases:\s*(\d+)\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed")
LINE = re.compile(r"^(\d+) passed, (\d+) failed$", re.MULTILINE)


def of_meson(text):
    passed = failed = 0
    for line in text.splitlines():
        test = json.loads(line)
        ok = test["result"] in ("OK", "SKIP", "EXPECTEDFAIL")
        summary = DOCTEST.search(re.sub(r"\x1b\[[0-9;]*m", "", test.get("stdout") or ""))
        if summary is None:  # not a doctest program, or it died before its summary
            passed, failed = passed + ok, failed + (not ok)
            continue
        passed += int(summary[2])
        # A sanitizer's finding fails the program even when every case has passed.
        failed += int(summary[3]) or int(not ok)
    return passed, failed


def of_junit(text):
    suite = ElementTree.fromstring(text).find("testsuite")
    failed = int(suite.get("failures")) + int(suite.get("errors"))
    return int(suite.get("tests")) - failed - int(suite.get("skipped")), failed


def of_line(text):
    found = LINE.findall(text)
    return (int(found[-1][0]), int(found[-1][1])) if found else (0, 1)


def main(paths):
    passed = failed = 0
    for path in paths:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
        except FileNotFoundError:  # what should have written it did not get that far
            text, path = "", "nothing"
        count = of_meson if path.endswith(".json") else of_junit if path.endswith(".xml") else of_line
        more_passed, more_failed = count(text)
        passed, failed = passed + more_passed, failed + more_failed
    print(f"{passed} passed, {failed} failed")
    return 0 if passed > 0 and failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
