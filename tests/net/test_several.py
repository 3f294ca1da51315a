#!/usr/bin/env python3
"""The ledger where several things come together: two interfaces, frames of several buffers, lanes that share a queue, and overload."""
import struct

import lab
from lab import CPUS


class TwoInterfaces(lab.Lab):
    def setUp(self):
        super().setUp()
        self.second_pair()

    def capture_both(self, *args):
        run = self.capture("-i", "mon1", "-q", "-w", "cap.pcap", *args)
        lab.wait_for(lambda: self.attached("mon1"), "flowlane attaches to mon1")
        return run

    def generate_both(self, *args):
        first = self.start("src", lab.binary("live_gen"), "-i", "src0", "--cpu", CPUS[0], *args)
        second = self.start("src", lab.binary("live_gen"), "-i", "src1", "--cpu", CPUS[-1], "--first-seq", 10000000, "--first-flow", 5000, *args)
        return [run.done().json() for run in (first, second)]

    def check(self, summary, generated):
        self.assert_conserved(summary, sum(one["sent"] for one in generated))
        names = [interface["name"] for interface in summary["capture"]["interfaces"]]
        self.assertEqual(names, ["mon0", "mon1"])
        seen = {queue["interface"]: queue["seen"] for queue in summary["capture"]["queues"]}
        self.assertEqual([seen[name] for name in names], [one["sent"] for one in generated])
        numbers = [lab.sequence(packet) for _, _, packet in lab.pcap_records(self.read("cap.pcap"))]
        pcap = next(output for output in summary["outputs"] if output["name"] == "pcap")
        self.assertEqual((len(numbers), len(set(numbers))), (pcap["records"], pcap["records"]))
        for part in [n for n in numbers if n < 10000000], [n for n in numbers if n >= 10000000]:
            self.assert_same(part, sorted(part), "one interface's frames in order")

    def test_both_at_a_rate__nothing_lost(self):
        run = self.capture_both()
        generated = self.generate_both("--flows", 100, "--count", 20000, "--rate", 20000)
        summary = self.stop_capture(run)
        self.check(summary, generated)
        self.assertEqual((self.lost(summary), summary["flows_created"], len(summary["lanes"])), (0, 200, 2))
        self.assert_nothing_left()

    def test_both_flat_out_on_tiny_rings__every_loss_has_a_name(self):
        run = self.capture_both("--ring-size", 64)
        generated = self.generate_both("--flows", 1000, "--count", 200000)
        summary = self.stop_capture(run, code=None)
        self.check(summary, generated)

    def test_one_goes_away__the_other_goes_on_and_the_exit_code_tells(self):
        run = self.capture_both()
        first = self.generate("--count", 1000, "--rate", 10000)
        self.ip("mon", "link", "del", "mon1")
        lab.wait_for(lambda: "mon1" in run.errors(), "flowlane says that mon1 is gone")
        second = self.generate("--count", 1000, "--rate", 10000, "--first-seq", 1000)
        summary = self.stop_capture(run, code=2)
        self.assertEqual(summary["packets_read"], first["sent"] + second["sent"])
        self.assertEqual([interface["gone"] for interface in summary["capture"]["interfaces"]], [False, True])
        self.assert_nothing_left()

    def test_one_is_not_there__nothing_left_on_the_other(self):
        run = self.start("mon", lab.binary("flowlane"), "-q", "-i", "mon0", "-i", "mon2").done(2)
        self.assertRegex(run.errors(), r"\Aflowlane: [^\n]*mon2[^\n]*\n\Z")
        self.assert_nothing_left()

    def test_one_has_another_program__nothing_left_on_the_other(self):
        floor = self.start("mon", lab.binary("live_floor"), "-i", "mon1")
        lab.wait_for(lambda: self.attached("mon1"), "live_floor attaches")
        run = self.start("mon", lab.binary("flowlane"), "-q", "-i", "mon0", "-i", "mon1").done(2)
        self.assertIn("mon1", run.errors())
        self.assert_nothing_left()
        self.assertTrue(self.attached("mon1"))
        floor.stop()


def long_frames(count):
    """Conversations of datagrams of up to 9,000 bytes, numbered in their last eight bytes; 20 flows."""
    for i in range(count):
        size = (64, 1514, 3000, 4096, 5000, 9014)[i % 6]
        flow = i % 20
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, size - 14, 0, 0, 64, 17, 0, bytes([10, 0, 0, flow]), bytes([10, 1, 0, flow]))
        head = bytes(12) + b"\x08\x00" + ip + struct.pack(">HHHH", 1000 + flow, 2000, size - 34, 0)
        yield head + bytes(size - len(head) - 8) + struct.pack(">Q", i)


class LongFrames(lab.Lab):
    mtu = 9000

    def replay_long(self, count, *args):
        with open(self.path("long.pcap"), "wb") as file:
            file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
            for i, packet in enumerate(long_frames(count)):
                file.write(struct.pack("<IIII", 1, i, len(packet), len(packet)) + packet)
        return self.replay("long.pcap", "--cpus", CPUS[0], *args)

    def check(self, capture, replay, count=3000):
        run = self.capture("-q", "-w", "cap.pcap", *capture)
        replayed = self.replay_long(count, *replay)
        summary = self.stop_capture(run, code=None)
        self.assertEqual(replayed["sent"], count)
        self.assert_conserved(summary, replayed["sent"])
        sent = list(long_frames(count))
        got = [packet for _, _, packet in lab.pcap_records(self.read("cap.pcap"))]
        numbers = [lab.sequence(packet) for packet in got]
        self.assertEqual(len(set(numbers)), len(got))
        self.assertEqual(len(got), count - self.lost(summary) - sum(output["lost"] for output in summary["outputs"]))
        self.assertTrue(all(packet == sent[number] for number, packet in zip(numbers, got)), "each frame as it was sent")
        for flow in range(20):
            mine = [number for number in numbers if number % 20 == flow]
            self.assert_same(mine, sorted(mine), "a flow's frames in order")
        self.assert_nothing_left()
        return summary

    def test_at_a_rate__whole_and_none_lost(self):
        self.assertEqual(self.lost(self.check([], ["--rate", 5000])), 0)

    def test_fanout__whole_and_none_lost(self):
        summary = self.check(["--fanout", 3], ["--rate", 5000])
        self.assertEqual(self.lost(summary), 0)
        self.assertTrue(all(lane["packets_read"] for lane in summary["lanes"]))

    def test_flat_out_on_tiny_rings__every_loss_has_a_name(self):
        self.check(["--ring-size", 64], ["--flat-out"])

    def test_fanout_on_tiny_rings__every_loss_has_a_name(self):
        self.check(["--ring-size", 64, "--fanout", 2], ["--flat-out"])


class FanoutOverload(lab.Lab):
    def test_tiny_rings__every_loss_has_a_name(self):
        for lanes in 2, 3:
            with self.subTest(lanes=lanes):
                run = self.capture("-q", "-w", "cap.pcap", "--fanout", lanes, "--ring-size", 64)
                generated = self.generate("--cpu", CPUS[0], "--flows", 200, "--count", 300000)
                summary = self.stop_capture(run, code=None)
                self.assert_conserved(summary, generated["sent"])
                pcap = next(output for output in summary["outputs"] if output["name"] == "pcap")
                self.assert_sequences("cap.pcap", generated, pcap["records"])

    def test_few_buffers__every_loss_has_a_name(self):
        run = self.capture("-q", "--fanout", 2, "--ring-size", 512, "--frames", 300)
        generated = self.generate("--cpu", CPUS[0], "--flows", 200, "--count", 300000)
        self.assert_conserved(self.stop_capture(run), generated["sent"])


if __name__ == "__main__":
    lab.main()
