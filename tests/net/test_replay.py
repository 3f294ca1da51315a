#!/usr/bin/env python3
"""A capture that is replayed and captured live is the same capture: packets, order per flow, flows apart from times."""
import collections
import unittest

import lab
from lab import CPUS

SPEED = 3  # the capture lasts 11 s; its round trip times of 10 ms and more stay above the noise of a busy machine


def packets_of(data):
    return [packet for _, _, packet in lab.pcap_records(data)]


def flow_of(packet):
    """Addresses, protocol and ports in either direction; a fragment goes by its addresses, what is not IP is one flow."""
    at = 12
    while packet[at:at + 2] in (b"\x81\x00", b"\x88\xa8"):
        at += 4
    kind, at = packet[at:at + 2], at + 2
    if kind == b"\x08\x00" and len(packet) >= at + 20:
        ends = [packet[at + 12:at + 16], packet[at + 16:at + 20]]
        protocol, l4 = packet[at + 9], at + 20
        if (packet[at + 6] & 0x3f or packet[at + 7]) or protocol not in (6, 17):
            return protocol, frozenset(ends)
    elif kind == b"\x86\xdd" and len(packet) >= at + 40:
        ends = [packet[at + 8:at + 24], packet[at + 24:at + 40]]
        protocol, l4 = packet[at + 6], at + 40
        if protocol not in (6, 17):
            return protocol, frozenset(ends)
    else:
        return None
    return protocol, frozenset((ends[0] + packet[l4:l4 + 2], ends[1] + packet[l4 + 2:l4 + 4]))


def by_flow(packets):
    groups = collections.defaultdict(list)
    for packet in packets:
        groups[flow_of(packet)].append(packet)
    return groups


def without_times(flows):
    keep = ("protocol", "endpoint_a", "endpoint_b", "packets_a_to_b", "packets_b_to_a", "bytes_a_to_b", "bytes_b_to_a", "tcp_state",
            "client", "retransmissions", "out_of_order", "rtt_samples")
    return sorted(str([flow.get(name) for name in keep]) for flow in flows)


class Replay(lab.Lab):
    def check(self, capture=(), replay=()):
        file = self.demo_capture()
        outputs = ["--export-json", "flows.json", "--export-csv", "flows.csv", "--all-protocols"]
        run = self.capture("-q", "-w", "live.pcap", *outputs, *capture)
        replayed = self.replay(file, "--speed", SPEED, *replay)
        summary = self.stop_capture(run)
        self.assertEqual(replayed["frames"], replayed["sent"])
        self.assert_conserved(summary, replayed["sent"])
        self.assertEqual(self.lost(summary), 0)
        live, sent = packets_of(self.read("live.pcap")), packets_of(self.read("demo.pcap"))
        self.assertEqual(len(live), len(sent))
        groups, expected = by_flow(live), by_flow(sent)
        self.assertEqual(set(groups), set(expected))
        for key, packets in expected.items():
            self.assert_same(groups[key], packets, f"packets of flow {key}")
        flows, csv = self.load("flows.json"), self.read("flows.csv")
        self.offline("-r", "demo.pcap", "--summary-json", "offline.json", *outputs)
        offline = self.load("offline.json")
        self.assert_same(without_times(flows), without_times(self.load("flows.json")), "flows")
        self.assertEqual(csv.count(b"\n"), self.read("flows.csv").count(b"\n"))
        for key in "packets_read", "packets_decoded", "packets_in_flows", "no_flow", "drops", "flows_created":
            self.assertEqual(summary[key], offline[key], key)
        # One packet is cut in the file; live, what was cut off was never there.
        self.assertEqual(summary["bytes_read"], replayed["bytes"])
        self.assert_nothing_left()
        return live, sent, summary

    def test_one_lane__same_order_too(self):
        live, sent, _ = self.check(replay=["--cpus", CPUS[0]])
        self.assert_same(live, sent, "packets")

    def test_fanout_2(self):
        self.assertEqual(len(self.check(["--fanout", 2], ["--cpus", CPUS[0]])[2]["lanes"]), 2)

    def test_fanout_4__a_pcap_per_lane_too(self):
        self.assertEqual(len(self.check(["--fanout", 4], ["--cpus", CPUS[0]])[2]["lanes"]), 4)

    def test_times__those_of_the_wire(self):
        # The live pcap's times move like the file's, to a few milliseconds on a busy machine.
        self.demo_capture()
        run = self.capture("-q", "-w", "live.pcap")
        self.replay("demo.pcap", "--speed", SPEED, "--cpus", CPUS[0])
        summary = self.stop_capture(run)
        self.assertEqual(summary["capture"]["interfaces"][0]["ts_source"], "xdp")
        times = [[ns / 1e9 for ns, _, _ in lab.pcap_records(self.read(name))] for name in ("demo.pcap", "live.pcap")]
        self.assert_same(times[1], sorted(times[1]), "times in order")
        off = sorted(abs((live - times[1][0]) - (file - times[0][0]) / SPEED) for file, live in zip(*times))
        self.assertLess(off[len(off) // 2], 0.02)


class ReplayTwoQueues(Replay):
    queues = 2

    @unittest.skipIf(len(CPUS) < 2, "SKIPPED: one CPU reaches one queue only")
    def test_two_lanes_on_two_queues(self):
        _, _, summary = self.check(replay=["--cpus", f"{CPUS[0]},{CPUS[1]}"])
        self.assertEqual(len(summary["lanes"]), 2)
        self.assertTrue(all(lane["packets_read"] > 100 for lane in summary["lanes"]))

    test_one_lane__same_order_too = test_fanout_2 = test_fanout_4__a_pcap_per_lane_too = test_times__those_of_the_wire = None


if __name__ == "__main__":
    lab.main()
