#!/usr/bin/env python3
"""nfpcapd, of nfdump, and flowlane --outer on the same captures of the corpus: packets and octets per one-way 5-tuple.

What differs must have one of the causes named here, all of them things that nfpcapd does not look at. Every packet that it counts must
be in our records, too: a tuple of which it has more than we, for no cause, is a failure.
"""

import argparse
import collections
import os
import shutil
import subprocess
import sys
import tempfile

import flow_formats
from corpus import SKIPPED, corpus_files

EXTENSIONS = {0, 43, 44, 50, 51, 59, 60, 135}  # IPv6 extension headers, and none
PORTS = {33, 132, 136}  # DCCP, SCTP, UDP-Lite: with ports, which nfpcapd does not read
TUNNELS = {4, 41, 47}  # it looks into these itself, and writes a record of their own for them

CAUSES = {
    "extension": "IPv6 extension headers: it takes the first one for the protocol",
    "ports": "SCTP, DCCP, UDP-Lite: it reads no ports",
    "tunnel": "GRE, IP in IP: it goes into these, and not on behind them",
    "fragments": "IP fragments: it counts a datagram once, under its ports",
    "length": "an IP length of 0 (segmentation offload), or longer than the packet: it counts what the header says",
    "left out": "packets that it leaves out: cut, damaged, in SNAP, in MPLS, in a link layer or block of the file that it does not read",
    "not decoded": "packets that we do not decode (the summary names why), and it does",
}


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=300, check=False)


def sums(text):
    result = collections.defaultdict(lambda: (0, 0))
    for key, _first, _last, _flags, _tos, packets, octets in flow_formats.read_pipe(text):
        if packets:  # a record with a tunnel prints a line of zeros besides
            result[key] = (result[key][0] + packets, result[key][1] + octets)
    return dict(result)


def of_flowlane(binary, capture, folder):
    """Sums, and how many packets were not decoded; None: it does not read it."""
    path = os.path.join(folder, "pipe")
    ran = run(binary, "-q", "-r", capture, "--outer", "--export-pipe", path, "--summary-json", os.path.join(folder, "summary"))
    if ran.returncode or not os.path.exists(path):
        return None, 0
    with open(path, encoding="ascii") as file:
        ours = sums(file.read())
    with open(os.path.join(folder, "summary"), encoding="ascii") as file:
        text = file.read()
    read, decoded = (int(text.split(f'"{name}": ')[1].split(",")[0]) for name in ("packets_read", "packets_decoded"))
    return ours, read - decoded


def of_nfpcapd(capture, folder):
    directory = os.path.join(folder, "nfpcapd")
    os.mkdir(directory)
    if run("nfpcapd", "-r", capture, "-l", directory, "-e", "300,60").returncode:
        return None
    text = ""
    for entry in sorted(os.listdir(directory)):
        text += run("nfdump", "-r", os.path.join(directory, entry), "-q", "-o", "pipe").stdout.replace("No matching flows\n", "")
    return sums(text)


def cause_of(key, ours, theirs, all_ours, all_theirs, undecoded):
    """Why a tuple differs; None: there is no reason that it should."""
    addresses = (key[2:6], key[7:11])
    keys = [other for other in (*all_ours, *all_theirs) if (other[2:6], other[7:11]) == addresses]
    if key[0] == 10 and any(other[1] in EXTENSIONS for other in keys):
        return "extension"
    if key[1] in PORTS:
        return "ports"
    if any(other[1] in TUNNELS for other in (*all_ours, *all_theirs)):
        return "tunnel"
    if ours[0] > theirs[0] > 0 or any(other[1] == key[1] and (other[6], other[11]) == (0, 0) for other in keys):
        return "fragments"
    if ours[0] == theirs[0]:
        return "length"
    if ours[0] > theirs[0]:
        return "left out"
    return "not decoded" if theirs[0] - ours[0] <= undecoded else None


def compare(binary, capture, folder):
    """The outcome of one capture: "equal", "unread", or its causes by number of tuples."""
    ours, undecoded = of_flowlane(binary, capture, folder)
    theirs = None if ours is None else of_nfpcapd(capture, folder)
    if theirs is None:
        return "unread", {}
    causes = collections.Counter()
    for key in {**ours, **theirs}:
        pair = ours.get(key, (0, 0)), theirs.get(key, (0, 0))
        if pair[0] != pair[1]:
            causes[cause_of(key, *pair, ours, theirs, undecoded)] += 1
    return ("differs", causes) if causes else ("equal", {})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flowlane", required=True)
    parser.add_argument("--every", type=int, default=1, help="captures of the corpus (default: all)")
    parser.add_argument("--verbose", action="store_true", help="a line for each capture that differs")
    arguments = parser.parse_args()
    if not shutil.which("nfpcapd") or not shutil.which("nfdump"):
        print("SKIPPED: nfdump is not installed (apt-get install nfdump)")
        return SKIPPED
    files, why = corpus_files(every=arguments.every)
    if why:
        print(f"SKIPPED: {why}")
        return SKIPPED
    outcomes, captures, tuples, failed = collections.Counter(), collections.Counter(), collections.Counter(), 0
    for path, name in files:
        with tempfile.TemporaryDirectory(prefix="flowlane-nfpcapd-") as folder:
            outcome, causes = compare(arguments.flowlane, path, folder)
        outcomes[outcome] += 1
        tuples.update(causes)
        captures.update(set(causes))
        failed += None in causes
        if None in causes or (causes and arguments.verbose):
            print(f"{name}: {', '.join(f'{cause} {n}' for cause, n in causes.items())}")
    print(f"{len(files)} captures: {outcomes['equal']} equal, {outcomes['differs']} differ, {outcomes['unread']} not read by one of the two")
    for cause, text in CAUSES.items():
        print(f"{captures[cause]:5} captures, {tuples[cause]:6} tuples: {text}")
    print(f"{failed} captures differ without a cause")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
