#!/usr/bin/env python3
"""Alerts of a live capture: those of the file that was replayed, on one lane and spread over several, while it runs."""
import json
import subprocess
import unittest

import lab
from lab import CPUS


class Alerts(lab.Lab):
    def alerts(self, name):
        # Without times; what has failed is known sooner or later, so order is not compared.
        lines = [json.loads(line) for line in self.read(name).splitlines()]
        return sorted((alert["kind"], alert["description"], alert.get("src"), alert.get("dst"), alert["count"]) for alert in lines)

    def has_ncap(self):
        return b"flowlane dump" in subprocess.run([lab.binary("flowlane"), "dump", "--help"], capture_output=True, check=False).stdout

    def check(self, *capture):
        file = self.demo_capture()
        records = ["--ncap", "audit", "--ncap-include", "Alert"] if self.has_ncap() else []
        run = self.capture("--anomalies", "--alerts-jsonl", "live.jsonl", *records, *capture)
        replayed = self.replay(file, "--cpus", CPUS[0])
        # The flood is told of before the end.
        lab.wait_for(lambda: b"syn_flood" in self.read("live.jsonl"), "the alert about the flood")
        summary = self.stop_capture(run)
        self.assert_conserved(summary, replayed["sent"])
        self.offline("-r", file, "--anomalies", "--alerts-jsonl", "file.jsonl")
        self.assertEqual(self.alerts("live.jsonl"), self.alerts("file.jsonl"))
        self.assertIn("[alert] SYN flood suspected: 200 syns, 120 sources to 203.0.113.80:443\n", run.text())
        self.assertEqual(summary["anomalies"]["events_lost"], 0)
        self.assertEqual(summary["anomalies"]["alerts"]["port_scan"], 1)
        if records:
            dump = self.start("mon", lab.binary("flowlane"), "dump", "--json", self.path("audit/Alert.ncap.gz")).done()
            self.assertEqual([(record["Name"], record["Description"]) for record in map(json.loads, dump.text(dump.out).splitlines())],
                             [(alert["kind"], alert["description"]) for alert in map(json.loads, self.read("live.jsonl").splitlines())])

    def test_one_lane__all_memory_at_the_start(self):
        self.check("--populate", "--max-flows", "64k")

    def test_four_lanes(self):
        self.check("--fanout", 4)


if __name__ == "__main__":
    lab.main()
