#!/usr/bin/env python3
"""What remains when flowlane is killed, when its interface goes away under it, and when the disk is full."""
import os
import random
import signal
import struct
import subprocess
import time

import lab

KILLS = 4 if lab.SHORT else 20


def pcap_end(data):
    """Where the last complete record ends; everything before it must make sense."""
    at = 24
    while at + 16 <= len(data):
        secs, fraction, cap_len, wire_len = struct.unpack_from("<IIII", data, at)
        if at + 16 + cap_len > len(data):
            break
        if not (secs and fraction < 1_000_000_000 and 64 <= cap_len == wire_len <= 1514):
            raise AssertionError(f"nonsense at byte {at} of {len(data)}: {secs} {fraction} {cap_len} {wire_len}")
        at += 16 + cap_len
    return at


class Killed(lab.Lab):
    def check_pcap(self, name):
        """Returns the number of packets; 0 also if the run did not come to writing."""
        if not name or not os.path.exists(self.path(name)) or not os.path.getsize(self.path(name)):
            return 0
        data = self.read(name)
        end = pcap_end(data)
        read = subprocess.run(["tcpdump", "--time-stamp-precision=nano", "-nr", self.path(name), "-w", self.path("again.pcap")], capture_output=True, text=True)
        self.assertTrue(self.read("again.pcap")[24:] == data[24:end], read.stderr)
        again = subprocess.run([lab.binary("flowlane"), "-q", "-r", self.path(name), "--summary-json", self.path("again.json")],
                               capture_output=True, text=True)
        self.assertIn(again.returncode, (0,) if end == len(data) else (0, 2), again.stderr)
        packets = self.load("again.json")["packets_read"]
        self.assertEqual(packets, sum(1 for _ in lab.pcap_records(data[:end])))
        os.unlink(self.path(name))
        return packets

    def test_kill_9_under_load__nothing_left_and_the_next_start_works(self):
        numbers = random.Random(os.environ.get("FLOWLANE_SEED", "1"))
        generator = self.start("src", lab.binary("live_gen"), "-i", "src0", "--flows", 1000, "--size", 200, "--rate", 300000)
        written, before = 0, None
        for kill in range(KILLS):
            with self.subTest(kill=kill):
                # At once: the kernel may not have forgotten the sockets of the one before.
                started = self.start("mon", lab.binary("flowlane"), "-i", "mon0", "-q", "-w", f"cap{kill}.pcap", "--export-json", "flows.json",
                                     "--expired-flows-jsonl", "expired.jsonl")
                if kill % 4:  # every fourth one somewhere in its start
                    lab.wait_for(lambda: self.attached() or started.process.poll() is not None, "flowlane attaches")
                written += self.check_pcap(before)
                before = None
                time.sleep(numbers.uniform(0, 0.8))
                self.assertIsNone(started.process.poll(), started.text())
                started.process.send_signal(signal.SIGKILL)
                started.process.wait()
                self.assert_nothing_left()
                self.assertEqual(started.errors(), "")
                before = f"cap{kill}.pcap"
        written += self.check_pcap(before)
        self.assertGreater(written, 0)
        generator.stop()
        run = self.capture("-q")
        generated = self.generate("--count", 1000, "--rate", 10000)
        self.assert_conserved(self.stop_capture(run), generated["sent"])

    def test_sigterm_under_load__outputs_complete(self):
        generator = self.start("src", lab.binary("live_gen"), "-i", "src0", "--flows", 1000, "--rate", 300000)
        run = self.capture("-q", "-w", "cap.pcap", "--export-json", "flows.json")
        time.sleep(1)
        run.stop(signal.SIGTERM)
        generator.stop()
        summary = self.load("summary.json")
        self.assert_conserved(summary, sum(queue["seen"] for queue in summary["capture"]["queues"]))
        self.assertEqual(len(self.load("flows.json")), 1000)
        self.assertTrue(summary["stopped"])
        self.assert_nothing_left()


class Interface(lab.Lab):
    def test_goes_down_and_up_again__said_and_goes_on(self):
        run = self.capture("-q", "-w", "cap.pcap")
        first = self.generate("--count", 1000, "--rate", 10000)
        self.ip("mon", "link", "set", "mon0", "down")
        lab.wait_for(lambda: "mon0" in run.errors(), "flowlane says that the interface is down")
        self.assertIn("down", run.errors())
        self.ip("mon", "link", "set", "mon0", "up")
        time.sleep(1)
        second = self.generate("--count", 1000, "--rate", 10000, "--first-seq", 1000)
        summary = self.stop_capture(run)
        self.assert_conserved(summary, first["sent"] + second["sent"])
        self.assertEqual((first["sent"], second["sent"]), (1000, 1000))

    def test_is_deleted__ends_with_all_outputs(self):
        run = self.capture("-q", "-w", "cap.pcap", "--export-json", "flows.json")
        generated = self.generate("--flows", 10, "--count", 1000, "--rate", 10000)
        self.ip("mon", "link", "del", "mon0")
        run.done(code=2)
        self.assertIn("mon0", run.errors())
        summary = self.load("summary.json")
        self.assertEqual(summary["packets_read"], generated["sent"])
        self.assertEqual(len(self.load("flows.json")), 10)
        self.assert_sequences("cap.pcap", generated, 1000)

    def test_the_other_end_is_deleted_under_load(self):
        run = self.capture("-q", "-w", "cap.pcap", "--export-json", "flows.json")
        generator = self.start("src", lab.binary("live_gen"), "-i", "src0", "--flows", 10, "--rate", 100000)
        time.sleep(0.5)
        self.ip("src", "link", "del", "src0")
        run.done(code=2)
        generator.stop(code=None)
        self.assertEqual(len(self.load("flows.json")), 10)


class FullDisk(lab.Lab):
    def test_pcap__flows_complete_and_lost_counted_in_the_pcap_only(self):
        full = lab.tmpfs(self, "4m")
        run = self.capture("-q", "-w", f"{full}/cap.pcap", "--export-json", "flows.json")
        generated = self.generate("--flows", 100, "--size", 500, "--count", 40000, "--rate", 20000)
        summary = self.stop_capture(run, code=2)
        self.assertIn("No space left on device", run.errors())
        self.assertIn("cap.pcap", run.errors())
        self.assert_conserved(summary, generated["sent"])
        self.assertEqual(self.lost(summary), 0)
        flows = self.load("flows.json")
        self.assertEqual((len(flows), sum(flow["packets_total"] for flow in flows)), (100, 40000))
        pcap = next(output for output in summary["outputs"] if output["name"] == "pcap")
        self.assertGreater(pcap["lost"], 0)
        with open(f"{full}/cap.pcap", "rb") as file:
            data = file.read()
        self.assertEqual(pcap_end(data), len(data), "what was written is whole")
        self.assertEqual(sum(1 for _ in lab.pcap_records(data)), pcap["records"])


if __name__ == "__main__":
    lab.main()
