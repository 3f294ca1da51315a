#!/usr/bin/env python3
"""What the anomaly detectors find in the captures of the corpus, with their default settings.

Captures of scans, floods and attacks must raise the alerts that expected_alerts.tsv lists for them, and no others; of all the
rest at least 95 % must raise none, and each that does must be in that list, with a reason. Alerts are the same, byte for byte,
with 1, 2 and 4 lanes. --markdown FILE writes the table of docs/anomalies.md.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import sys
import tempfile

from corpus import SKIPPED, corpus_every, corpus_files
from flowlane_run import run_flowlane

EXPECTED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "expected_alerts.tsv")


def read_expected():
    """name -> (attack, {kind: count}, reason)"""
    expected = {}
    with open(EXPECTED, encoding="utf-8") as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                name, group, kinds, reason = line.rstrip("\n").split("\t")
                counts = {} if kinds == "-" else {k: int(n) for k, n in (kind.split("=") for kind in kinds.split())}
                expected[name] = (group == "attack", counts, reason)
    return expected


def alerts_of(binary, path, folder, lanes):
    name = os.path.join(folder, f"{abs(hash(path))}.{lanes}.jsonl")
    run = run_flowlane(binary, "-q", "-r", path, "--lanes", lanes, "--anomalies", "--alerts-jsonl", name)
    text = ""
    if os.path.exists(name):
        with open(name, encoding="ascii") as stream:
            text = stream.read()
        os.remove(name)
    return run, text


def check_one(binary, path, folder):
    """(complaint or None, alerts)"""
    run, text = alerts_of(binary, path, folder, 1)
    if run.code not in (0, 1, 2) or run.sanitizer:
        return f"exit code {run.code}: {run.sanitizer or run.stderr[-200:]}", []
    alerts = [json.loads(line) for line in text.splitlines()]
    for alert in alerts:
        if list(alert)[:4] != ["ts", "kind", "description", "severity"]:
            return f"keys {list(alert)}", alerts
    for lanes in (2, 4) if alerts else ():
        if alerts_of(binary, path, folder, lanes)[1] != text:
            return f"{lanes} lanes give other alerts", alerts
    return None, alerts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flowlane", required=True)
    parser.add_argument("--markdown")
    parser.add_argument("captures", nargs="*")
    options = parser.parse_args()
    files, missing = corpus_files(options.captures, corpus_every())
    if not files:
        print(f"SKIPPED: {missing}")
        return SKIPPED
    expected = read_expected()
    wrong, raised, ordinary, quiet = [], [], 0, 0
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda entry: check_one(options.flowlane, entry[0], folder), files)
        for (_, name), (complaint, alerts) in zip(files, results):
            attack, wanted, reason = expected.get(name, (False, {}, ""))
            kinds = dict(collections.Counter(alert["kind"] for alert in alerts))
            ordinary += not attack
            quiet += not attack and not alerts
            if complaint is None and kinds != wanted and not options.captures:
                complaint = f"alerts {kinds}, not {wanted}"
            if complaint:
                wrong.append(f"{name}: {complaint}")
            if alerts or attack:
                raised.append((name, attack, kinds, alerts, reason))
    for name, attack, kinds, alerts, reason in raised:
        print(f"{'attack  ' if attack else 'ordinary'} {name}: {kinds or 'nothing'} ({reason})")
        for kind in kinds:
            print(f"           {next(alert['description'] for alert in alerts if alert['kind'] == kind)}")
    print(f"{len(files)} captures, {ordinary} of them ordinary; of those {quiet} raise nothing ({100 * quiet / max(ordinary, 1):.1f} %)")
    if options.markdown:
        write_table(options.markdown, raised)
    for line in wrong:
        print(f"WRONG {line}")
    return 1 if wrong or quiet < 0.95 * ordinary else 0


def write_table(path, raised):
    with open(path, "w", encoding="utf-8") as out:
        out.write("| capture | alerts | the first of each kind | what it is |\n|---|---|---|---|\n")
        for name, attack, kinds, alerts, reason in raised:
            counts = ", ".join(f"{kind} {n}" for kind, n in kinds.items()) or "none"
            first = "; ".join(next(a["description"] for a in alerts if a["kind"] == kind) for kind in kinds)
            out.write(f"| {name} | {counts} | {first} | {'' if attack else 'ordinary: '}{reason} |\n")


if __name__ == "__main__":
    sys.exit(main())
