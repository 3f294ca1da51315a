#!/usr/bin/env python3
"""Compares flowlane with tshark on real captures: conversations, RTT samples, retransmissions, and the ledger.

    compare_tshark.py --flowlane build/release/flowlane [--every N] [--cache DIR] [--markdown FILE] [FILE...]

Without FILE: all captures of $FLOWLANE_CORPUS, or of ../shared/corpus beside the repository. Exit code 0: all agree, or deviate as
exceptions.tsv says; 1: not; 77: SKIPPED, and why.
"""

import argparse
import functools
import multiprocessing
import os
import shutil
import sys
import time
import traceback
from collections import Counter, defaultdict

import compare
import exceptions
import flowlane_run
from corpus import SKIPPED, corpus_every, corpus_files

LOSS_AGREEMENT = 0.99  # of all TCP conversations
LOSS_CHECKS = ("retransmission", "out_of_order")
SAMPLES_OPTION = "--rtt-samples-jsonl"


def compare_one(job, binary, cache, samples_option):
    path, name = job
    try:
        return compare.compare_file(path, name, binary, cache, samples_option)
    except Exception:  # a wrong line in one file must not hide the results of the others
        result = compare.Result(name)
        result.mismatch("comparison", traceback.format_exc().strip().splitlines()[-1], "", "")
        return result


class Report:
    """Collects lines; prints them as Markdown, which a terminal can show as well."""

    def __init__(self):
        self.lines = []

    def text(self, line=""):
        self.lines.append(line)

    def table(self, header, rows):
        cells = [[str(cell).replace("|", "\\|") for cell in row] for row in [header, *rows]]
        widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
        for number, row in enumerate(cells):
            self.text("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")
            if number == 0:
                self.text("|" + "|".join("-" * (width + 2) for width in widths) + "|")
        self.text()


def percent(part, whole):
    return f"{100 * part / whole:.3f} %" if whole else "-"


def report_totals(report, results, counts, explained, unexplained, seconds):
    compared = [r for r in results if not r.left_aside]
    aside = Counter(r.left_aside[0] for r in results if r.left_aside)
    report.text("## flowlane and tshark")
    report.text()
    rows = [
        ("captures compared", f"{len(compared)} of {len(results)}"),
        ("captures that tshark does not read whole", aside["tshark"]),
        ("captures of link types that flowlane refuses", aside["flowlane"]),
        ("captures that libpcap does not read (pcapng with unlike interfaces)", aside["libpcap"]),
        ("frames", counts["frames"]),
        ("TCP and UDP conversations", f"{counts['conversations']} with {counts['packets']} packets"),
        ("TCP records of flowlane / streams of tshark", f"{counts['records']} / {counts['streams']}"),
        ("RTT samples of flowlane / of tshark", f"{counts['rtt_samples']} / {counts['rtt_samples_tshark']}"),
        ("SEQ/ACK and handshake samples compared one by one", counts["rtt_exact"]),
        ("samples from TCP timestamps, ICMP echo, DNS, QUIC spin bit", ", ".join(
            str(counts["rtt_" + source]) for source in ("timestamp", "icmp_echo", "dns", "quic_spin"))),
        ("TCP flows whose last and least RTT were compared", counts["rtt_flows"]),
        ("  with TCP timestamp samples in the file, value not in tshark", counts["rtt_flows_timestamps"]),
        ("TCP flows with all samples of tshark (moving average compared)", counts["rtt_ewma"]),
        ("retransmissions / out of order, by tshark", f"{counts['retransmissions']} / {counts['out_of_orders']}"),
        ("loss counts agree, all TCP flows", f"{counts['loss_agree']} of {counts['tcp_flows']}: "
         + percent(counts["loss_agree"], counts["tcp_flows"])),
        ("loss counts agree, flows with any", f"{counts['lossy_agree']} of {counts['lossy_flows']}: "
         + percent(counts["lossy_agree"], counts["lossy_flows"])),
        ("DNS round trips agree (for information)", f"{counts['dns_agree']} of {counts['dns_flows']} flows"),
        ("time", f"{seconds:.0f} s"),
    ]  # fmt: skip
    report.table(("what", "number"), rows)
    checks = ["frames", "ip_frames", "ledger", "packets", "bytes", "rtt_count", "rtt_value", "rtt_ewma", "rtt_exact", *LOSS_CHECKS]
    checks += sorted((set(explained) | set(unexplained)) - set(checks))
    report.table(("check", "deviations explained", "unexplained"), [(c, explained[c], unexplained[c]) for c in checks])


def report_deviations(report, title, deviations, limit):
    if not deviations:
        return
    report.text(f"### {title}")
    report.text()
    rows = [(m.check, path, m.what, m.ours, m.theirs, reason) for path, m, reason in deviations[:limit]]
    report.table(("check", "file", "conversation", "flowlane", "tshark", "reason"), rows)
    if len(deviations) > limit:
        report.text(f"... and {len(deviations) - limit} more")
        report.text()


def report_left_aside(report, results):
    groups = defaultdict(list)
    for result in results:
        if result.left_aside:
            groups[result.left_aside].append(result.path)
    if groups:
        report.text("### Captures left aside")
        report.text()
        rows = [(who, why.replace("\n", " "), len(paths), paths[0]) for (who, why), paths in sorted(groups.items())]
        report.table(("who refuses", "why", "files", "first of them"), rows)
    left_out = sum((r.left_out for r in results), Counter())
    if left_out:
        report.text("### Frames whose innermost header is not whole (drop, or the flow of the tunnel around it)")
        report.text()
        report.table(("why", "frames"), sorted(left_out.items()))


def judge(results, whole):
    """Explained and unexplained deviations, and rows of the table that are wrong."""
    table = exceptions.Judge(exceptions.read_exceptions())
    explained, unexplained = [], []
    for result in results:
        for mismatch in result.mismatches:
            reason = table.explain(result.path, mismatch.check)
            (explained if reason else unexplained).append((result.path, mismatch, reason or ""))
    return explained, unexplained, table.wrong_rows([r.path for r in results], whole)


def verdict(counts, unexplained, wrong_rows, samples_option, whole):
    """Sentences about what fails."""
    failures = []
    # The share of flows that agree says something for the whole corpus; in a part of it each deviation must be a known one.
    hard = [(path, m) for path, m, _ in unexplained if m.check not in LOSS_CHECKS or not whole]
    if hard:
        failures.append(f"{len(hard)} deviations that exceptions.tsv does not explain")
    if whole and counts["loss_agree"] < LOSS_AGREEMENT * counts["tcp_flows"]:
        failures.append(f"retransmission and out-of-order counts agree on less than {LOSS_AGREEMENT:.0%} of TCP flows")
    for row, seen in wrong_rows:
        failures.append(f"exceptions.tsv: {row.pattern} {row.check}: {row.number} deviations expected, {seen} seen ({row.reason})")
    if samples_option and not counts["rtt_exact"]:
        failures.append(f"{samples_option} gave no samples")
    return failures


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="FILE")
    parser.add_argument("--flowlane", required=True, help="the binary")
    parser.add_argument("--every", type=int, default=corpus_every(), help="only every Nth file")
    parser.add_argument("--cache", help="directory that keeps tshark's answers for the next run")
    parser.add_argument("--markdown", help="write the report there as well")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--limit", type=int, default=200, help="deviations to print")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    if not shutil.which("tshark"):
        print("SKIPPED: tshark is not installed (apt-get install tshark)")
        return SKIPPED
    files, why = corpus_files(arguments.files, arguments.every)
    if not files:
        print(f"SKIPPED: {why}")
        return SKIPPED
    if arguments.cache:
        os.makedirs(arguments.cache, exist_ok=True)
    samples_option = SAMPLES_OPTION if flowlane_run.has_option(arguments.flowlane, SAMPLES_OPTION) else None
    start = time.monotonic()
    binary = os.path.abspath(arguments.flowlane)
    work = functools.partial(compare_one, binary=binary, cache=arguments.cache, samples_option=samples_option)
    with multiprocessing.Pool(arguments.jobs) as pool:
        results = list(pool.imap(work, files, chunksize=4))

    counts = sum((r.counts for r in results), Counter())
    whole = arguments.every == 1 and not arguments.files
    explained, unexplained, wrong_rows = judge(results, whole)
    report = Report()
    by_check = [Counter(m.check for _, m, _ in deviations) for deviations in (explained, unexplained)]
    report_totals(report, results, counts, *by_check, time.monotonic() - start)
    report_deviations(report, "Deviations explained", explained, arguments.limit)
    report_deviations(report, "Deviations not explained", unexplained, arguments.limit)
    report_left_aside(report, results)
    failures = verdict(counts, unexplained, wrong_rows, samples_option, whole)
    report.text("agreement as required" if not failures else "FAILED: " + "; ".join(failures))
    print("\n".join(report.lines))
    if arguments.markdown:
        with open(arguments.markdown, "w", encoding="utf-8") as f:
            f.write("\n".join(report.lines) + "\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
