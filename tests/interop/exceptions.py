"""The table of named deviations: exceptions.tsv.

Columns: file pattern (as in a shell), check, how many deviations there are over all files of the pattern, and the reason in words.
A deviation that no row covers is a failure; so is a row with another number than was seen: nothing hides behind a pattern.
"""

import fnmatch
import os
from typing import NamedTuple

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "exceptions.tsv")


class Row(NamedTuple):
    """One named deviation."""

    pattern: str
    check: str
    number: int
    reason: str


def read_exceptions(path=TABLE):
    rows = []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if not line.strip() or line.startswith("#"):
                continue
            columns = line.rstrip("\n").split("\t")
            if len(columns) != 4:
                raise SystemExit(f"{path}: line {number}: expected 4 columns between tabs, found {len(columns)}")
            rows.append(Row(columns[0], columns[1], int(columns[2]), columns[3]))
    return rows


class Judge:
    """Sorts mismatches into explained and unexplained ones."""

    def __init__(self, rows):
        self.rows = rows
        self.seen = [0] * len(rows)

    def explain(self, path, check):
        """The reason, or None. Counts."""
        for i, row in enumerate(self.rows):
            if row.check == check and fnmatch.fnmatchcase(path, row.pattern):
                self.seen[i] += 1
                return row.reason
        return None

    def wrong_rows(self, paths, whole):
        """Rows whose number was not seen. With a part of the corpus (whole = False), too many is wrong, and too few is not."""
        wrong = []
        for row, seen in zip(self.rows, self.seen):
            applies = whole and any(fnmatch.fnmatchcase(path, row.pattern) for path in paths)
            if seen > row.number or (applies and seen != row.number):
                wrong.append((row, seen))
        return wrong
