#!/usr/bin/env python3
"""Live capture beside the bare receiver, on a veth pair of its own (scripts/netns.sh): called by scripts/bench.sh.

Usage: bench_live.py BUILD_DIRECTORY [--short]

The generator runs on one CPU, the receiver on another; on a veth pair the XDP program runs on the generator's. All receivers take
turns, so that a disturbance of the machine meets all of them. JSON lines on standard output, tables on standard error.
"""
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NETNS = os.path.join(ROOT, "scripts", "netns.sh")
SIZES = 64, 1514
FLOWS = 1000
LOSSES = "filtered", "no_socket", "rx_ring_full", "fill_ring_empty", "refused"


def say(text=""):
    print(text, file=sys.stderr, flush=True)


def first_in_line():
    """Ahead of whatever else runs here: a receiver that is not scheduled loses packets, whatever its code is like. Not for the
    ratios: with two CPUs the kernel's threads that write a pcap would get nothing."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


class Bench:
    def __init__(self, binaries, short):
        self.binaries, self.short = binaries, short
        self.name = f"flt-{os.getpid()}-bench"
        self.cpus = sorted(os.sched_getaffinity(0))
        self.folder = tempfile.mkdtemp(prefix="flowlane-bench-live-")
        self.children = []

    def __enter__(self):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6g", "flowlane-bench", self.folder], check=True)
        subprocess.run([NETNS, "up", self.name, "1"], check=True)
        # A virtual machine's memory may have to be found by its host first; that is no matter of writing pcaps.
        with open(os.path.join(self.folder, "warm"), "wb") as file:
            for _ in range(1024):
                file.write(bytes(1 << 20))
        os.unlink(os.path.join(self.folder, "warm"))
        return self

    def __exit__(self, *_):
        self.leave(mounted=True)

    def leave(self, mounted=False):
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()
        subprocess.run([NETNS, "down", self.name])
        if mounted:
            subprocess.run(["umount", self.folder])
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, side, tool, *args, fifo=False):
        command = ["ip", "netns", "exec", f"{self.name}-{side}", os.path.join(self.binaries, tool), *map(str, args)]
        child = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 preexec_fn=first_in_line if fifo else None)
        self.children.append(child)
        return child

    def end(self, child, stop=False, codes=(0,)):
        if stop:
            child.send_signal(2)
        out, err = child.communicate(timeout=180)
        if child.returncode not in codes:
            sys.exit(f"bench_live.py: {' '.join(child.args)}: exit code {child.returncode}: {err.strip()}")
        return out

    def wait_attached(self, child):
        until = time.monotonic() + 20
        while "prog/xdp" not in subprocess.run(["ip", "-n", f"{self.name}-mon", "link", "show", "dev", "mon0"], capture_output=True, text=True).stdout:
            if child.poll() is not None or time.monotonic() > until:
                sys.exit(f"bench_live.py: {' '.join(child.args)} does not attach: {child.communicate()[1] if child.poll() is not None else ''}")
            time.sleep(0.02)

    def run(self, receiver, size, seconds, rate=0, ring=4096):
        """One run of the generator into one receiver; what both counted. At a rate the receiver has its CPU for itself."""
        generate = ["-i", "src0", "--tcp", "--flows", FLOWS, "--size", size, "--duration", seconds, "--rate", rate, "--cpu", self.cpus[0]]
        if receiver == "floor":
            child = self.start("mon", "live_floor", "-i", "mon0", "--cpu", self.cpus[-1], "--ring", ring, fifo=rate)
        else:
            more = {"flowlane -w": ["-w", "cap.pcap"], "exact stamps": ["--timestamps", "xdp"], "batch stamps": ["--timestamps", "batch"]}
            child = self.start("mon", "flowlane", "-q", "-i", "mon0", "--cpus", self.cpus[-1], "--ring-size", ring, "--summary-json", "summary.json",
                               "--export-json", "flows.json", "--export-csv", "flows.csv", *more.get(receiver, []), fifo=rate)
        self.wait_attached(child)
        sent = json.loads(self.end(self.start("src", "live_gen", *generate)))
        time.sleep(0.3)
        out = self.end(child, stop=True, codes=(0, 2))
        if receiver == "floor":
            floor = json.loads(out)
            result = {"received": floor["received"], "lost": floor["ring_full"] + floor["fill_empty"], "cpu_ns": floor["cpu_ns_per_packet"],
                      "pcap_lost": 0}
        else:
            with open(os.path.join(self.folder, "summary.json")) as file:
                summary = json.load(file)
            queues = summary["capture"]["queues"]
            cpu_ns = sum(lane["cpu_secs"] for lane in summary["lanes"]) * 1e9
            result = {"received": summary["packets_read"], "lost": sum(queue[loss] for queue in queues for loss in LOSSES),
                      "cpu_ns": cpu_ns / max(1, summary["packets_read"]), "rtt_samples": sum(summary["rtt_samples"].values()),
                      "pcap_lost": sum(output["lost"] for output in summary["outputs"])}
        for name in os.listdir(self.folder):
            os.unlink(os.path.join(self.folder, name))
        if sent["sent"] != result["received"] + result["lost"]:
            sys.exit(f"bench_live.py: lost count: {sent} but {result}")
        return {"sent": sent["sent"], "refused": sent["refused"], "seconds": sent["seconds"], "pps": result["received"] / sent["seconds"], **result}


def ratios(bench):
    """Flat out: packets per second that arrived. The floor's median per size."""
    rounds, seconds = (3, 1) if bench.short else (9, 1)
    floors = {}
    say(f"\n{'frames':>6} {'receiver':12} {'Mpps':>6} {'best':>6} {'ratio':>6} {'CPU ns/packet':>13} {'lost':>6} {'not in pcap':>11} {'sent Mpps':>10}   "
        f"({FLOWS} TCP flows, flat out, {rounds} rounds of {seconds} s)")
    for size in SIZES:
        # Pcaps of full-sized frames at this rate are 5 GB a second: that would measure memory, and fill it.
        receivers = ("floor", "flowlane", "exact stamps", "batch stamps", "flowlane -w") if size == 64 else ("floor", "flowlane")
        runs = {receiver: [] for receiver in receivers}
        for number in range(rounds):
            order = receivers if number % 2 == 0 else receivers[::-1]
            for receiver in order:
                runs[receiver].append(bench.run(receiver, size, seconds))
        floors[size] = statistics.median(run["pps"] for run in runs["floor"])
        for receiver in receivers:
            mine = runs[receiver]
            pps = statistics.median(run["pps"] for run in mine)
            line = {
                "bench": "live", "receiver": receiver, "size": size, "flows": FLOWS, "rounds": rounds, "seconds": seconds, "pps": round(pps),
                "pps_max": round(max(run["pps"] for run in mine)), "ratio": round(statistics.median(run["pps"] / floor["pps"] for run, floor in zip(mine, runs["floor"])), 3),
                "cpu_ns_per_packet": round(statistics.median(run["cpu_ns"] for run in mine), 1),
                "sent_pps": round(statistics.median(run["sent"] / run["seconds"] for run in mine)),
                "lost": sum(run["lost"] for run in mine), "sent": sum(run["sent"] for run in mine), "refused": sum(run["refused"] for run in mine),
                "pcap_lost": sum(run["pcap_lost"] for run in mine),
            }
            print(json.dumps(line), flush=True)
            say(f"{size:6} {receiver:12} {pps / 1e6:6.2f} {line['pps_max'] / 1e6:6.2f} {line['ratio']:6.2f} {line['cpu_ns_per_packet']:13.1f} "
                f"{line['lost'] / line['sent']:6.1%} {line['pcap_lost'] / line['sent']:11.1%} {line['sent_pps'] / 1e6:10.2f}")
    return floors


def zero_loss(bench, floors):
    """At half of the floor's rate nothing may be lost. The floor runs too: what it loses, the machine did (a virtual CPU that its
    host does not run for some milliseconds: the rings hold 16 of those)."""
    seconds, ring = 10 if bench.short else 60, 32768
    say(f"\n{'frames':>6} {'receiver':12} {'rate Mpps':>9} {'packets':>11} {'lost':>8} {'CPU ns/packet':>13} {'of a core':>9}   "
        f"({seconds} s at half of the floor's rate, rings of {ring})")
    for size in SIZES:
        for receiver in "floor", "flowlane":
            run = bench.run(receiver, size, seconds, rate=int(floors[size] / 2), ring=ring)
            share = run["cpu_ns"] * run["pps"] / 1e9
            print(json.dumps({
                "bench": "live-zero-loss", "receiver": receiver, "size": size, "flows": FLOWS, "seconds": seconds, "ring": ring,
                "rate": int(floors[size] / 2), "pps": round(run["pps"]), "packets": run["sent"], "lost": run["lost"], "refused": run["refused"],
                "cpu_ns_per_packet": round(run["cpu_ns"], 1), "core_share": round(share, 3),
            }), flush=True)
            say(f"{size:6} {receiver:12} {run['sent'] / run['seconds'] / 1e6:9.2f} {run['sent']:11} {run['lost'] + run['refused']:8} "
                f"{run['cpu_ns']:13.1f} {share:9.0%}")


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[2:] not in ([], ["--short"]):
        sys.exit(__doc__)
    check = subprocess.run([NETNS, "check"], capture_output=True, text=True)
    if check.returncode or len(os.sched_getaffinity(0)) < 2:
        say(check.stdout.strip() or "SKIPPED: live capture wants two CPUs, one for the generator")
        return
    with Bench(os.path.abspath(sys.argv[1]), len(sys.argv) == 3) as bench:
        zero_loss(bench, ratios(bench))


if __name__ == "__main__":
    main()
