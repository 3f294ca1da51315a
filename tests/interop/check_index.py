#!/usr/bin/env python3
"""Packet indexes, judged by ldb, tshark and tcpdump, and by a reader of our own (metacap.py).

For each capture of the corpus: what ldb scans in the index must be, byte for byte, what metacap.py computes from the capture; and
what `flowlane extract` copies for a random flow must be what tcpdump copies.

    check_index.py --flowlane build/release/flowlane                      the short form, for the test command
    check_index.py --flowlane build/release/flowlane --every 1 --flows 1000
"""

import argparse
import concurrent.futures
import hashlib
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

import metacap
from capture import CaptureError, read_capture
from corpus import SKIPPED, corpus_every, corpus_files

EVERY = 4
FLOWS = 150
HTTP_CAP_SHA = "25a72bdf10339f2c29916920c8b9501d294923108de8f29b19aba7cc001ab60d"
PROTOCOLS = {6: "tcp", 17: "udp", 1: "icmp", 58: "icmp6", 132: "sctp"}


class Failure(Exception):
    pass


def scan(directory, family):
    """{key: value} as ldb sees them, without any option: no merge operator, no hint."""
    run = subprocess.run(
        ["ldb", f"--db={directory}", f"--column_family={family}", "--hex", "scan"], capture_output=True, text=True, timeout=120
    )
    if run.returncode:
        raise Failure(f"ldb scan of {family}: {run.stderr.strip() or run.stdout.strip()}")
    found, keys = {}, []
    for line in run.stdout.splitlines():
        key, value = line.split(" : ")
        keys.append(bytes.fromhex(key[2:]))
        found[keys[-1]] = bytes.fromhex(value[2:])
    if keys != sorted(set(keys)):
        raise Failure(f"{family}: keys are not in order, or twice")
    return found


def compare(name, got, want):
    if got == want:
        return
    for key in sorted(set(got) | set(want)):
        if got.get(key) != want.get(key):
            mine, theirs = (x.hex() if x else x for x in (got.get(key), want.get(key)))
            raise Failure(f"{name}: key {key.hex()}: flowlane {mine}, expected {theirs}")


def make_index(binary, path, directory, *options):
    run = subprocess.run(
        [binary, "-r", path, "--export-rocksdb", directory, "--quiet", *options], capture_output=True, text=True, timeout=300
    )
    if "Sanitizer" in run.stderr or "runtime error" in run.stderr or run.returncode not in (0, 1, 2):
        raise Failure(f"flowlane: {run.returncode} {run.stderr.strip()}")
    return run


def check_index(binary, path, scratch):
    """The expected families, and the number of packets; None: flowlane says why there is no index of this file."""
    directory = os.path.join(scratch, "index")
    try:
        capture = read_capture(path)
    except (CaptureError, EOFError, OSError, struct.error):
        return None
    families = metacap.expected(capture)
    run = make_index(binary, path, directory, *(["--outer"] if families.tunnels else []))
    if not os.path.isdir(directory):
        if run.returncode == 0 or not run.stderr:
            raise Failure("no index, and no word why")
        return None
    if run.returncode and not capture.truncated and "damaged" not in run.stderr:
        raise Failure(f"exit code {run.returncode}: {run.stderr.strip()}")
    if run.returncode and "damaged" in run.stderr:
        return None  # how far damage is read is not for an index to say
    names = subprocess.run(["ldb", f"--db={directory}", "list_column_families"], capture_output=True, text=True, timeout=60).stdout
    if "{default, flows, packets}" not in names:
        raise Failure(f"ldb list_column_families: {names}")
    compare("flows", scan(directory, "flows"), families.flows)
    compare("packets", scan(directory, "packets"), families.packets)
    return families, capture


# --- extraction -------------------------------------------------------------------------------------------------------------


def address(raw, family):
    return socket.inet_ntop(socket.AF_INET if family == 1 else socket.AF_INET6, raw[: 4 if family == 1 else 16])


def flow_text(key):
    protocol, source, destination, sport, dport, family = struct.unpack("<H16s16sHHH", key)
    ends = []
    for raw, port in ((source, sport), (destination, dport)):
        text = address(raw, family)
        text = f"[{text}]" if family == 2 else text
        ends.append(f"{text}:{port}" if protocol in metacap.PORTS else text)
    return f"{ends[0]}-{ends[1]}/{PROTOCOLS.get(protocol, protocol)}"


def filter_text(key):
    """The same flow for tcpdump; None: libpcap has no words for it."""
    protocol, source, destination, sport, dport, family = struct.unpack("<H16s16sHHH", key)
    if protocol not in (6, 17) or not sport or not dport:
        return None
    ends = f"src host {address(source, family)} and dst host {address(destination, family)}"
    return f"{PROTOCOLS[protocol]} and {ends} and src port {sport} and dst port {dport}"


def records(path):
    capture = read_capture(path)
    return capture.links, [(p.ts_ns, p.wire_len, p.data) for p in capture.packets]


def extract(binary, directory, out, *options):
    run = subprocess.run([binary, "extract", "--index", directory, "-w", out, "-q", *options], capture_output=True, text=True, timeout=60)
    if run.returncode:
        raise Failure(f"extract {' '.join(options)}: {run.returncode} {run.stderr.strip()}")


def check_extract(binary, path, scratch, families, capture, key, judge):
    """One way of one flow: the frames that the index points to; and for those that it has words for, what tcpdump finds."""
    directory, out = os.path.join(scratch, "index"), os.path.join(scratch, "out.pcap")
    extract(binary, directory, out, "--pcap", path, "--flow", flow_text(key))
    value = families.packets[key]
    numbers = [struct.unpack_from("<I", value, 4 + 56 * i)[0] for i in range((len(value) - 4) // 56)]
    unit = 1 if capture.nanoseconds else 1000
    # A pcap file cannot hold later seconds than the last of 2106.
    times = [min(capture.packets[n - 1].ts_ns // unit, (2**32 * 10**9 - 1) // unit) * unit for n in numbers]
    late = {n for n in numbers if capture.packets[n - 1].ts_ns >= 2**32 * 10**9}
    want = [(ts, capture.packets[n - 1].wire_len, capture.packets[n - 1].data) for n, ts in zip(numbers, times)]
    _, got = records(out)
    if got != want and not (late and [g[1:] for g in got] == [w[1:] for w in want]):
        raise Failure(f"extract of {flow_text(key)}: {len(got)} frames, expected {len(want)}, or others")
    words = filter_text(key) if judge and capture.kind == "pcap" and not families.tunnels else None
    # libpcap cuts frames that are longer than the file's header allows.
    if not words or capture.truncated or max(len(p.data) for p in capture.packets) > (capture.snaplen or 262144):
        return 0
    theirs = os.path.join(scratch, "tcpdump.pcap")
    precision = "--time-stamp-precision=" + ("nano" if capture.nanoseconds else "micro")
    # -Z root: what tcpdump writes stays ours
    run = subprocess.run(["tcpdump", "-Z", "root", precision, "-r", path, "-w", theirs, words], capture_output=True, text=True, timeout=60)
    if run.returncode:
        return 0
    with open(out, "rb") as mine, open(theirs, "rb") as other:
        if mine.read()[24:] == other.read()[24:]:
            return 1
    # libpcap's filter sees neither through a tag nor into an 802.2 header: then it has fewer, and is no judge. And it takes frames whose
    # headers are broken behind the ports, which are in no flow.
    broken = {p.data for p in capture.packets if metacap.view(p) is None}
    theirs = [frame for frame in records(theirs)[1] if frame[2] not in broken]
    if theirs != got and len(theirs) >= len(got):
        raise Failure(f"extract of {flow_text(key)}: {len(got)} frames, tcpdump {len(theirs)}, or others")
    return 0


def check_file(task):
    binary, path, name, flows, seed = task
    scratch = tempfile.mkdtemp(prefix="flowlane-index-")
    counts = {"indexes": 0, "flows": 0, "packets": 0, "extracted": 0, "judged": 0, "refused": 0, "error": None}
    try:
        made = check_index(binary, path, scratch)
        if made is None:
            counts["refused"] = 1
            return counts
        families, capture = made
        counts.update(indexes=1, flows=len(families.flows), packets=sum(struct.unpack_from("<i", v)[0] for v in families.packets.values()))
        # Frames of several link types do not fit into one pcap.
        keys = sorted(families.flows) if len({p.link for p in capture.packets}) == 1 else []
        chosen = random.Random(seed).sample(keys, min(flows, len(keys)))
        for key in chosen:
            counts["judged"] += check_extract(binary, path, scratch, families, capture, key, True)
            counts["extracted"] += 1
    except (Failure, subprocess.TimeoutExpired) as failure:
        counts["error"] = f"{name}: {failure}"
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return counts


# --- the example of the format ------------------------------------------------------------------------------------------------

# The six flows of Wireshark's http.cap, as the format's document has them; "blocks" (bytes 28 to 31) is ours: 1 for each.
EXAMPLE = """
060041D0E4DF00000000000000000000000091FEA0ED00000000000000000000000050002C0D0100 904B000000000000120000007E85DD7DFC000000A8F8DD7DFC000000
060091FEA0ED00000000000000000000000041D0E4DF0000000000000000000000002C0D50000100 470500000000000010000000EF81DD7DFC0000005EF7DD7DFC000000
060091FEA0ED000000000000000000000000D8EF3B630000000000000000000000002B0D50000100 730300000000000003000000978DDD7DFC0000009894DD7DFC000000
0600D8EF3B6300000000000000000000000091FEA0ED00000000000000000000000050002B0D0100 A40C000000000000040000002C90DD7DFC0000009894DD7DFC000000
110091FD02CB00000000000000000000000091FEA0ED0000000000000000000000003500C10B0100 BC0000000000000001000000518DDD7DFC000000518DDD7DFC000000
110091FEA0ED00000000000000000000000091FD02CB000000000000000000000000C10B35000100 590000000000000001000000E88BDD7DFC000000E88BDD7DFC000000
"""
EXAMPLE_PACKET = (
    "01000000 0D000000 59000000 EF1A000000000000 E88BDD7DFC000000 00000000 59000000 0E000000 4B000000 22000000 37000000 2A000000 2F000000"
)


def check_example(binary):
    """Needs http.cap, which is not ours: $FLOWLANE_HTTP_CAP names it."""
    path = os.environ.get("FLOWLANE_HTTP_CAP")
    if not path or not os.path.exists(path):
        print("SKIPPED: the format's example: FLOWLANE_HTTP_CAP does not name Wireshark's http.cap")
        return None
    with open(path, "rb") as f:
        if hashlib.sha256(f.read()).hexdigest() != HTTP_CAP_SHA:
            return f"{path} is not the http.cap of the example"
    with tempfile.TemporaryDirectory(prefix="flowlane-index-") as scratch:
        directory = os.path.join(scratch, "index")
        make_index(binary, path, directory)
        want = {}
        for line in EXAMPLE.split("\n"):
            if line:
                key, value = (bytes.fromhex(x) for x in line.split())
                want[key] = value + struct.pack("<III", 1, 0, 0)
        try:
            compare("example, flows", scan(directory, "flows"), want)
            last = max(want)
            if scan(directory, "packets")[last] != bytes.fromhex(EXAMPLE_PACKET):
                return "example: the packets of the last flow are others"
        except Failure as failure:
            return str(failure)
    print("the six flows of the format's example: as its document has them")
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flowlane", required=True)
    parser.add_argument("--every", type=int, default=EVERY * corpus_every(), help="take every N-th capture (default %(default)s)")
    parser.add_argument("--flows", type=int, default=FLOWS, help="flows to extract, in all (default %(default)s)")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("captures", nargs="*")
    options = parser.parse_args()
    for tool in ("ldb", "tcpdump"):
        if not shutil.which(tool):
            print(f"SKIPPED: {tool} is not installed")
            return SKIPPED
    error = check_example(options.flowlane)
    files, why = corpus_files(options.captures, options.every)
    if not files and not error:
        print(f"SKIPPED: {why}")
        return SKIPPED
    files = [(path, name) for path, name in files if not path.endswith(".gz")]
    each = -(-options.flows // max(len(files), 1)) + 1
    tasks = [(options.flowlane, path, name, each, number) for number, (path, name) in enumerate(files)]
    total = {"indexes": 0, "flows": 0, "packets": 0, "extracted": 0, "judged": 0, "refused": 0}
    errors = [error] if error else []
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
        for counts in pool.map(check_file, tasks):
            if counts["error"]:
                errors.append(counts["error"])
                print(f"FAILED: {counts['error'][:2000]}", flush=True)
            for name in total:
                total[name] += counts[name]
    print(
        f"{len(files)} captures: {total['indexes']} indexes as computed ({total['flows']} one-way flows, {total['packets']} packets), "
        f"{total['refused']} without one; {total['extracted']} flows extracted, {total['judged']} of them also by tcpdump; "
        f"{len(errors)} failed"
    )
    return 1 if errors or not total["indexes"] else 0


if __name__ == "__main__":
    sys.exit(main())
