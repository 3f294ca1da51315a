#!/usr/bin/env python3
"""A live sensor streams what it captures to a receiver in another namespace: both ends have the same flows and packets. The stream may
leave through the very interface that is captured, and is no part of what is captured.

       NAME-src                          NAME-mon
   +------------------+            +--------------------+
   | live_replay      |            | flowlane -i mon0   |
   | flowlane receive |============|   --stream-grpc    |
   |  198.18.0.1  src0|            |mon0  198.18.0.2    |
   +------------------+            +--------------------+
"""
import signal
import unittest

import lab


class Stream(lab.Lab):
    def start_receiver(self, *args):
        self.ip("src", "address", "add", "198.18.0.1/24", "dev", "src0")
        self.ip("mon", "address", "add", "198.18.0.2/24", "dev", "mon0")
        return self.start("src", lab.binary("flowlane"), "receive", "--listen", "198.18.0.1:50051", "-q", "--summary-json", "rx.json", *args)

    def test_both_ends_have_the_same(self):
        file = self.demo_capture()
        outputs = ["--export-json", "{}-flows.json", "--export-csv", "{}-flows.csv", "--rtt-samples-jsonl", "{}-rtt.jsonl", "--extended",
                   "--all-protocols", "--pcap-precision", "ns", "-w", "{}.pcap"]
        receiver = self.start_receiver(*(word.format("received") for word in outputs))
        run = self.capture("-q", "--stream-grpc", "198.18.0.1:50051", *(word.format("captured") for word in outputs))
        replayed = self.replay(file, "--speed", "3")
        sensor = self.stop_capture(run)
        receiver.stop()
        received = self.load("rx.json")
        stream = next(output for output in sensor["outputs"] if output["name"] == "grpc")["details"]
        self.assertEqual(sensor["packets_read"], replayed["sent"], "neither more nor less: the stream itself is left out")
        self.assertEqual(stream["confirmed"], replayed["sent"])
        self.assertEqual(received["packets_read"], replayed["sent"])
        queue, = sensor["capture"]["queues"]
        self.assertGreater(queue["filtered"], 0, "what the collector answers goes to the host")
        for name in ("flows.json", "flows.csv"):
            self.assertEqual(self.read(f"captured-{name}"), self.read(f"received-{name}"), name)
        samples = [sorted(self.read(f"{end}-rtt.jsonl").splitlines()) for end in ("captured", "received")]
        self.assert_same(samples[1], samples[0], "RTT samples")  # the order of their lines depends on the batches
        self.assert_same(list(lab.pcap_records(self.read("received.pcap"))), list(lab.pcap_records(self.read("captured.pcap"))), "packets")

    def test_collector_that_is_away(self):
        """Live, nothing waits: what does not fit the buffer is dropped and counted, and the capture does not lose a packet for it."""
        self.ip("src", "address", "add", "198.18.0.1/24", "dev", "src0")
        self.ip("mon", "address", "add", "198.18.0.2/24", "dev", "mon0")
        run = self.capture("-q", "--stream-grpc", "198.18.0.1:50051", "--stream-buffer-mb", "2")
        sent = self.generate("--rate", "20000", "--count", "60000")
        run.process.send_signal(signal.SIGINT)
        run.done(2)
        summary = self.load("summary.json")
        output = next(output for output in summary["outputs"] if output["name"] == "grpc")
        parts = output["details"]
        self.assertEqual(parts["offered"], summary["packets_read"])
        self.assertEqual(parts["offered"], sum(count for name, count in parts.items() if name != "offered"))
        self.assertGreaterEqual(summary["packets_read"], sent["sent"])
        self.assertGreater(parts["dropped_no_connection"], 0)
        self.assertIn("trying again", run.errors())


if __name__ == "__main__":
    lab.main()
