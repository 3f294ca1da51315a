#!/usr/bin/env python3
"""--flow-cutoff on files: which flows there are, their times, packets and bytes are those of a run without it.

Compared are all records of each capture of the corpus, with the given cutoffs, on one lane and on three; and that something was cut
off at all.
"""

import argparse
import os
import sys
import tempfile

from corpus import SKIPPED, corpus_every, corpus_files
from flowlane_run import read_exact, run_flowlane

KEYS = ("protocol", "endpoint_a", "endpoint_b", "vlan", "tunnel", "first_seen", "last_seen", "packets_a_to_b", "packets_b_to_a", "bytes_a_to_b",
        "bytes_b_to_a")
COUNTS = KEYS[-4:]


def records_of(flowlane, path, folder, *options):
    """(code, the flows as comparable lines, the flows cut off)."""
    out = os.path.join(folder, "flows.json")
    if os.path.exists(out):
        os.unlink(out)
    run = run_flowlane(flowlane, "-q", "-r", path, "--all-protocols", "--extended", "--export-json", out, *options)
    if run.sanitizer or run.code < 0:
        raise SystemExit(f"{path}: {run.sanitizer or run.stderr}")
    flows = read_exact(out) if os.path.exists(out) else []
    return run.code, sorted(tuple(str(flow.get(key)) for key in KEYS) for flow in flows), sum("cut_off" in flow and flow["cut_off"] for flow in flows)


def sums(records):
    return [sum(int(record[i]) for record in records) for i in range(len(KEYS) - len(COUNTS), len(KEYS))]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--flowlane", required=True)
    parser.add_argument("--every", type=int, default=1, help="every Nth capture")
    parser.add_argument("--cutoffs", default="2000", help="bytes, separated by commas")
    parser.add_argument("--lanes", default="1,3")
    parser.add_argument("--more", default="", help="further options of flowlane, separated by blanks")
    parser.add_argument("captures", nargs="*")
    arguments = parser.parse_args()
    files, reason = corpus_files(arguments.captures, arguments.every * corpus_every())
    if not files:
        print(f"SKIPPED: {reason}")
        return SKIPPED
    runs = differ = sums_differ = cut_off = 0
    with tempfile.TemporaryDirectory(prefix="flowlane-cutoff-") as folder:
        for path, name in files:
            more = arguments.more.split()
            code, whole, _ = records_of(arguments.flowlane, path, folder, *more)
            for lanes in arguments.lanes.split(",") if whole else ():
                for cutoff in arguments.cutoffs.split(","):
                    got_code, got, cut = records_of(arguments.flowlane, path, folder, "--lanes", lanes, "--flow-cutoff", cutoff, *more)
                    runs += 1
                    cut_off += cut
                    if got == whole and code == got_code:
                        continue
                    differ += 1
                    sums_differ += sums(got) != sums(whole)
                    print(f"FAILED: {name}, --flow-cutoff {cutoff} --lanes {lanes}: {len(got)} records, not {len(whole)}; sums {sums(got)}, "
                          f"not {sums(whole)}; only with: {sorted(set(got) - set(whole))[:2]}; only without: {sorted(set(whole) - set(got))[:2]}")
    print(f"{len(files)} captures, {runs} runs with a cutoff, {cut_off} flows cut off: records differ in {differ} runs, sums in {sums_differ}")
    if not cut_off:
        print("FAILED: nothing was cut off")
    return 1 if differ or not cut_off else 0


if __name__ == "__main__":
    sys.exit(main())
