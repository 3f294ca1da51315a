#!/usr/bin/env python3
"""What selection in XDP costs and saves, on a veth pair of its own (scripts/netns.sh): called by scripts/bench_prefilter.sh.

Usage: bench_prefilter.py BUILD_DIRECTORY [--rounds N] [--seconds S] [--only NAME]

Three ratios, each of two runs in turns, and the median over the rounds of the ratios of each round:

  reject   time per packet of an expression that rejects 99 % (--exclusive), to that of a program that is nothing but XDP_DROP
  accept   time per packet of an expression that accepts all, to no expression
  cutoff   CPU time of the lane with --flow-cutoff 10k, to without; 90 % of the packets are of 200 elephants, the others of flows of 8
           packets; at half a million packets a second, and flat out

Time per packet is that of the generator, on whose CPU the XDP program runs on a veth pair. JSON lines on standard output.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

from bench_live import NETNS, Bench, say

FLOWS = 100  # one of which the filter takes
REJECT = "udp and host 10.0.0.7"
ACCEPT = "udp and net 10.0.0.0/8"


class PrefilterBench(Bench):
    def __enter__(self):
        subprocess.run([NETNS, "up", self.name, "1"], check=True)
        return self

    def __exit__(self, *_):
        self.leave()

    def receive(self, *args):
        return self.start("mon", "flowlane", "-q", "-i", "mon0", "--cpus", self.cpus[-1], "--summary-json", "summary.json", "--export-csv", "flows.csv", *args)

    def measure(self, child, *generate):
        """The generator's and, if the child is flowlane, its counts."""
        self.wait_attached(child)
        sent = json.loads(self.end(self.start("src", "live_gen", "-i", "src0", "--cpu", self.cpus[0], *generate)))
        time.sleep(0.2)
        self.end(child, stop=True)
        summary = None
        if os.path.exists(os.path.join(self.folder, "summary.json")):
            with open(os.path.join(self.folder, "summary.json")) as file:
                summary = json.load(file)
        for name in os.listdir(self.folder):
            os.unlink(os.path.join(self.folder, name))
        return sent, summary

    def pace(self, child, seconds):
        """ns per packet that the link took."""
        sent, summary = self.measure(child, "--flows", FLOWS, "--duration", seconds)
        return 1e9 * sent["seconds"] / sent["sent"], sent, summary

    def reject(self, seconds):
        floor, _, _ = self.pace(self.start("mon", "live_floor", "-i", "mon0", "--drop"), seconds)
        mine, sent, summary = self.pace(self.receive("--exclusive", REJECT), seconds)
        queues = summary["capture"]["queues"]
        rejected = sum(queue["filtered"] for queue in queues)
        if sum(queue["seen"] for queue in queues) != sent["sent"] or not 0.985 < rejected / sent["sent"] < 0.995:
            sys.exit(f"bench_prefilter.py: {rejected} of {sent['sent']} rejected: {queues}")
        return floor, mine

    def accept(self, seconds):
        floor, _, _ = self.pace(self.receive(), seconds)
        mine, sent, summary = self.pace(self.receive(ACCEPT), seconds)
        if sum(queue["filtered"] for queue in summary["capture"]["queues"]):
            sys.exit("bench_prefilter.py: the expression should accept all")
        return floor, mine

    def elephants(self, seconds, rate):
        """Lane CPU ns per packet that the link took."""
        results = []
        for more in [], ["--flow-cutoff", "10000"]:
            generate = ["--flows", 200, "--elephants", 90, "--size", 1000, "--duration", seconds, "--rate", rate]
            sent, summary = self.measure(self.receive(*more), *generate)
            results.append(sum(lane["cpu_secs"] for lane in summary["lanes"]) * 1e9 / sent["sent"])
            cut_off = sum(queue["cut_off"] for queue in summary["capture"]["queues"]) / sent["sent"]
            if more and not 0.85 < cut_off < 0.9:
                sys.exit(f"bench_prefilter.py: {cut_off:.3f} of the packets were cut off, not about 0.89")
        return tuple(results)

    def cutoff(self, seconds):
        return self.elephants(seconds, 500000)

    def cutoff_flat_out(self, seconds):
        return self.elephants(seconds, 0)


CASES = (
    ("reject", PrefilterBench.reject, 1.15, "bare XDP_DROP", "99 % rejected"),
    ("accept", PrefilterBench.accept, 1.10, "no expression", "all accepted"),
    ("cutoff", PrefilterBench.cutoff, 1 / 3, "no cutoff", "--flow-cutoff 10k"),
    ("cutoff_flat_out", PrefilterBench.cutoff_flat_out, 1 / 3, "no cutoff", "--flow-cutoff 10k"),
)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binaries")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", default="0.5")
    parser.add_argument("--only")
    arguments = parser.parse_args()
    check = subprocess.run([NETNS, "check"], capture_output=True, text=True)
    if check.returncode or len(os.sched_getaffinity(0)) < 2:
        say(check.stdout.strip() or "SKIPPED: this wants two CPUs, one for the generator")
        return
    cases = [case for case in CASES if not arguments.only or case[0] in arguments.only.split(",")]
    runs = {case[0]: [] for case in cases}
    with PrefilterBench(os.path.abspath(arguments.binaries), True) as bench:
        for _ in range(arguments.rounds):
            for name, run, *_ in cases:
                runs[name].append(run(bench, arguments.seconds))
    say(f"{'case':16} {'floor ns':>9} {'ns':>9} {'ratio':>6} {'lowest':>7} {'highest':>7} {'asked':>6}   "
        f"({arguments.rounds} rounds of {arguments.seconds} s)")
    for name, _, bar, floor, what in cases:
        each = [mine / base for base, mine in runs[name]]
        line = {"bench": "prefilter", "case": name, "floor": floor, "what": what, "floor_ns": round(statistics.median(base for base, _ in runs[name]), 1),
                "ns": round(statistics.median(mine for _, mine in runs[name]), 1), "ratio": round(statistics.median(each), 3),
                "ratio_min": round(min(each), 3), "ratio_max": round(max(each), 3), "asked": round(bar, 3)}
        print(json.dumps(line), flush=True)
        say(f"{name:16} {line['floor_ns']:9.1f} {line['ns']:9.1f} {line['ratio']:6.3f} {line['ratio_min']:7.3f} {line['ratio_max']:7.3f} {bar:6.2f}")


if __name__ == "__main__":
    main()
