#!/usr/bin/env python3
"""What a live run does besides capturing: metrics, another user, time stamps, busy polling, outputs that are slow, rotate, or stand still."""
import http.client
import itertools
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import unittest

import lab
from lab import CPUS

ASK = """
import http.client, json, sys
method, path = sys.argv[2:4]
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=5)
connection.request(method, path)
answer = connection.getresponse()
print(json.dumps([answer.status, answer.getheader("Content-Type"), answer.read().decode()]))
"""
PORT = 9100


class Metrics(lab.Lab):
    def setUp(self):
        super().setUp()
        self.ip("mon", "link", "set", "lo", "up")

    def ask(self, path="/metrics", method="GET"):
        return json.loads(self.start("mon", sys.executable, "-c", ASK, PORT, method, path).done().text().splitlines()[-1])

    def samples(self):
        """{(name, labels): value}; a sample belongs to the TYPE line before it."""
        status, kind, text = self.ask()
        self.assertEqual((status, kind.split(";")[0]), (200, "text/plain"))
        samples, family = {}, None
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                family = line.split()[2]
            elif not line.startswith("#"):
                name, labels, value = re.fullmatch(r"([a-z_]+)(?:\{(.*)\})? (\S+)", line).groups()
                self.assertEqual(name, family)
                self.assertNotIn((name, labels), samples)
                samples[name, labels] = float(value)
        return samples

    def test_the_same_ledger_as_the_summary(self):
        run = self.capture("-q", "--fanout", 2, "--metrics", f"127.0.0.1:{PORT}")
        generated = self.generate("--tcp", "--flows", 100, "--count", 20000, "--rate", 100000)
        time.sleep(0.3)
        samples = self.samples()

        def total(name, part=""):
            return sum(value for (key, labels), value in samples.items() if key == f"flowlane_{name}" and part in (labels or ""))
        self.assertEqual(total("packets_read_total"), generated["sent"])
        self.assertEqual(total("bytes_read_total"), generated["bytes"])
        self.assertEqual(total("packets_read_total"), total("packets_decoded_total") + total("drops_total"))
        self.assertEqual(total("packets_decoded_total"), total("packets_in_flows_total") + total("no_flow_total"))
        self.assertEqual(total("flows_created_total"), total("flows_ended_total") + total("flows_alive"))
        self.assertEqual(total("queue_seen_total"), generated["sent"])
        self.assertEqual(total("queue_seen_total"), sum(total(f"queue_{part}") for part in (
            "filtered_total", "cut_off_total", "no_socket_total", "received_total", "pending", "rx_ring_full_total", "fill_ring_empty_total", "refused_total")))
        self.assertEqual(total("interface_info", 'mode="copy"'), 1)
        summary = self.stop_capture(run)
        self.assert_conserved(summary, generated["sent"])
        for source, count in summary["rtt_samples"].items():
            self.assertEqual(total("rtt_samples_total", f'source="{source}"'), count)
        self.assertEqual(total("packets_read_total", 'lane="1"'), summary["lanes"][1]["packets_read"])

    def test_other_requests(self):
        run = self.capture("-q", "--metrics", f"127.0.0.1:{PORT}")
        self.assertEqual(self.ask("/")[0], 404)
        self.assertEqual(self.ask("/metrics", "POST")[0], 405)
        status, _, text = self.ask("/metrics", "HEAD")
        self.assertEqual((status, text), (200, ""))
        self.stop_capture(run)

    def test_readers_that_say_nothing__others_are_answered_under_load(self):
        os.chmod(self.folder, 0o777)
        run = self.capture("-q", "--metrics", f"*:{PORT}", "--user", "nobody")
        silent = [self.start("mon", sys.executable, "-c", f"import socket, time; s = socket.create_connection(('127.0.0.1', {PORT})); time.sleep(60)")
                  for _ in range(5)]
        generator = self.start("src", lab.binary("live_gen"), "-i", "src0", "--flows", 1000, "--count", 300000, "--rate", 200000)
        asked = [self.samples() for _ in range(5)]
        generated = generator.done().json()
        counts = [sum(value for (name, _), value in samples.items() if name == "flowlane_queue_seen_total") for samples in asked]
        self.assertEqual(counts, sorted(counts))
        self.assert_conserved(self.stop_capture(run, code=None), generated["sent"])
        for reader in silent:
            reader.process.kill()

    def test_port_in_use__said_and_nothing_left(self):
        run = self.capture("-q", "--metrics", f"127.0.0.1:{PORT}")
        self.stop_capture(run)
        holder = self.start("mon", sys.executable, "-c", f"import socket, time; s = socket.create_server(('127.0.0.1', {PORT})); print('', flush=True); time.sleep(60)")
        lab.wait_for(lambda: holder.text(holder.out), "the port is taken")
        with open(self.path("keep.pcap"), "w") as file:
            file.write("as it was")
        refused = self.start("mon", lab.binary("flowlane"), "-q", "-i", "mon0", "-w", "keep.pcap", "--metrics", PORT).done(2)
        self.assertRegex(refused.errors(), r"\Aflowlane: --metrics 9100: [^\n]*in use[^\n]*another port\n\Z")
        self.assertEqual(self.read("keep.pcap"), b"as it was")
        self.assert_nothing_left()
        holder.process.kill()


class User(lab.Lab):
    KEPT = 1 << 12  # CAP_NET_ADMIN, to put VLAN stripping back

    def threads(self, run):
        folder = f"/proc/{run.process.pid}/task"
        for task in os.listdir(folder):
            with open(f"{folder}/{task}/status") as file:
                yield {line.split(":")[0]: line.split(":")[1].split() for line in file}

    def check(self, kept):
        os.chmod(self.folder, 0o777)
        run = self.capture("-q", "--user", "nobody", "-w", "cap.pcap", "--export-json", "flows.json")
        generated = self.generate("--flows", 10, "--count", 1000, "--rate", 10000)
        nobody = subprocess.run(["id", "-u", "nobody"], capture_output=True, text=True, check=True).stdout.strip()
        lab.wait_for(lambda: len(list(self.threads(run))) > 1, "the lane's thread")
        for status in self.threads(run):
            self.assertEqual(set(status["Uid"]), {nobody})
            for name in "CapEff", "CapPrm":
                self.assertEqual(int(status[name][0], 16), kept, status)
            for name in "CapInh", "CapAmb", "CapBnd":
                self.assertEqual(int(status[name][0], 16), 0, status)
            self.assertEqual(status["NoNewPrivs"], ["1"])
        self.assert_conserved(self.stop_capture(run), generated["sent"])
        self.assertEqual(len(self.load("flows.json")), 10)
        self.assertNotIn("rxvlan", run.errors())
        self.assert_nothing_left()

    def stripping(self):
        text = self.start("mon", "ethtool", "-k", "mon0").done().text()
        return "rx-vlan-offload: on" in text

    def test_what_was_changed_is_put_back_with_the_one_capability_for_it(self):
        self.assertTrue(self.stripping())
        self.check(self.KEPT)
        self.assertTrue(self.stripping())

    def test_nothing_was_changed__no_capability(self):
        self.start("mon", "ethtool", "-K", "mon0", "rxvlan", "off", "rx-vlan-stag-hw-parse", "off").done()
        self.check(0)
        self.assertFalse(self.stripping())


class TimeStamps(lab.Lab):
    def test_each_way(self):
        for way, source in ("auto", "xdp"), ("xdp", "xdp"), ("batch", "batch"):
            with self.subTest(way=way):
                run = self.capture("-q", "-w", "cap.pcap", "--timestamps", way)
                from_ns = time.time_ns()
                generated = self.generate("--flows", 10, "--count", 20000, "--rate", 20000)
                until_ns = time.time_ns()
                summary = self.stop_capture(run)
                self.assertEqual((summary["ts_source"], summary["packets_read"]), (source, generated["sent"]))
                times = [ns for ns, _, _ in lab.pcap_records(self.read("cap.pcap"))]
                self.assert_same(times, sorted(times), "times in order")
                self.assertGreater(times[0], from_ns - 10_000_000)
                self.assertLess(times[-1], until_ns + 300_000_000)
                if way != "batch":
                    self.assertEqual(len(set(times)), len(times), "at this rate each frame has its own")

    def test_flat_out__as_many_frames_share_a_time_as_documented(self):
        for way, most in ("auto", 8), ("xdp", 1):
            with self.subTest(way=way):
                run = self.capture("-q", "-w", "cap.pcap", "--ring-size", 16384, "--timestamps", way)
                self.generate("--flows", 100, "--count", 200000)
                self.stop_capture(run, code=None)
                times = [ns for ns, _, _ in lab.pcap_records(self.read("cap.pcap"))]
                self.assert_same(times, sorted(times), "times in order")
                self.assertLessEqual(max(len(list(group)) for _, group in itertools.groupby(times)), most)


class BusyPoll(lab.Lab):
    def settings(self):
        names = "napi_defer_hard_irqs", "gro_flush_timeout"
        return self.start("mon", "cat", *(f"/sys/class/net/mon0/{name}" for name in names)).done().text().split()

    def test_works_or_is_undone__and_is_put_back(self):
        before = self.settings()
        run = self.capture("-q", "--busy-poll")
        self.assertNotEqual(self.settings(), before)
        generated = self.generate("--flows", 100, "--count", 50000, "--rate", 20000)
        self.assert_conserved(self.stop_capture(run), generated["sent"])
        self.assertEqual(self.settings(), before)
        self.assert_nothing_left()


class SlowOutputs(lab.Lab):
    """The pcap loses what an output cannot take, and nothing else does; other outputs hold their lane, which is said."""

    def check_lost_in_the_pcap_only(self, run, generated):
        summary = self.stop_capture(run, code=None)
        self.assert_conserved(summary, generated["sent"])
        self.assertEqual(self.lost(summary), 0)
        pcap = next(output for output in summary["outputs"] if output["name"] == "pcap")
        self.assertGreater(pcap["lost"], 0)
        self.assertEqual(run.process.returncode, 2)
        flows = self.load("flows.json")
        self.assertEqual((len(flows), sum(flow["packets_total"] for flow in flows)), (100, generated["sent"]))
        return pcap

    def test_pipe_with_a_slow_reader(self):
        os.mkfifo(self.path("slow.pcap"))
        got = bytearray()

        def read_slowly():
            with open(self.path("slow.pcap"), "rb", buffering=0) as pipe:
                while True:
                    piece = pipe.read(1 << 16)
                    if not piece:
                        return
                    got.extend(piece)
                    if not done.is_set():
                        time.sleep(0.02)
        done = threading.Event()
        reader = threading.Thread(target=read_slowly)
        reader.start()
        run = self.capture("-q", "-w", "slow.pcap", "--export-json", "flows.json")
        generated = self.generate("--flows", 100, "--size", 1500, "--count", 120000, "--rate", 60000)
        done.set()
        pcap = self.check_lost_in_the_pcap_only(run, generated)
        reader.join(20)
        numbers = [lab.sequence(packet) for _, _, packet in lab.pcap_records(bytes(got))]
        self.assertEqual((len(numbers), len(set(numbers))), (pcap["records"], pcap["records"]))
        self.assert_same(numbers, sorted(numbers), "in order")

    def test_disk_that_stands_still(self):
        """A file system that is frozen for a while: what io_uring has begun waits, whatever it was."""
        image, disk = self.path("disk.img"), self.path("disk")
        os.mkdir(disk)
        with open(image, "wb") as file:
            file.truncate(512 << 20)
        for command in (["mkfs.ext4", "-q", "-F", image], ["mount", "-o", "loop", image, disk]):
            if not shutil.which(command[0]) or subprocess.run(command, capture_output=True).returncode:
                self.skipTest(f"SKIPPED: no file system in a file here: {' '.join(command)}")
        self.addCleanup(subprocess.run, ["umount", disk])
        if not shutil.which("fsfreeze") or subprocess.run(["fsfreeze", "-f", disk], capture_output=True).returncode:
            self.skipTest("SKIPPED: it cannot be frozen (fsfreeze)")
        subprocess.run(["fsfreeze", "-u", disk], check=True)
        for options in [], ["--direct-io"]:
            with self.subTest(options=options):
                run = self.capture("-q", "-w", f"{disk}/cap.pcap", "--export-json", "flows.json", *options)
                subprocess.run(["fsfreeze", "-f", disk], check=True)
                try:
                    generated = self.generate("--flows", 100, "--size", 1500, "--count", 60000, "--rate", 40000)
                finally:
                    subprocess.run(["fsfreeze", "-u", disk], check=True)
                pcap = self.check_lost_in_the_pcap_only(run, generated)
                numbers = [lab.sequence(packet) for _, _, packet in lab.pcap_records(self.read("disk/cap.pcap"))]
                self.assertEqual((len(numbers), len(set(numbers))), (pcap["records"], pcap["records"]))

    def test_pipe_nobody_reads__the_lane_that_it_holds_is_said(self):
        os.mkfifo(self.path("rtt.jsonl"))
        pipe = os.open(self.path("rtt.jsonl"), os.O_RDONLY | os.O_NONBLOCK)
        run = self.capture("-q", "--rtt-samples-jsonl", "rtt.jsonl")
        generated = self.generate("--tcp", "--flows", 100, "--count", 100000, "--rate", 50000)
        lab.wait_for(lambda: "stood still" in run.errors(), "flowlane says that its lane stands still", 20)
        self.assertIn("lane 0", run.errors())
        os.set_blocking(pipe, True)
        drain = threading.Thread(target=lambda: all(iter(lambda: os.read(pipe, 1 << 16), b"")))
        drain.start()
        summary = self.stop_capture(run, code=None)
        drain.join(20)
        os.close(pipe)
        self.assert_conserved(summary, generated["sent"])
        self.assertGreater(self.lost(summary), 0)


class Files(lab.Lab):
    def numbers(self, *names):
        return [lab.sequence(packet) for name in names for _, _, packet in lab.pcap_records(self.read(name))]

    def test_rotation(self):
        for options in [], ["--direct-io"]:
            with self.subTest(options=options):
                run = self.capture("-q", "-w", "cap.pcap", "--write-pcap-rotate-mb", 2, *options)
                generated = self.generate("--flows", 10, "--size", 500, "--count", 20000, "--rate", 20000)
                summary = self.stop_capture(run)
                self.assert_conserved(summary, generated["sent"])
                names = sorted(name for name in os.listdir(self.folder) if re.fullmatch(r"cap\.\d{6}\.pcap", name))
                most = -(-((2 << 20) - 24) // 516)  # records, until one reaches 2 MiB
                self.assertEqual([len(self.numbers(name)) for name in names[:-1]], [most] * (generated["sent"] // most))
                self.assert_same(self.numbers(*names), list(range(generated["sent"])), "over all files")
                for name in names:
                    os.unlink(self.path(name))

    def test_sighup_goes_on_in_a_new_file(self):
        for options in [], ["--direct-io"]:
            with self.subTest(options=options):
                run = self.capture("-q", "-w", "cap.pcap", *options)
                generator = self.start("src", lab.binary("live_gen"), "-i", "src0", "--size", 200, "--count", 60000, "--rate", 40000)
                time.sleep(0.7)
                os.rename(self.path("cap.pcap"), self.path("old.pcap"))
                run.process.send_signal(signal.SIGHUP)
                generated = generator.done().json()
                summary = self.stop_capture(run)
                self.assert_conserved(summary, generated["sent"])
                self.assertTrue(self.numbers("old.pcap") and self.numbers("cap.pcap"))
                self.assert_same(self.numbers("old.pcap", "cap.pcap"), list(range(generated["sent"])), "over both files")

    def test_a_file_per_lane(self):
        run = self.capture("-q", "-w", "cap.pcap", "--pcap-per-lane", "--fanout", 3)
        generated = self.generate("--flows", 100, "--size", 200, "--count", 30000, "--rate", 50000)
        summary = self.stop_capture(run)
        names = [f"cap.lane{lane}.pcap" for lane in range(3)]
        counts = []
        for name in names:
            numbers = self.numbers(name)
            counts.append(len(numbers))
            self.assert_same(numbers, sorted(numbers), f"{name} in order")
        self.assertEqual(counts, [lane["packets_read"] for lane in summary["lanes"]])
        self.assertEqual(sorted(self.numbers(*names)), list(range(generated["sent"])))

    def test_read_while_it_is_written__whole_and_soon(self):
        """One packet is in the file within a second, and at no moment half of one."""
        run = self.capture("-q", "-w", "cap.pcap")
        self.generate("--count", 1, "--rate", 10)
        lab.wait_for(lambda: os.path.getsize(self.path("cap.pcap")) > 24, "the packet is in the file", 2)
        self.assertEqual(len(self.numbers("cap.pcap")), 1)
        self.stop_capture(run)


if __name__ == "__main__":
    lab.main()
