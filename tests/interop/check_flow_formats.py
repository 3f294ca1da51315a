#!/usr/bin/env python3
"""pipe, nfcapd, csv_flow, binary, hist and series, judged by nfdump, nfpcapd and readers of our own.

A capture that is made here is what everything is known of; captures of the corpus must at least make nfdump read without a word
what the pipe file says, too.
"""

import argparse
import collections
import os
import shutil
import subprocess
import sys
import tempfile

import flow_formats
import long_capture
from corpus import SKIPPED, corpus_every, corpus_files

PACKETS = 60000
problems = []


def check(holds, what):
    if not holds:
        problems.append(what)
        print(f"FAILED: {what}")


def nfdump(path, *arguments, option="-r"):
    """Standard output; a word on standard error or an exit code is a failure."""
    run = subprocess.run(["nfdump", option, path, "-q", *arguments], capture_output=True, text=True, timeout=120, check=False)
    check(run.returncode == 0 and not run.stderr, f"nfdump {' '.join(arguments)} of {path}: {run.returncode} {run.stderr.strip()}")
    return run.stdout


CLASSES = {6: "tcp", 17: "udp", 1: "icmp", 58: "icmp"}


def stat_of(lines):
    """What the stat record must say of these pipe lines, in the words of nfdump -I."""
    stat = collections.Counter()
    for line in lines:
        fields = line.split("|")
        name = CLASSES.get(int(fields[3]), "other")
        for what, amount in (("Flows", 1), ("Packets", int(fields[20])), ("Bytes", int(fields[21]))):
            stat[what] += amount
            stat[f"{what}_{name}"] += amount
    first, last = min(int(line.split("|")[1]) for line in lines), max(int(line.split("|")[2]) for line in lines)
    stat.update({"First": first // 1000, "msec_first": first % 1000, "Last": last // 1000, "msec_last": last % 1000})
    return {what: n for what, n in stat.items() if n}


def check_stat(path, lines, name):
    text = nfdump(path, "-I")
    got = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    check(got.pop("Ident", None) == "none", f"{name}: nfdump -I of {path} shows no ident")
    got = {what: int(n) for what, n in got.items() if int(n)}
    if lines:
        check(got == stat_of(lines), f"{name}: the stat record of {path} is {got}, and must be {stat_of(lines)}")


def check_nfcapd(directory, pipe_text, name):
    """nfdump verifies and reads every file, alone and as a directory; all lines together are those of the pipe file, and so is the
    sum of each stat record."""
    lines = []
    entries = sorted(os.listdir(directory))
    for entry in entries:
        path = os.path.join(directory, entry)
        verify = subprocess.run(["nfdump", "-v", path], capture_output=True, text=True, timeout=120, check=False)
        check(verify.returncode == 0 and not verify.stderr, f"{name}: nfdump -v of {entry}: {verify.stderr.strip()}")
        of_file = [line for line in nfdump(path, "-o", "pipe").splitlines() if line != "No matching flows"]
        check_stat(path, of_file, name)
        nfdump(path, "-o", "json")
        lines += of_file
    check(sorted(lines) == sorted(pipe_text.splitlines()), f"{name}: nfdump -o pipe is not our pipe file")
    if entries:
        whole = nfdump(directory, "-o", "pipe", option="-R").splitlines()
        check(sorted(line for line in whole if line != "No matching flows") == sorted(lines), f"{name}: nfdump -R reads something else")
    return lines


def run_flowlane(binary, capture, directory, *options):
    names = {"pipe": "x.pipe", "nfcapd": "nf", "csv-flow": "x.csv", "binary": "bin", "hist": "hist", "series": "series"}
    paths = {name: os.path.join(directory, path) for name, path in names.items()}
    exports = [argument for name, path in paths.items() for argument in (f"--export-{name}", path)]
    run = subprocess.run(
        [binary, "-r", capture, "--quiet", *exports, *options], capture_output=True, text=True, timeout=300, check=False
    )
    return run, paths


# --- the capture that is made here ------------------------------------------------------------------------------------------


def address(raw):
    return tuple(int.from_bytes(raw.rjust(16, b"\0")[i : i + 4], "big") for i in range(0, 16, 4))


def expected_rows(packets, idle_ms, active_ms):
    """The rule of one-way flows: silent for longer than idle, another flow; longer than active since its first packet, another piece."""
    directions = collections.defaultdict(list)
    for packet in packets:
        key = (packet.af, packet.prot, *address(packet.src), *address(packet.dst), packet.sp, packet.dp)
        directions[key].append(packet)
    rows, pieces = [], []
    for key, row in directions.items():
        begin = piece = 0
        aggs = 1
        for i, packet in enumerate(row):
            last = i + 1 == len(row)
            idle = not last and row[i + 1].ms - packet.ms > idle_ms
            active = not last and row[i + 1].ms - row[piece].ms > active_ms
            if last or idle or active:
                pieces.append((key, row[piece].ms, packet.ms, i + 1 - piece, sum(p.octets for p in row[piece : i + 1])))
                piece = i + 1
            if last or idle:
                rows.append((key, row[begin].ms, packet.ms, i + 1 - begin, sum(p.octets for p in row[begin : i + 1]), aggs))
                begin, aggs = i + 1, 1
            elif active:
                aggs += 1
    return sorted(rows), sorted(pieces)


def row_as_expected(row):
    key = (row.af, row.prot, *row[4:12], row.sp, row.dp)
    return key, row.first * 1000 + row.first_ms, row.last * 1000 + row.last_ms, row.packets, row.octets, row.aggs


def check_rows(paths, packets, idle_ms, active_ms, name):
    rows = flow_formats.read_csv_flow(paths["csv-flow"])
    want, want_pieces = expected_rows(packets, idle_ms, active_ms)
    check(sorted(map(row_as_expected, rows)) == want, f"{name}: csv_flow is not what the packets say ({len(rows)}, {len(want)} flows)")
    with open(paths["pipe"], encoding="ascii") as file:
        pipe_text = file.read()
    pieces = []
    for key, first, last, _flags, _tos, count, octets in flow_formats.read_pipe(pipe_text):
        af, prot, sa0, sa1, sa2, sa3, sp, da0, da1, da2, da3, dp = key
        pieces.append(((af, prot, sa0, sa1, sa2, sa3, da0, da1, da2, da3, sp, dp), first, last, count, octets))
    check(sorted(pieces) == want_pieces, f"{name}: pipe is not what the packets say ({len(pieces)}, {len(want_pieces)} pieces)")
    binary = []
    for entry in sorted(os.listdir(paths["binary"])):
        binary += flow_formats.read_binary(os.path.join(paths["binary"], entry))
    check(binary == rows, f"{name}: binary is not csv_flow")
    for what, value_of in flow_formats.HISTOGRAMS.items():
        with open(os.path.join(paths["hist"], f"{what}.csv"), encoding="ascii") as file:
            check(file.read() == flow_formats.histogram(rows, value_of, 12), f"{name}: hist {what} is not that of csv_flow")
    return rows, pipe_text


def check_series(directory, packets, rows, name):
    want = {"flows": collections.Counter(), "packets": collections.Counter(), "octets": collections.Counter()}
    for row in rows:
        want["flows"][row.first] += 1
    for packet in packets:
        want["packets"][packet.ms // 1000] += 1
        want["octets"][packet.ms // 1000] += packet.octets
    for what, counter in want.items():
        got = {}
        for entry in os.listdir(directory):
            if entry.endswith("." + what):
                day = int(entry.split(".")[0])
                got.update({day * 86400 + s: n for s, n in flow_formats.read_series(os.path.join(directory, entry)).items()})
        check(got == dict(counter), f"{name}: series of {what} is not what the packets say")


def check_json(directory, name):
    text = "".join(nfdump(os.path.join(directory, entry), "-o", "json") for entry in sorted(os.listdir(directory)))
    for word in ('"in_src_mac" : "02:00:00:00:00:01"', '"src_vlan" : 100', '"cli_latency"', '"srv_latency"', '"src6_addr"'):
        check(word in text, f"{name}: nfdump -o json does not show {word}")


def check_nfpcapd(capture, scratch, packets):
    """Another exporter on the same capture. It has no ports for SCTP, and writes a record per packet of ICMP and of UDP port 53."""
    directory = os.path.join(scratch, "nfpcapd")
    os.mkdir(directory)
    run = subprocess.run(
        ["nfpcapd", "-r", capture, "-l", directory, "-e", "300,60"], capture_output=True, text=True, timeout=120, check=False
    )
    if run.returncode:
        return check(False, f"nfpcapd: exit code {run.returncode}")
    theirs, ours = collections.defaultdict(lambda: [0, 0]), collections.defaultdict(lambda: [0, 0])
    for entry in sorted(os.listdir(directory)):
        for key, _first, _last, _flags, _tos, count, octets in flow_formats.read_pipe(
            nfdump(os.path.join(directory, entry), "-o", "pipe").replace("No matching flows\n", "")
        ):
            theirs[key][0] += count
            theirs[key][1] += octets
    for packet in packets:
        ports = (0, 0) if packet.prot == 132 else (packet.sp, packet.dp)
        key = (packet.af, packet.prot, *address(packet.src), ports[0], *address(packet.dst), ports[1])
        ours[key][0] += 1
        ours[key][1] += packet.octets
    return check(dict(theirs) == dict(ours), "nfpcapd counts other packets or octets per 5-tuple")


def convert(binary, *arguments):
    run = subprocess.run([binary, "convert", "--quiet", *arguments], capture_output=True, text=True, timeout=300, check=False)
    check(run.returncode == 0 and not run.stderr, f"convert {' '.join(arguments)}: {run.returncode} {run.stderr.strip()}")


def read_lines(path):
    with open(path, encoding="ascii") as file:
        return sorted(file)


def check_convert(binary, paths, scratch, timeouts):
    """Through every format and back; and pieces joined are what the sensor says of whole flows."""
    files = [os.path.join(paths["nfcapd"], entry) for entry in sorted(os.listdir(paths["nfcapd"]))]
    out = os.path.join(scratch, "converted")
    os.mkdir(out)
    convert(binary, "--to", "pipe", f"{out}/pipe", *files)
    check(read_lines(f"{out}/pipe") == read_lines(paths["pipe"]), "convert: nfcapd to pipe is not our pipe file")
    convert(binary, "--to", "binary", f"{out}/bin", paths["csv-flow"])
    convert(binary, "--to", "nfcapd", "--nfcapd-compress", "bz2", f"{out}/nfcapd", f"{out}/bin")
    convert(binary, "--to", "csv_flow", f"{out}/csv", f"{out}/nfcapd")
    with open(f"{out}/csv", "rb") as got, open(paths["csv-flow"], "rb") as want:
        check(got.read() == want.read(), "convert: csv_flow to binary to nfcapd to csv_flow is not the same")
    verify = subprocess.run(["nfdump", "-v", f"{out}/nfcapd"], capture_output=True, text=True, timeout=120, check=False)
    check(verify.returncode == 0 and not verify.stderr, f"convert: nfdump -v: {verify.stderr.strip()}")
    shutil.copytree(paths["nfcapd"], f"{out}/lzo")
    for entry in os.listdir(f"{out}/lzo"):
        subprocess.run(["nfdump", "-J", "1", "-r", f"{out}/lzo/{entry}"], capture_output=True, timeout=120, check=True)
    convert(binary, "--to", "pipe", f"{out}/lzo.pipe", f"{out}/lzo")
    check(read_lines(f"{out}/lzo.pipe") == read_lines(paths["pipe"]), "convert: a folder that nfdump compressed with LZO is not our pipe file")
    convert(binary, "--to", "csv_flow", "--merge", *timeouts, f"{out}/merged", *files)
    check(read_lines(f"{out}/merged") == read_lines(paths["csv-flow"]), "convert --merge: pieces joined are not our csv_flow")


def check_made(binary, scratch):
    capture = os.path.join(scratch, "long.pcap")
    packets = long_capture.make_capture(capture, PACKETS, 1)
    for name, idle, active in (("60/300", 60, 300), ("15/60", 15, 60)):
        reference = None
        for lanes in (1, 3):
            directory = os.path.join(scratch, f"{idle}-{lanes}")
            os.mkdir(directory)
            run, paths = run_flowlane(
                binary, capture, directory, "--lanes", str(lanes), "--flow-timeout-s", str(idle), "--active-timeout-s", str(active)
            )
            check(run.returncode == 0 and not run.stderr, f"{name}, {lanes} lanes: {run.returncode} {run.stderr.strip()}")
            if reference:
                same = subprocess.run(["diff", "-r", reference, directory], capture_output=True, check=False)
                check(same.returncode == 0, f"{name}: {lanes} lanes write something else than one")
                continue
            reference = directory
            rows, pipe_text = check_rows(paths, packets, idle * 1000, active * 1000, name)
            check_nfcapd(paths["nfcapd"], pipe_text, name)
            check_series(paths["series"], packets, rows, name)
            check_json(paths["nfcapd"], name)
            if idle == 60:
                check_convert(binary, paths, scratch, ("--inactive-timeout-s", "60", "--active-timeout-s", "300"))
            print(f"{name}: {len(packets)} packets, {len(rows)} flows, {len(pipe_text.splitlines())} pieces")
    check_nfpcapd(capture, scratch, packets)


def check_corpus(binary, scratch, every, compressions):
    files, why = corpus_files(every=every)
    if why:
        print(f"the corpus is left out: {why}")
        return
    for compression in compressions:
        records = captures = 0
        for path, name in files:
            directory = os.path.join(scratch, "corpus")
            shutil.rmtree(directory, ignore_errors=True)
            os.mkdir(directory)
            _, paths = run_flowlane(binary, path, directory, "--active-timeout-s", "5", "--nfcapd-compress", compression)
            if not os.path.exists(paths["pipe"]):
                continue  # not readable at all: other tests look at that
            captures += 1
            with open(paths["pipe"], encoding="ascii") as file:
                records += len(check_nfcapd(paths["nfcapd"], file.read(), f"{name}, {compression}"))
        print(f"corpus, {compression}: {captures} captures of {len(files)}, {records} records")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flowlane", required=True)
    parser.add_argument("--every", type=int, default=10 * corpus_every(), help="captures of the corpus, 1: all (default %(default)s)")
    parser.add_argument("--compress", nargs="+", default=["none", "lz4", "bz2"], help="of the nfcapd files (default: all three)")
    arguments = parser.parse_args()
    if not shutil.which("nfdump") or not shutil.which("nfpcapd"):
        print("SKIPPED: nfdump is not installed (apt-get install nfdump)")
        return SKIPPED
    help_text = subprocess.run(["nfdump", "-V"], capture_output=True, text=True, check=False)
    if "1.7." not in help_text.stdout + help_text.stderr:
        print("SKIPPED: this nfdump is not 1.7, whose files and pipe format these are")
        return SKIPPED
    with tempfile.TemporaryDirectory(prefix="flowlane-formats-") as scratch:
        check_made(arguments.flowlane, scratch)
        check_corpus(arguments.flowlane, scratch, arguments.every, arguments.compress)
    print(f"{len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
