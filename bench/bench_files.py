#!/usr/bin/env python3
"""File to flows: flowlane beside other tools on the same capture.

Usage: bench_files.py FLOWLANE CAPTURE PACKETS FLOWS ROUNDS DIRECTORY

All tools run once per round, one after the other, so that a disturbance of the machine meets all of them (the slow ones only in
the first rounds). Prints a table on standard error and one JSON line per tool on standard output. Times are medians; DIRECTORY
is for outputs, which are removed after each run.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time

SLOW = {"softflowd": 2, "nfpcapd": 2}  # rounds: they need many times as long as all others together

def tools(flowlane, capture, directory):
    """Name, command, remark. Order is that of the table."""
    out = lambda name: os.path.join(directory, name)
    table_size = str(1 << 22)
    yield "flowlane", [flowlane, "-r", capture], "summary only"
    yield "flowlane JSON+CSV", [flowlane, "-r", capture, "--export-json", out("f.json"), "--export-csv", out("f.csv")], "all flows written"
    yield "flowlane 2 lanes", [flowlane, "-r", capture, "--lanes", "2"], "summary only, two threads"
    yield "flowlane -w", [flowlane, "-r", capture, "-w", out("copy.pcap")], "and all packets written"
    yield "tcpdump -w /dev/null", ["tcpdump", "-r", capture, "-w", "/dev/null"], "reads and writes packets, no flows"
    yield "softflowd", ["softflowd", "-r", capture, "-d", "-c", "none", "-p", out("softflowd.pid"), "-m", table_size], "flows, nothing exported"
    yield "nfpcapd", ["nfpcapd", "-r", capture, "-w", out(""), "-B", table_size], "one-way flows, written as nfcapd"


def run_once(command):
    """Wall seconds, CPU seconds, peak RSS in bytes."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    message = process.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"bench_files.py: {' '.join(command)}: exit code {process.returncode}: {message.strip()[-500:]}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def empty(directory):
    for entry in os.scandir(directory):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)


def main():
    if len(sys.argv) != 7:
        sys.exit(__doc__)
    flowlane, capture, packets, flows, rounds, directory = sys.argv[1:]
    packets, flows, rounds = int(packets), int(flows), int(rounds)
    chosen = []
    for name, command, remark in tools(flowlane, capture, directory):
        if shutil.which(command[0]):
            chosen.append((name, command, remark))
        else:
            print(f"SKIPPED {name}: {command[0]} is not installed (scripts/deps.sh bench)", file=sys.stderr)
    runs = {name: [] for name, _, _ in chosen}
    for number in range(rounds):
        for name, command, _ in chosen:
            if number >= SLOW.get(name, rounds):
                continue
            runs[name].append(run_once(command))
            empty(directory)

    base = statistics.median(wall for wall, _, _ in runs["flowlane"])
    print(f"\n{'':22} {'Mpps':>7} {'ns/packet':>10} {'CPU ns':>7} {'peak MB':>8} {'time':>7}   ({packets} packets, {flows} flows, {rounds} rounds)", file=sys.stderr)
    for name, _, remark in chosen:
        wall = statistics.median(run[0] for run in runs[name])
        cpu = statistics.median(run[1] for run in runs[name])
        rss = max(run[2] for run in runs[name])
        print(f"{name:22} {packets / wall / 1e6:7.2f} {wall / packets * 1e9:10.1f} {cpu / packets * 1e9:7.1f} {rss / 1e6:8.0f} {wall / base:6.2f}x   {remark}", file=sys.stderr)
        print(json.dumps({
            "bench": "file", "tool": name, "flows": flows, "packets": packets, "ns_per_packet": round(wall / packets * 1e9, 1),
            "mpps": round(packets / wall / 1e6, 3), "wall_secs": round(wall, 3), "wall_secs_min": round(min(run[0] for run in runs[name]), 3),
            "cpu_secs": round(cpu, 3), "cpu_ns_per_packet": round(cpu / packets * 1e9, 1), "peak_rss_bytes": rss, "time_ratio": round(wall / base, 3), "rounds": len(runs[name]),
        }), flush=True)


if __name__ == "__main__":
    main()
