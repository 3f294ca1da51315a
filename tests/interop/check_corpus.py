#!/usr/bin/env python3
"""Runs flowlane over the whole corpus and checks what it writes, file by file.

    check_corpus.py --flowlane build/asan/flowlane [--plain build/release/flowlane] [--every N] [FILE...]

  * no sanitizer report, no signal, exit code 0, 1 or 2; an error comes with a sentence
  * at most one second of CPU per MB of capture (and half a second for the start of a sanitized program)
  * the ledger adds up, in total and per lane
  * JSON: python reads it, exactly the user's keys in order, values that fit together, most bytes first
  * CSV: exactly the user's header, the same rows and values as the JSON
  * a written pcap equals the input packet for packet; capinfos and tcpdump read it without complaint
  * a second run, 2 and 3 lanes, the other binary (--plain) and a gzip'ed copy give byte-identical files, of all formats
  * a copy cut inside its last record gives all packets before it, and says so

Exit code 0: all of it holds; 1: not; 77: SKIPPED, and why.
"""

import argparse
import functools
import gzip
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from typing import NamedTuple

import capture
import exports
import flowlane_run
from corpus import SKIPPED, corpus_every, corpus_files

CPU_SECS_PER_MB = 1.0
CPU_SECS_START = 0.5
SCRATCH_BYTES = 4e9
OUTPUTS = {  # the first four are enough where only the input is another
    "flows.json": "--export-json",
    "flows.csv": "--export-csv",
    "expired.jsonl": "--expired-flows-jsonl",
    "copy.pcap": "-w",
    "flows.pipe": "--export-pipe",
    "nfcapd": "--export-nfcapd",
    "flows.csv_flow": "--export-csv-flow",
    "binary": "--export-binary",
    "hist": "--export-hist",
    "series": "--export-series",
}
PCAP_TIME_NS = 2**32 * 10**9  # seconds have 32 bits in a pcap file: it wraps around in 2106
LINK_AS_WRITTEN = {12: 101, 14: 101}  # raw IP under the numbers of BSD, which mean something else in other files
FLOW_TIMEOUT_SECS = 5  # short, so that flows do end before the capture does


class Binaries(NamedTuple):
    sanitized: str
    plain: str


class Failure(Exception):
    """What is wrong, in a sentence."""


def expect(condition, text):
    if not condition:
        raise Failure(text)


def run(binary, path, folder, names, *more):
    """names: of OUTPUTS."""
    os.makedirs(folder, exist_ok=True)
    arguments = ["-r", path, "--summary-json", os.path.join(folder, "summary.json"), "--quiet"]
    arguments += ["--flow-timeout-s", FLOW_TIMEOUT_SECS, "--anomalies"]
    for name in names:
        arguments += [OUTPUTS[name], os.path.join(folder, name)]
    result = flowlane_run.run_flowlane(binary, *arguments, *more)
    for _ in range(2):
        if result.cpu_secs <= cpu_limit(path):
            break
        # The machine may have been busy with something else: its best of three counts.
        result = flowlane_run.run_flowlane(binary, *arguments, *more)
    return result


def scratch_root():
    """A tmpfs, where there is one with room: a disk's file system may need a millisecond of CPU for each new file, and here it is flowlane's."""
    root = "/dev/shm"
    return root if os.path.isdir(root) and shutil.disk_usage(root).free >= SCRATCH_BYTES else None


def cpu_limit(path):
    return CPU_SECS_START + CPU_SECS_PER_MB * os.path.getsize(path) / 1e6


def check_run(result, path, what):
    """No matter what is in the file."""
    expect(result.sanitizer is None, f"{what}: {result.sanitizer}")
    expect(result.code in (0, 1, 2), f"{what}: exit code {result.code}")
    expect(result.code == 0 or result.stderr.strip(), f"{what}: exit code {result.code} without a word")
    expect(result.cpu_secs <= cpu_limit(path), f"{what}: {result.cpu_secs:.2f} s of CPU, allowed {cpu_limit(path):.2f}")


def check_ledger(folder, what):
    summary = flowlane_run.read_json(os.path.join(folder, "summary.json"))
    errors = flowlane_run.ledger_errors(summary)
    expect(not errors, f"{what}: ledger: {'; '.join(errors[:3])}")
    return summary


def check_same(folder, other, names, what):
    for name in names:
        paths = [os.path.join(directory, name) for directory in (folder, other)]
        if os.path.isdir(paths[0]):
            entries = sorted(os.listdir(paths[0]))
            expect(entries == sorted(os.listdir(paths[1])), f"{what}: {name} has other files")
            check_same(*paths, entries, f"{what}: {name}")
            continue
        with open(paths[0], "rb") as a, open(paths[1], "rb") as b:
            expect(a.read() == b.read(), f"{what}: {name} differs")


def check_packets(original, folder):
    """The pcap against the input. Time may lose the digits that the output does not have."""
    written = capture.read_capture(os.path.join(folder, "copy.pcap"))
    expect(not written.truncated and written.kind == "pcap", "pcap: not a whole pcap file")
    expect(len(written.packets) == len(original.packets), f"pcap: {len(written.packets)} of {len(original.packets)} packets")
    links = tuple(LINK_AS_WRITTEN.get(link, link) for link in original.links)
    expect(written.links == links, f"pcap: link type {written.links}, expected {links}")
    unit = 1 if written.nanoseconds else 1000
    # libpcap does not tell the resolution of pcapng interfaces: a finer one loses nothing.
    expect(written.nanoseconds or not original.nanoseconds, "pcap: coarser time stamps than the input")
    expect(original.kind != "pcap" or written.nanoseconds == original.nanoseconds, "pcap: another time resolution than the input")
    for number, (ours, theirs) in enumerate(zip(written.packets, original.packets), 1):
        ts_ns = theirs.ts_ns // unit * unit % PCAP_TIME_NS
        same = ours.data == theirs.data and ours.wire_len == theirs.wire_len and ours.ts_ns == ts_ns
        expect(same, f"pcap: packet {number} differs from the input")


def check_readers(folder, packets):
    path = os.path.join(folder, "copy.pcap")
    read = subprocess.run(["tcpdump", "-n", "-r", path, "-w", os.devnull], capture_output=True, text=True, timeout=60)
    complaints = [line for line in read.stderr.splitlines() if not line.startswith(("reading from file", "Warning: interface"))]
    expect(read.returncode == 0 and not complaints, f"tcpdump: {' '.join(complaints)}")
    read = subprocess.run(["capinfos", "-Trmc", path], capture_output=True, text=True, timeout=60)
    expect(read.returncode == 0 and not read.stderr.strip(), f"capinfos: {read.stderr.strip()}")
    expect(read.stdout.strip().split(",")[-1] == str(packets), f"capinfos: counts {read.stdout.strip()!r}, expected {packets}")


def check_tcpdump_copy(path, folder, packets):
    """tcpdump's own conversion of a pcapng must hold the packets that ours holds (tcpdump writes microseconds)."""
    copy = os.path.join(folder, "tcpdump.pcap")
    read = subprocess.run(["tcpdump", "-n", "-r", path, "-w", copy], capture_output=True, text=True, timeout=60)
    if read.returncode:
        return  # several link types, for one
    theirs = [p._replace(offset=0) for p in capture.read_capture(copy).packets]
    ours = [p._replace(offset=0, ts_ns=p.ts_ns // 1000 * 1000 % PCAP_TIME_NS) for p in packets]
    expect(ours == theirs, "pcap: tcpdump's conversion of the input holds other packets")


def check_variants(binaries, path, scratch, first, names, expected):
    """The same bytes, however they are computed."""
    gz = os.path.join(scratch, "input.gz")
    with open(path, "rb") as source:
        packed = source.read(2) == b"\x1f\x8b"  # then it is the unpacked copy
    with (gzip.open if packed else open)(path, "rb") as source, (open if packed else gzip.open)(gz, "wb") as target:
        shutil.copyfileobj(source, target)
    few = [name for name in list(OUTPUTS)[:4] if name in names]
    variants = [
        ("second run", binaries.plain, path, "1", few),
        ("2 lanes", binaries.sanitized, path, "2", names),
        ("3 lanes", binaries.plain, path, "3", names),
        ("gzip'ed copy", binaries.plain, gz, "1", few),
    ]
    for what, binary, source, lanes, names in variants:
        folder = os.path.join(scratch, "variant")
        result = run(binary, source, folder, names, "--lanes", lanes)
        check_run(result, path, what)
        expect(result.code == expected, f"{what}: exit code {result.code}: {result.stderr.strip()}")
        check_ledger(folder, what)
        check_same(first, folder, names, what)
        shutil.rmtree(folder)


def check_cut(binaries, path, scratch, original):
    """The end of the last record is missing: all before it counts."""
    with open(path, "rb") as f:
        data = f.read()
    if original.kind != "pcap" or original.truncated or data[:2] == b"\x1f\x8b" or not original.packets[-1].data:
        return
    cut = os.path.join(scratch, "cut.pcap")
    with open(cut, "wb") as f:
        f.write(data[:-1])
    folder = os.path.join(scratch, "cut")
    result = run(binaries.sanitized, cut, folder, ["flows.json"])
    check_run(result, path, "cut copy")
    summary = check_ledger(folder, "cut copy")
    expect(summary["truncated"] is True, "cut copy: the summary does not say so")
    expect(summary["packets_read"] == len(original.packets) - 1, f"cut copy: {summary['packets_read']} packets read")


def check_refusal(result, path):
    """Only for what flowlane does not decode, or libpcap does not read. Returns the reason."""
    reason = result.stderr.strip().splitlines()[-1].replace(path, "FILE")
    expect("FILE" in reason, f"exit code {result.code}, and the sentence does not name the file: {reason}")
    complaint = flowlane_run.libpcap_complaint(path)
    expected = set(capture.read_capture(path).links) - flowlane_run.LINKS or complaint
    expect(expected, f"refused although its link type is decoded, and libpcap reads it: {reason}")
    return reason.partition("FILE")[2].lstrip(": ").partition(",")[0].partition(";")[0]


def check_pcap(original, path, scratch, folder):
    check_packets(original, folder)
    check_readers(folder, len(original.packets))
    if original.kind == "pcapng":
        check_tcpdump_copy(path, scratch, original.packets)


def check_file(path, binaries, scratch):
    """None: checked; or why flowlane refused the file. Raises Failure."""
    first = os.path.join(scratch, "first")
    original = capture.read_capture(path)
    names = [name for name in OUTPUTS if name != "copy.pcap" or len(original.links) == 1]  # a pcap file has one link type
    result = run(binaries.sanitized, path, first, names)
    check_run(result, path, "first run")
    cut = original.truncated and result.code == 2 and "cut off inside" in result.stderr
    if result.code and not cut:
        return check_refusal(result, path)
    summary = check_ledger(first, "first run")
    expect(summary["truncated"] is cut, "the summary does not say that the input is cut off, or wrongly so")
    expect(summary["packets_read"] == len(original.packets), f"{summary['packets_read']} of {len(original.packets)} packets read")
    expect(summary["bytes_read"] == sum(p.wire_len for p in original.packets), "bytes_read is not the sum of the wire lengths")
    flows = exports.check_json(os.path.join(first, "flows.json"))
    exports.check_csv(os.path.join(first, "flows.csv"), flows)
    exports.check_expired(os.path.join(first, "expired.jsonl"))
    if "copy.pcap" in names:
        check_pcap(original, path, scratch, first)
    check_variants(binaries, path, scratch, first, names, result.code)
    if original.packets:
        check_cut(binaries, path, scratch, original)
    return None


def check_one(job, binaries):
    """(name, outcome, text); outcome is passed, refused or failed."""
    path, name = job
    with tempfile.TemporaryDirectory(dir=scratch_root()) as scratch:
        try:
            refused = check_file(path, binaries, scratch)
        except (Failure, exports.ExportError) as failure:
            return name, "failed", str(failure)
        except Exception:
            return name, "failed", traceback.format_exc().strip().replace("\n", " | ")[-400:]
    return name, "refused" if refused else "passed", refused


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="FILE")
    parser.add_argument("--flowlane", required=True, help="the binary, best one with sanitizers")
    plain = os.environ.get("FLOWLANE_PLAIN")
    parser.add_argument("--plain", default=plain, help="a second binary, for runs that only compare outputs (default: the first)")
    parser.add_argument("--every", type=int, default=corpus_every(), help="only every Nth file")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    missing = [tool for tool in ("tcpdump", "capinfos") if not shutil.which(tool)]
    if missing:
        print(f"SKIPPED: {', '.join(missing)} not installed (apt-get install tcpdump wireshark-common)")
        return SKIPPED
    files, why = corpus_files(arguments.files, arguments.every)
    if not files:
        print(f"SKIPPED: {why}")
        return SKIPPED
    sanitized = os.path.abspath(arguments.flowlane)
    binaries = Binaries(sanitized, os.path.abspath(arguments.plain) if arguments.plain else sanitized)
    start = time.monotonic()
    with multiprocessing.Pool(arguments.jobs) as pool:
        results = list(pool.imap(functools.partial(check_one, binaries=binaries), files, chunksize=4))
    outcomes = Counter(outcome for _, outcome, _ in results)
    print(f"{len(results)} captures: {outcomes['passed']} passed, {outcomes['refused']} refused, {outcomes['failed']} failed "
          f"({time.monotonic() - start:.0f} s)")  # fmt: skip
    for reason, number in Counter(text for _, outcome, text in results if outcome == "refused").most_common():
        print(f"  refused {number:4d}  {reason}")
    for name, outcome, text in results:
        if outcome == "failed":
            print(f"  FAILED  {name}: {text}")
    return 1 if outcomes["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
