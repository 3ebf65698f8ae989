"""Makes a man page of a page of docs/: headings, paragraphs, lists, tables and code, no more.

    markdown_to_man.py INPUT OUTPUT NAME SECTION DESCRIPTION

Tables become lists: a row's first cell, and below it the others, each behind its column's heading.
"""

import re
import sys
from pathlib import Path


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return "\\&" + text if text.startswith(".") else text


def inline(text):
    """Code and links in bold, emphasis in italics."""
    parts = re.split(r"(`[^`]+`|\*\*[^*]+\*\*|\*[^*\s][^*]*\*|\[[^]]+\]\([^)]+\))", text.replace(r"\|", "|"))
    done = []
    for part in parts:
        if match := re.fullmatch(r"`([^`]+)`|\*\*([^*]+)\*\*|\[([^]]+)\]\([^)]+\)", part):
            done.append(f"\\fB{escape(next(filter(None, match.groups()))).removeprefix(chr(92) + '&')}\\fR")
        elif match := re.fullmatch(r"\*([^*]+)\*", part):
            done.append(f"\\fI{escape(match[1])}\\fR")
        else:
            done.append(escape(part))
    return "".join(done)


def cells(row):
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))]


def table(rows):
    heads = cells(rows[0])
    for row in rows[2:]:
        first, *others = cells(row)
        yield ".TP"
        yield inline(first)
        said = [f"{head}: {cell}" if head not in ("", "meaning") else cell
                for head, cell in zip(heads[1:], others) if cell]
        yield inline("; ".join(said)) or "\\&"


def page(lines):
    lines = iter(lines)
    buffered = []

    def following():
        return buffered.pop() if buffered else next(lines, None)

    while (line := following()) is not None:
        if line.startswith("```"):
            yield ".PP\n.RS 4\n.nf"
            while not (code := next(lines)).startswith("```"):
                yield escape(code)
            yield ".fi\n.RE"
        elif heading := re.match(r"(#+) (.*)", line):
            if len(heading[1]) > 1:
                yield f"{'.SH' if len(heading[1]) == 2 else '.SS'} {inline(heading[2])}"
        elif line.startswith("|"):
            rows = [line]
            while (row := following()) is not None and row.startswith("|"):
                rows.append(row)
            if row is not None:
                buffered.append(row)
            yield from table(rows)
            yield ".PP"
        elif item := re.match(r"(?:- |\d+\. )(.*)", line):
            yield ".IP \\(bu 2"
            yield inline(item[1])
        elif not line.strip():
            yield ".PP"
        else:
            yield inline(line.strip())


def main():
    source, target, name, section, description = sys.argv[1:]
    lines = Path(source).read_text(encoding="utf-8").splitlines()
    head = [f'.\\" Made from {Path(source).name}.', f'.TH {name.upper()} {section} "" Baton', ".SH NAME",
            f"{name} \\- {description}", ".SH DESCRIPTION"]
    Path(target).write_text("\n".join([*head, *page(lines)]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
