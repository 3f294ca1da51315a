"""Small readers of the one-way flow formats, written from their descriptions alone: nothing of flowlane's is used here."""

import array
import os
from typing import NamedTuple

FIELDS = (
    "af prot inif outif sa0 sa1 sa2 sa3 da0 da1 da2 da3 sp dp first first_ms last last_ms packets octets aggs".split()
)
CODES = "B B H H I I I I I I I I H H I H I H Q Q I".split()


class Row(NamedTuple):
    af: int
    prot: int
    inif: int
    outif: int
    sa0: int
    sa1: int
    sa2: int
    sa3: int
    da0: int
    da1: int
    da2: int
    da3: int
    sp: int
    dp: int
    first: int
    first_ms: int
    last: int
    last_ms: int
    packets: int
    octets: int
    aggs: int

    @property
    def duration_ms(self):
        return 0 if self.packets == 1 else (self.last - self.first) * 1000 + self.last_ms - self.first_ms


def read_csv_flow(path):
    with open(path, encoding="ascii") as file:
        return [Row(*map(int, line.split(","))) for line in file]


def read_binary(directory):
    """The columns of one directory, all 21 and nothing else."""
    names = sorted(os.listdir(directory))
    assert names == sorted(f"{name}.{code}" for name, code in zip(FIELDS, CODES)), names
    columns = []
    for name, code in zip(FIELDS, CODES):
        column = array.array(code)
        with open(os.path.join(directory, f"{name}.{code}"), "rb") as file:
            column.frombytes(file.read())
        columns.append(column)
    assert len(set(map(len, columns))) == 1, "columns of different lengths"
    return [Row(*values) for values in zip(*columns)]


def read_pipe(text):
    """(key, first ms, last ms, flags, tos, packets, octets) of each line of nfdump's 22 columns."""
    rows = []
    for line in text.splitlines():
        values = [int(value) for value in line.split("|")]
        assert len(values) == 22, line
        rows.append((tuple(values[i] for i in (0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)), values[1], values[2], *values[18:22]))
    return rows


def histogram(rows, value_of, b):
    """The lines of a csv_hist file."""
    bins = {}
    for row in rows:
        rate = 8000 * row.octets / row.duration_ms if row.duration_ms else 0
        value = value_of(row, rate)
        width = 1 << max(0, int(value).bit_length() - b) if b else 1
        low = int(value) // width * width
        sums = bins.setdefault(low, [low + width, 0, 0, 0, 0, 0, 0])
        for i, add in enumerate((1, row.packets, row.octets, row.duration_ms, rate, row.aggs), 1):
            sums[i] += add
    lines = ["bin_lo,bin_hi,flows_sum,packets_sum,octets_sum,duration_sum,rate_sum,aggs_sum"]
    lines += [",".join(str(int(value)) for value in [low, *bins[low]]) for low in sorted(bins)]
    return "\n".join(lines) + "\n"


HISTOGRAMS = {
    "length": lambda row, rate: row.packets,
    "size": lambda row, rate: row.octets,
    "duration": lambda row, rate: row.duration_ms,
    "rate": lambda row, rate: rate,
}


def read_series(path):
    """Second of the day -> count, without zeros."""
    with open(path, encoding="ascii") as file:
        lines = file.read().split("\n")
    assert len(lines) == 86401 and lines[-1] == "", f"{path} has {len(lines) - 1} lines"
    return {second: int(line) for second, line in enumerate(lines[:-1]) if line != "0"}
