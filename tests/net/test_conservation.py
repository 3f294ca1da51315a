#!/usr/bin/env python3
"""generated = captured + every named loss, exactly, by the generator's own count; and the sequence numbers agree."""
import struct
import unittest

import lab
from lab import CPUS, SHORT


class Conservation(lab.Lab):
    def check(self, generate, capture=(), pcap="cap.pcap", lossless=False):
        run = self.capture(*(["-w", pcap] if pcap else []), "-q", *capture)
        generated = self.generate(*generate)
        summary = self.stop_capture(run, code=None)
        lost_by_disk = sum(output["lost"] for output in summary["outputs"])
        self.assertEqual(run.process.returncode, 2 if lost_by_disk else 0, run.text())
        self.assertEqual(generated["frames"], generated["sent"] + generated["refused"])
        self.assert_conserved(summary, generated["sent"])
        if lossless:
            self.assertEqual((self.lost(summary), generated["refused"]), (0, 0))
        if pcap:
            outputs = {output["name"]: output for output in summary["outputs"]}
            seen = self.assert_sequences(pcap, generated, outputs["pcap"]["records"])
            missing = generated["frames"] - len(seen)
            self.assertEqual(missing, generated["refused"] + self.lost(summary) + outputs["pcap"]["lost"])
            if len(summary["lanes"]) == 1:
                self.assert_same(seen, sorted(seen), "frames of one lane in order")
        self.assert_nothing_left()
        return generated, summary

    def test_sizes__each_frame_arrives_whole(self):
        for size in 64, 65, 128, 594, 1514:
            with self.subTest(size=size):
                generated, summary = self.check(["--size", size, "--flows", 50, "--count", 20000, "--rate", 50000], lossless=True)
                self.assertEqual(summary["bytes_read"], generated["bytes"])
                self.assertEqual(sum(queue["bytes"] for queue in summary["capture"]["queues"]), generated["bytes"])
                self.assertEqual(summary["flows_created"], 50)
                lengths = {len(packet) for _, _, packet in lab.pcap_records(self.read("cap.pcap"))}
                self.assertEqual(lengths, {size})

    def test_conversations__state_and_rtt_come_out(self):
        # 10 data segments each way: 47 frames for a conversation, two of them one after the other on each of 20 flows.
        _, summary = self.check(["--tcp", "--size", 300, "--flows", 20, "--segments", 10, "--count", 47 * 20 * 2, "--rate", 20000],
                                ["--export-json", "flows.json"], lossless=True)
        flows = self.load("flows.json")
        self.assertEqual(summary["flows_created"], 40)
        self.assertEqual(len(flows), 40)
        for flow in flows:
            self.assertEqual((flow["tcp_state"], flow["packets_total"], flow["retransmissions"]), ("closed", 47, 0), flow)
            self.assertEqual((flow["client"], flow["out_of_order"]), ("a_to_b", 0))
            # SYN, SYN-ACK, 20 data segments, two FINs: all of them answered.
            self.assertEqual(flow["rtt_samples"], 24)
        self.assertEqual(summary["rtt_samples"]["handshake"] + summary["rtt_samples"]["seq_ack"], 40 * 24)

    def test_flat_out__every_loss_has_a_name(self):
        generated, _ = self.check(["--flows", 1000, "--count", 300000 if SHORT else 1000000])
        self.assertGreater(generated["sent"], 0)

    def test_overload__tiny_rings(self):
        for ring in 64, 256:
            with self.subTest(ring=ring):
                _, summary = self.check(["--flows", 1000, "--count", 300000], ["--ring-size", ring])
                self.assertGreater(self.lost(summary), 0, "too fast for such a ring, on any machine")

    def test_overload__few_buffers(self):
        self.check(["--flows", 1000, "--count", 300000], ["--ring-size", 256, "--frames", 512])

    def test_overload__big_frames(self):
        self.check(["--flows", 100, "--size", 1514, "--count", 200000], ["--ring-size", 256])

    def test_overload__no_pcap_but_exports(self):
        _, summary = self.check(["--tcp", "--flows", 1000, "--count", 1000000],
                                ["--export-json", "flows.json", "--export-csv", "flows.csv", "--rtt-samples-jsonl", "rtt.jsonl"], pcap=None)
        self.assertEqual(len(self.load("flows.json")), summary["flows_created"])

    def test_generic_mode(self):
        # Live frames reach no program in generic mode: its frames come through the stack.
        run = self.capture("-q", "--mode", "generic", "-w", "cap.pcap")
        self.demo_capture()
        replayed = self.replay("demo.pcap", "--flat-out")
        summary = self.stop_capture(run)
        self.assertEqual(summary["capture"]["interfaces"][0]["mode"], "generic")
        self.assert_conserved(summary, replayed["sent"])

    def test_filter__what_it_drops_is_counted(self):
        run = self.capture("-q", "-w", "cap.pcap", "host 10.0.0.3")
        generated = self.generate("--flows", 10, "--count", 10000, "--rate", 50000)
        summary = self.stop_capture(run)
        filtered = summary["drops"]["filter"] + sum(queue["filtered"] for queue in summary["capture"]["queues"])
        self.assertEqual((generated["sent"], filtered, summary["packets_in_flows"]), (10000, 9000, 1000))


class TwoQueues(lab.Lab):
    queues = 2

    @unittest.skipIf(len(CPUS) < 2, "SKIPPED: one CPU reaches one queue only")
    def test_two_generators_at_once(self):
        run = self.capture("-q", "-w", "cap.pcap")
        generators = [self.start("src", lab.binary("live_gen"), "-i", "src0", "--cpu", CPUS[i], "--flows", 100, "--count", 200000,
                                 "--first-flow", 1000 * i, "--first-seq", 1000000 * i) for i in range(2)]
        generated = [generator.done().json() for generator in generators]
        summary = self.stop_capture(run)
        self.assert_conserved(summary, sum(one["sent"] for one in generated))
        self.assertEqual(len(summary["lanes"]), 2)
        for one, queue in zip(generated, sorted(summary["capture"]["queues"], key=lambda queue: queue["queue"])):
            self.assertEqual(one["sent"], queue["seen"])
        self.assertEqual(summary["flows_created"], 200)

    def test_queue_without_a_socket__counted_and_said(self):
        run = self.capture("-q", "--queues", 1 - CPUS[0] % 2, "-w", "cap.pcap")
        generated = self.generate("--cpu", CPUS[0], "--count", 5000, "--rate", 5000)
        summary = self.stop_capture(run)
        self.assert_conserved(summary, generated["sent"])
        self.assertEqual(sum(queue["no_socket"] for queue in summary["capture"]["queues"]), generated["sent"])
        self.assertIn("queue", run.errors())

    def test_fanout__every_loss_has_a_name(self):
        for lanes in 2, 4:
            with self.subTest(lanes=lanes):
                run = self.capture("-q", "--fanout", lanes, "-w", "cap.pcap")
                generated = self.generate("--cpu", CPUS[0], "--flows", 200, "--count", 300000)
                summary = self.stop_capture(run)
                self.assert_conserved(summary, generated["sent"])
                pcap = next(output for output in summary["outputs"] if output["name"] == "pcap")
                self.assert_sequences("cap.pcap", generated, pcap["records"])
                if not self.lost(summary):
                    self.assertEqual(summary["flows_created"], 200)
                self.assertEqual(sum(lane["packets_read"] > 0 for lane in summary["lanes"]), lanes)


class Jumbo(lab.Lab):
    mtu = 9000

    def test_frames_of_several_buffers(self):
        run = self.capture("-q", "-w", "cap.pcap")
        generated = self.generate("--size", 3000, "--flows", 20, "--count", 20000, "--rate", 20000)
        summary = self.stop_capture(run)
        self.assert_conserved(summary, generated["sent"])
        self.assertEqual(self.lost(summary), 0)
        self.assertEqual(summary["bytes_read"], generated["bytes"])
        self.assert_same(self.assert_sequences("cap.pcap", generated, 20000), list(range(20000)), "sequence numbers")


class Giant(lab.Lab):
    mtu = 65000

    def test_frames_of_forty_kilobytes(self):
        sizes = [64, 1514, 4000, 20000, 40000, 60000]
        packets = [bytes(12) + b"\x08\x00" + bytes([size & 255]) * (size - 14) for size in sizes] * 20
        with open(self.path("giant.pcap"), "wb") as file:
            file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
            for i, packet in enumerate(packets):
                file.write(struct.pack("<IIII", 1, i, len(packet), len(packet)) + packet)
        run = self.capture("-q", "-w", "cap.pcap")
        replayed = self.replay("giant.pcap", "--rate", 1000)
        summary = self.stop_capture(run)
        self.assertEqual(replayed["sent"], len(packets))
        self.assert_conserved(summary, replayed["sent"])
        if not self.lost(summary):
            self.assert_same([packet for _, _, packet in lab.pcap_records(self.read("cap.pcap"))], packets, "packets")


if __name__ == "__main__":
    lab.main()
