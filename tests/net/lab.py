"""What the live tests share: a pair of namespaces (scripts/netns.sh), the generator, the replayer and flowlane in them, and the
sums that must come out.

Usage of every test here: test_X.py DIRECTORY [unittest arguments], DIRECTORY holds flowlane, live_gen, live_replay, make_capture.
"""
import itertools
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NETNS = os.path.join(ROOT, "scripts", "netns.sh")
BINARIES = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.path.join(ROOT, "build", "release")
SKIP = 77
TIMEOUT_SECS = 60
SHORT = os.environ.get("FLOWLANE_NET_SHORT") == "1"
CPUS = sorted(os.sched_getaffinity(0))
LOSSES = "filtered", "cut_off", "no_socket", "rx_ring_full", "fill_ring_empty", "refused"  # of a queue; with `received` they are all of `seen`

numbers = itertools.count()
made = []


def binary(name):
    return os.path.join(BINARIES, name)


def wait_for(condition, what, seconds=10):
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"in vain, {seconds} s: {what}")
        time.sleep(0.01)


def pcap_records(data):
    """(nanoseconds, wire length, bytes) of each record of a classic little-endian pcap."""
    unit = {0xa1b2c3d4: 1000, 0xa1b23c4d: 1}[struct.unpack_from("<I", data)[0]]
    at = 24
    while at < len(data):
        secs, fraction, cap_len, wire_len = struct.unpack_from("<IIII", data, at)
        at += 16
        packet = data[at:at + cap_len]
        if len(packet) != cap_len:
            raise AssertionError(f"cut record at {at - 16} of {len(data)}")
        yield secs * 1_000_000_000 + fraction * unit, wire_len, packet
        at += cap_len


def sequence(packet):
    """What live_gen put into the last eight bytes of a frame."""
    return struct.unpack(">Q", packet[-8:])[0]


class Run:
    """A program that runs in one of the namespaces, and what came of it."""

    def __init__(self, process, out, err):
        self.process, self.out, self.err = process, out, err

    def done(self, code=0):
        try:
            self.process.wait(TIMEOUT_SECS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.process.args} did not end: {self.text()}")
        if code is not None and self.process.returncode != code:
            raise AssertionError(f"{self.process.args}: exit code {self.process.returncode}, not {code}\n{self.text()}")
        return self

    def stop(self, number=signal.SIGINT, code=0):
        self.process.send_signal(number)
        return self.done(code)

    def text(self, stream=None):
        text = ""
        for file in (self.out, self.err) if stream is None else (stream,):
            with open(file.name, errors="replace") as reader:
                text += reader.read()
        return text

    def errors(self):
        return self.text(self.err)

    def json(self):
        """The one JSON line of a live tool."""
        return json.loads(self.text(self.out).splitlines()[-1])


class Lab(unittest.TestCase):
    """One pair of namespaces per test."""

    queues = 1
    mtu = 1500

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="flowlane-net-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.runs = []
        self.name = f"flt-{os.getpid()}-t{next(numbers)}"
        made.append(self.name)
        self.addCleanup(subprocess.run, [NETNS, "down", self.name], check=True)
        self.addCleanup(self.end_all)
        subprocess.run([NETNS, "up", self.name, str(self.queues), str(self.mtu)], check=True)

    def end_all(self):
        for run in self.runs:
            if run.process.poll() is None:
                run.process.kill()
            run.process.wait()
            run.out.close()
            run.err.close()

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def load(self, name):
        return json.loads(self.read(name))

    def ip(self, side, *args):
        return subprocess.run(["ip", "-n", f"{self.name}-{side}", *args], check=True, capture_output=True, text=True).stdout

    def second_pair(self):
        """src1 ===== mon1, in the same namespaces."""
        subprocess.run(["ip", "link", "add", "src1", "netns", f"{self.name}-src", "type", "veth", "peer", "name", "mon1", "netns", f"{self.name}-mon"], check=True)
        self.ip("src", "link", "set", "src1", "up")
        self.ip("mon", "link", "set", "mon1", "up")
        wait_for(lambda: "NO-CARRIER" not in self.ip("mon", "link", "show", "dev", "mon1"), "carrier on mon1")

    def start(self, side, *command, **more):
        stem = self.path(f"run{len(self.runs)}")
        run = Run(None, open(stem + ".out", "wb"), open(stem + ".err", "wb"))
        run.process = subprocess.Popen(["ip", "netns", "exec", f"{self.name}-{side}", *map(str, command)], cwd=self.folder,
                                       stdin=subprocess.DEVNULL, stdout=run.out, stderr=run.err, **more)
        self.runs.append(run)
        return run

    # --- what runs -------------------------------------------------------------------------------------------------------

    def attached(self, interface="mon0"):
        return "prog/xdp" in self.ip("mon", "link", "show", "dev", interface)

    def capture(self, *args, **more):
        """flowlane on mon0, as soon as frames can come; ended by stop_capture()."""
        run = self.start("mon", binary("flowlane"), "-i", "mon0", "--summary-json", "summary.json", *args, **more)

        def ready():
            if run.process.poll() is not None:
                raise AssertionError(f"flowlane ended early, exit code {run.process.returncode}: {run.text()}")
            return self.attached()
        wait_for(ready, "flowlane attaches its program")
        return run

    def stop_capture(self, run, code=0, name="summary.json"):
        run.stop(code=code)
        return self.load(name)

    def generate(self, *args, interface="src0"):
        return self.start("src", binary("live_gen"), "-i", interface, *args).done().json()

    def replay(self, file, *args):
        return self.start("src", binary("live_replay"), file, "-i", "src0", *args).done().json()

    def demo_capture(self):
        subprocess.run([binary("make_capture"), "--demo", self.path("demo.pcap")], check=True, stdout=subprocess.DEVNULL)
        return self.path("demo.pcap")

    def offline(self, *args):
        subprocess.run([binary("flowlane"), "-q", *args], check=True, cwd=self.folder, timeout=TIMEOUT_SECS)

    # --- what must come out ----------------------------------------------------------------------------------------------

    def assert_conserved(self, summary, sent):
        """`sent`: frames that the link took, all of them while flowlane was attached."""
        queues = summary["capture"]["queues"]
        for queue in queues:
            self.assertEqual(queue["seen"], queue["received"] + sum(queue[loss] for loss in LOSSES), queue)
            # `refused` is what remains of the frames that the program redirected: here nothing may.
            self.assertEqual((queue["refused"], queue["invalid"]), (0, 0), queue)
        self.assertEqual(sum(queue["seen"] for queue in queues), sent, queues)
        self.assertEqual(sum(queue["received"] for queue in queues), summary["packets_read"], queues)
        for ledger in [summary, *summary["lanes"]]:
            self.assertEqual(ledger["packets_read"], ledger["packets_decoded"] + sum(ledger["drops"].values()))
            self.assertEqual(ledger["packets_decoded"], ledger["packets_in_flows"] + sum(ledger["no_flow"].values()))
            self.assertEqual(ledger["flows_created"], sum(ledger["flows_ended"].values()) + ledger["flows_alive"])
        for key in "packets_read", "bytes_read", "packets_in_flows", "flows_created":
            self.assertEqual(summary[key], sum(lane[key] for lane in summary["lanes"]), key)
        for output in summary["outputs"]:
            if output["name"] == "pcap":
                self.assertEqual(output["records"] + output["lost"], summary["packets_read"], output)

    def lost(self, summary):
        return sum(queue[loss] for queue in summary["capture"]["queues"] for loss in LOSSES)

    def assert_same(self, got, expected, what):
        """Of long lists, without the minutes that unittest takes to show the difference of two."""
        if got != expected:
            at = next((i for i, pair in enumerate(zip(got, expected)) if pair[0] != pair[1]), min(len(got), len(expected)))
            self.fail(f"{what}: {len(got)} items, not {len(expected)}; the first difference at {at}: {got[at:at + 1]}, not {expected[at:at + 1]}")

    def assert_sequences(self, name, generated, records):
        """The pcap holds `records` different frames of those generated. Their sequence numbers, in the order of the file."""
        seen = [sequence(packet) for _, _, packet in pcap_records(self.read(name))]
        self.assertEqual(len(seen), records)
        self.assertEqual(len(set(seen)), records, "a frame was written twice")
        if seen:
            self.assertGreaterEqual(min(seen), generated["first_seq"])
            self.assertLess(max(seen), generated["first_seq"] + generated["frames"])
        return seen

    def assert_nothing_left(self):
        """On the interface, of a run that ended or was killed."""
        def clean():
            link = json.loads(self.ip("mon", "-j", "-d", "link", "show", "dev", "mon0"))[0]
            return "xdp" not in link and link.get("promiscuity") == 0 and "prog/xdp" not in str(link)
        wait_for(clean, "no program and no promiscuous mode on mon0: " + self.ip("mon", "-d", "link", "show", "dev", "mon0"))


def tmpfs(case, size):
    """A small file system of its own for a test."""
    path = tempfile.mkdtemp(prefix="flowlane-tmpfs-")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "flowlane-test", path], check=True)
    case.addCleanup(shutil.rmtree, path, ignore_errors=True)
    case.addCleanup(subprocess.run, ["umount", path], check=True)
    return path


def clean(names):
    for name in names:
        subprocess.run([NETNS, "down", name])


def abandoned():
    """Pairs of namespaces of tests that were killed."""
    names = (re.fullmatch(r"(flt-(\d+)-t\d+)-(src|mon)", name) for name in (os.listdir("/run/netns") if os.path.isdir("/run/netns") else ()))
    return {name[1] for name in names if name and not os.path.exists(f"/proc/{name[2]}")}


def interrupt(*_):
    raise KeyboardInterrupt  # the one exception that unittest lets through


def main():
    missing = [name for name in ("flowlane", "live_gen", "live_replay", "make_capture") if not os.access(binary(name), os.X_OK)]
    if missing:
        sys.exit(f"{' '.join(missing)} not in {BINARIES}; build first, or name the directory as first argument")
    check = subprocess.run([NETNS, "check"], capture_output=True, text=True)
    if check.returncode:
        print(check.stdout.strip() or f"SKIPPED: scripts/netns.sh check: {check.stderr.strip()}")
        sys.exit(SKIP)
    clean(abandoned())
    signal.signal(signal.SIGTERM, interrupt)
    try:
        unittest.main(module="__main__", argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
    finally:
        clean(made)
