#!/usr/bin/env python3
"""The one-way flow formats live: several lanes, rotation, what is visible at any moment, kill -9, a full disk. nfdump and the small
readers of the interop tests judge."""
import collections
import os
import signal
import subprocess
import sys
import time

import lab

sys.path.insert(0, os.path.join(lab.ROOT, "tests", "interop"))
import flow_formats

SECS = 4 if lab.SHORT else 8
NAMES = {"pipe": "x.pipe", "nfcapd": "nf", "csv-flow": "x.csv", "binary": "bin", "hist": "hist", "series": "series"}
EXPORTS = [word for name, path in NAMES.items() for word in (f"--export-{name}", path)]


def nfdump(*arguments):
    run = subprocess.run(["nfdump", *arguments], capture_output=True, text=True, timeout=60)
    if run.returncode or run.stderr:
        raise AssertionError(f"nfdump {' '.join(arguments)}: {run.returncode} {run.stderr}")
    return [line for line in run.stdout.splitlines() if line != "No matching flows"]


class Formats(lab.Lab):
    def visible(self):
        """What a reader may open now: nfcapd files, and directories of columns."""
        nfcapd = [os.path.join(self.path("nf"), name) for name in sorted(os.listdir(self.path("nf"))) if not name.startswith("nfcapd.current")]
        binary = [os.path.join(self.path("bin"), name) for name in sorted(os.listdir(self.path("bin"))) if not name.startswith(".")]
        return nfcapd, binary

    def check_visible(self):
        """Whatever has its name is complete. Returns the lines of nfdump and the rows of the columns."""
        nfcapd, binary = self.visible()
        lines, rows = [], []
        for path in nfcapd:
            nfdump("-v", path)
            lines += nfdump("-r", path, "-q", "-o", "pipe")
        for path in binary:
            rows += flow_formats.read_binary(path)
        for name in os.listdir(self.path("series")):
            if not name.startswith("."):
                flow_formats.read_series(os.path.join(self.path("series"), name))
        for name in os.listdir(self.path("hist")):
            if not name.startswith("."):
                text = self.read(os.path.join("hist", name)).decode()
                self.assertTrue(text.startswith("bin_lo,bin_hi,flows_sum") and text.endswith("\n"), name)
        return lines, rows

    def series_sum(self, what):
        return sum(sum(flow_formats.read_series(self.path(os.path.join("series", name))).values())
                   for name in os.listdir(self.path("series")) if name.endswith("." + what))

    def check_all(self, packets):
        """All formats say the same, and all packets are in them."""
        lines, binary = self.check_visible()
        pipe = self.read("x.pipe").decode()
        self.assert_same(sorted(lines), sorted(pipe.splitlines()), "nfdump -o pipe against our pipe")
        rows = flow_formats.read_csv_flow(self.path("x.csv"))
        self.assert_same(sorted(binary), sorted(rows), "binary against csv_flow")
        pieces = flow_formats.read_pipe(pipe)
        self.assertEqual(sum(piece[-2] for piece in pieces), packets)
        self.assertEqual(sum(row.packets for row in rows), packets)
        self.assertEqual(sum(row.aggs for row in rows), len(pieces))
        self.assertEqual(self.series_sum("flows"), len(rows))
        self.assertEqual(self.series_sum("packets"), packets)
        self.assertEqual(self.series_sum("octets"), sum(row.octets for row in rows))
        for what, value_of in flow_formats.HISTOGRAMS.items():
            # Rates are added up lane by lane: doubles, whose last digit depends on the order.
            got, want = ([[int(x) for x in line.split(",")] for line in text.splitlines()[1:]]
                         for text in (self.read(f"hist/{what}.csv").decode(), flow_formats.histogram(rows, value_of, 12)))
            self.assert_same([line[:6] + line[7:] for line in got], [line[:6] + line[7:] for line in want], what)
            self.assertTrue(all(abs(g[6] - w[6]) <= 1 + w[6] * 1e-12 for g, w in zip(got, want)), what)
        return rows, pieces

    def test_lanes_and_rotation__all_formats_agree_at_any_moment(self):
        index = int(self.ip("mon", "-o", "link", "show", "dev", "mon0").split(":")[0])
        run = self.capture("-q", "--fanout", 2, "--rotate-s", 2, "--flow-timeout-s", 1, "--active-timeout-s", 2, *EXPORTS)
        tcp = self.start("src", lab.binary("live_gen"), "-i", "src0", "--tcp", "--flows", 50, "--segments", 20, "--rate", 4000, "--duration", SECS)
        udp = self.start("src", lab.binary("live_gen"), "-i", "src0", "--flows", 100, "--first-flow", 1000, "--size", 300, "--rate", 2000,
                         "--duration", SECS)
        looks = 0
        while tcp.process.poll() is None or udp.process.poll() is None:
            self.check_visible()
            looks += 1
            time.sleep(0.3)
        tcp, udp = tcp.done().json(), udp.done().json()
        time.sleep(2)  # flows end by the clock, while nothing comes
        lab.wait_for(lambda: len(flow_formats.read_csv_flow(self.path("x.csv"))) >= 200, "flows that ended are in the file")
        summary = self.stop_capture(run)
        self.assert_conserved(summary, tcp["sent"] + udp["sent"])
        self.assertEqual(self.lost(summary), 0)
        rows, pieces = self.check_all(summary["packets_in_flows"])
        self.assertEqual({(row.inif, row.outif) for row in rows}, {(index, 0)})
        self.assertGreater(len(pieces), len(rows), "the active timeout cuts")
        self.assertGreater(len(self.visible()[0]), SECS // 2)
        self.assertEqual(sum(lane["packets_in_flows"] > 0 for lane in summary["lanes"]), 2)
        # TCP: 50 conversations at a time in both directions, with RTTs; all with MAC addresses.
        self.assertGreaterEqual(len({row[2:14] for row in rows if row.prot == 6}), 100)
        text = "\n".join(nfdump("-R", self.path("nf"), "-q", "-o", "json"))
        self.assertEqual(text.count('"type" : "FLOW"'), len(pieces))
        for word in ('"srv_latency"', f'"input_snmp" : {index}', '"in_src_mac" : "02:'):
            self.assertIn(word, text)
        self.assertGreater(looks, 3)

    def test_two_runs_in_one_interval__nothing_of_the_first_is_lost(self):
        packets = 0
        for first in 0, 5000:
            run = self.capture("-q", "--rotate-s", 3600, "--active-timeout-s", 0, *EXPORTS)
            self.generate("--flows", 20, "--count", 2000, "--rate", 20000, "--first-flow", first)
            packets += self.stop_capture(run)["packets_in_flows"]
        lines, rows = self.check_visible()
        self.assertEqual(sum(piece[-2] for piece in flow_formats.read_pipe("\n".join(lines))), packets)
        self.assertEqual(sum(row.packets for row in rows), packets)
        self.assertEqual((self.series_sum("flows"), self.series_sum("packets")), (40, packets))

    def test_kill_9_under_load__what_is_visible_is_complete(self):
        generator = self.start("src", lab.binary("live_gen"), "-i", "src0", "--tcp", "--flows", 2000, "--segments", 1, "--rate", 100000)
        for kill in range(2 if lab.SHORT else 6):
            run = self.capture("-q", "--fanout", 2, "--rotate-s", 1, "--flow-timeout-s", 1, *EXPORTS)
            time.sleep(2.5 + 0.17 * kill)
            run.stop(signal.SIGKILL, code=-signal.SIGKILL)
            lines, rows = self.check_visible()
            self.assertTrue(lines and rows)
            self.assert_nothing_left()
        generator.stop()
        hidden = collections.Counter(name.split(".")[1] for name in os.listdir(self.path("nf")) if name.startswith("nfcapd.current"))
        self.assertLessEqual(sum(hidden.values()), 2 * (kill + 1))
        # What the killed ones left is in nobody's way: neither that of nfdump, nor of the next run.
        nfdump("-R", self.path("nf"), "-q", "-o", "pipe")
        run = self.capture("-q", *EXPORTS)
        generated = self.generate("--count", 1000, "--rate", 10000)
        self.assert_conserved(self.stop_capture(run), generated["sent"])

    def test_full_disk__said_counted_and_the_others_complete(self):
        full = lab.tmpfs(self, "256k")
        run = self.capture("-q", "--flow-timeout-s", 1, "--nfcapd-compress", "none", "--rotate-s", 2, "--export-nfcapd", f"{full}/nf", "--export-binary",
                           f"{full}/bin", "--export-pipe", "x.pipe", "--export-csv-flow", "x.csv")
        self.generate("--flows", 60000, "--count", 120000, "--rate", 40000)
        summary = self.stop_capture(run, code=2)
        outputs = {output["name"]: output for output in summary["outputs"]}
        for name in "nfcapd", "binary":
            self.assertGreater(outputs[name]["lost"], 0, name)
            self.assertIn(f"{full}/{NAMES[name]}", run.errors())
        self.assertIn("No space left on device", run.errors())
        pieces = flow_formats.read_pipe(self.read("x.pipe").decode())
        self.assertEqual(sum(piece[-2] for piece in pieces), summary["packets_in_flows"])
        self.assertEqual(outputs["nfcapd"]["records"] + outputs["nfcapd"]["lost"], len(pieces))
        for name in os.listdir(f"{full}/nf"):
            if not name.startswith("nfcapd.current"):
                nfdump("-v", f"{full}/nf/{name}")
        for name in os.listdir(f"{full}/bin"):
            if not name.startswith("."):
                flow_formats.read_binary(f"{full}/bin/{name}")


if __name__ == "__main__":
    lab.main()
