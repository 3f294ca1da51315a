#!/usr/bin/env python3
"""Runs the built program as a user would: good and bad inputs, options, outputs, signals.

test_cli.py FLOWLANE [unittest options]. No root, no network, nothing outside a temporary folder.
"""
import fcntl
import json
import os
import re
import resource
import signal
import struct
import subprocess
import sys
import time
import unittest

from cli_case import ARP, BROKEN_IP, FLOWLANE, ROOT, START, TIMEOUT_SECS, CliTest, pcap, record, udp


class Usage(CliTest):
    def test_wrong_options__one_sentence_exit_1_nothing_written(self):
        self.write("a.pcap", pcap([udp(1)]))
        cases = [
            ([], "nothing to read"),
            (["tcp"], "nothing to read"),
            (["-r"], "-r needs a file name"),
            (["recieve", "--listen", "127.0.0.1:50051", "--bogus"], "did you mean flowlane receive?"),
            (["-r", "a.pcap", "--export", "x"], "there are --export-rocksdb, --export-json, "),
            (["--bogus"], "unknown option --bogus"),
            (["-r", "a.pcap", "--export-jsn", "x"], "did you mean --export-json?"),
            (["-r", "a.pcap", "-Z"], "unknown option -Z"),
            (["-r", "a.pcap", "--lanes", "x"], "whole number from 1 to 64"),
            (["-r", "a.pcap", "--lanes", "65"], "out of range"),
            (["-r", "a.pcap", "-c", "-1"], "'-1' is not understood"),
            (["-r", "a.pcap", "--flow-timeout-s", "soon"], "seconds"),
            (["-r", "a.pcap", "--pcap-precision", "ms"], "auto, us or ns"),
            (["-r", "a.pcap", "--write-pcap-rotate-mb", "1"], "--write-pcap FILE"),
            (["-r", "a.pcap", "-w", "x", "--write-pcap-max-files", "2"], "needs rotation"),
            (["-r", "-", "-r", "-"], "standard input"),
            (["-r", "a.pcap", "-w", "a.pcap"], "overwrite the input"),
            (["-r", "a.pcap", "-w", "x", "--export-json", "x"], "both write to x"),
            (["-r", "a.pcap", "-w", "-", "--summary-json", "-"], "standard output"),
            (["-r", "a.pcap", "a.pcap"], "give -r a.pcap"),
            (["-r", "a.pcap", "--export-json", "x", "tcp", "prot", "80"], "tcp prot 80"),
            (["-r", "a.pcap", "--export-json", "x", "portt"], "portt"),
        ]
        for args, part in cases:
            with self.subTest(args=args):
                out, err = self.run_it(*args, code=1)
                self.assertEqual(out, b"")
                self.assert_one_line(err, part)
                self.assertEqual(os.listdir(self.folder), ["a.pcap"])

    def test_wrong_detectors__option_or_key_named_exit_1(self):
        self.write("a.pcap", pcap([udp(1)]))
        cases = [
            ("syn_flood:syns=0", "syn_flood: syns '0': it takes a whole number from 1 to"),
            ("syn_flood:window=-1", "syn_flood: window '-1': it takes seconds from 0.001 to"),
            ("syn_flood:window=0", "syn_flood: window '0'"),
            ("rtt_shift:cooldown=soon", "rtt_shift: cooldown 'soon'"),
            ("syn_flod:syns=1", "did you mean 'syn_flood'?"),
            ("port_scan:syns=1", "it takes ports=N, hosts=N, window=SECS"),
            ("beaconing", "such as syn_flood:syns=100"),
            ("all:syns=1", "all takes on or off"),
        ]
        for text, part in cases:
            self.write("flow.yaml", f'anomalies:\n  enabled: yes\n  detectors:\n    - "{text}"\n')
            for where, args in (("--detector: ", ["--anomalies", "--detector", text]),
                                ("flow.yaml: line 4: anomalies.detectors: ", ["--config", "flow.yaml"])):
                with self.subTest(args=args):
                    out, err = self.run_it("-r", "a.pcap", *args, code=1)
                    self.assertEqual(out, b"")
                    self.assert_one_line(err, part)
                    self.assert_one_line(err, where)

    def test_populate__more_than_there_is__says_what_to_lower(self):
        self.write("a.pcap", pcap([udp(1)]))
        _, err = self.run_it("-r", "a.pcap", "--populate", "--max-flows", "536870912", "--export-json", "x", code=2)
        self.assert_one_line(err, "--populate: the tables take ", " MiB are available; lower --max-flows")
        self.assertEqual(os.listdir(self.folder), ["a.pcap"])

    def test_alerts_without_detectors__says_what_to_add(self):
        self.write("a.pcap", pcap([udp(1)]))
        _, err = self.run_it("-r", "a.pcap", "--alerts-jsonl", "x", code=1)
        self.assert_one_line(err, "add --anomalies")
        self.assertEqual(os.listdir(self.folder), ["a.pcap"])

    def test_information__printed_exit_0(self):
        for option, part in [("--help", b"usage: flowlane"), ("-h", b"Exit codes"), ("--version", b"flowlane "), ("-V", b"flowlane "),
                             ("--man", b".TH FLOWLANE 1"), ("--markdown", b"# Options")]:
            with self.subTest(option=option):
                out, err = self.run_it(option)
                self.assertIn(part, out)
                self.assertEqual(err, "")

    def test_help__to_a_full_disk__exit_2(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([FLOWLANE, "--help"], stdout=full, stderr=subprocess.PIPE, timeout=TIMEOUT_SECS)
        self.assertEqual(done.returncode, 2)
        self.assert_one_line(done.stderr.decode(), "standard output", "No space left on device")

    def test_options_md__is_what_the_program_prints(self):
        with open(os.path.join(ROOT, "docs", "options.md"), "rb") as file:
            documented = file.read()
        self.assertEqual(self.run_it("--markdown")[0], documented, "docs/options.md is stale: flowlane --markdown > docs/options.md")


    def test_summary_md__names_every_verdict(self):
        with open(os.path.join(ROOT, "docs", "summary.md")) as file:
            documented = file.read()
        with open(os.path.join(ROOT, "include", "flowlane", "verdict.h")) as file:
            verdicts = re.findall(r'X\((?:NOFLOW|DROP)_\w+,\s*"(\w+)",\s*"([^"]+)"\)', file.read())
        self.assertGreater(len(verdicts), 20)
        for name, text in verdicts:
            self.assertIn(f"| `{name}` | {text} |", documented)


class Config(CliTest):
    def test_wrong_file__names_file_and_place_exit_1(self):
        cases = [
            ("input:\n  read_pcap: [a]\n  fliter: tcp\n", "line 3: unknown key 'input.fliter'; did you mean 'filter'?"),
            ("run:\n  lanes: many\n", "run.lanes: 'many' is not understood"),
            ("flow:\n  max_flows: 0\n", "flow.max_flows: 0 is out of range"),
            ("input: {count: 1\n", "not valid YAML"),
            ("input:\n  read_pcap: a.pcap\n", "'input.read_pcap' takes a list"),
        ]
        for text, part in cases:
            with self.subTest(part=part):
                self.write("c.yaml", text)
                self.assert_one_line(self.run_it("--config", "c.yaml", code=1)[1], "c.yaml: ", part)
        self.assert_one_line(self.run_it("--config", "none.yaml", code=1)[1], "none.yaml", "No such file")
        self.assert_one_line(self.run_it("--config", ".", code=1)[1], "Is a directory")

    def test_dump__read_back__same(self):
        args = ["-r", "a b.pcap", "-r", "c#\".pcap", "--flow-timeout-s", "1.25", "--extended", "--export-scope", "live", "--max-flows", "64k",
                "-w", "out.pcap", "--write-pcap-rotate-mb", "7", "udp", "port", "53"]
        first, err = self.run_it("--dump-config", *args)
        self.assertEqual(err, "")
        self.write("c.yaml", first)
        self.assertEqual(self.run_it("--config", "c.yaml", "--dump-config")[0], first)
        sizes = self.run_it("--config", "c.yaml", "--dump-config", "--sizes")[0]
        self.assertTrue(sizes.startswith(first))
        self.assertIn(b"slab_bytes", sizes)
        self.write("c.yaml", sizes)
        self.assertEqual(self.run_it("--config", "c.yaml", "--dump-config")[0], first)

    def test_run__from_config__command_line_wins(self):
        self.write("a.pcap", pcap([udp(i) for i in range(5)]))
        self.write("c.yaml", "input: {read_pcap: [a.pcap], count: 3}\nsummary: {json: s.json}\nrun: {quiet: true}\n")
        out, err = self.run_it("--config", "c.yaml")
        self.assertEqual((out, err), (b"", ""))
        self.assertEqual(self.load("s.json")["packets_read"], 3)
        self.run_it("--config", "c.yaml", "-c", "4")
        self.assertEqual(self.load("s.json")["packets_read"], 4)


class BadInput(CliTest):
    def assert_bad(self, name, *parts):
        out, err = self.run_it("-r", name, "--export-json", "flows.json", code=2)
        self.assert_one_line(err, name, *parts)
        return out

    def test_empty_file(self):
        self.write("bad", b"")
        self.assert_bad("bad")

    def test_ten_bytes(self):
        self.write("bad", pcap([udp(1)])[:10])
        self.assert_bad("bad")

    def test_text_file(self):
        self.write("bad", "This is a text file, not a capture.\n" * 10)
        self.assert_bad("bad")

    def test_directory(self):
        os.mkdir(self.path("bad"))
        self.assert_bad("bad", "directory")

    def test_missing(self):
        self.assert_bad("bad", "No such file or directory")

    def test_second_of_two_missing(self):
        self.write("a.pcap", pcap([udp(1)]))
        self.assert_one_line(self.run_it("-r", "a.pcap", "-r", "bad", code=2)[1], "bad", "No such file")

    def test_not_readable(self):
        os.chmod(self.write("bad", pcap([udp(1)])), 0)
        _, err = self.run_unprivileged("-r", "bad", code=2)
        self.assert_one_line(err, "bad", "Permission denied")

    def test_foreign_link_type(self):
        self.write("bad", pcap([udp(1)], link=195))  # IEEE 802.15.4
        self.assert_bad("bad", "link")

    def test_truncated__what_is_whole_is_exported(self):
        whole = pcap([udp(i) for i in range(4)])
        for cut, packets in [(1, 3), (len(udp(0)), 3), (len(udp(0)) + 15, 3), (len(udp(0)) + 16 + 30, 2)]:
            with self.subTest(cut=cut):
                self.write("bad", whole[:-cut])
                out, err = self.run_it("-r", "bad", "--export-json", "flows.json", "-w", "copy.pcap", "--summary-json", "s.json", code=2)
                self.assert_one_line(err, "bad")
                self.assertIn(b"Truncated input", out)
                summary = self.load("s.json")
                self.assertIs(summary["truncated"], True)
                self.assertEqual(summary["packets_read"], packets)
                self.assert_ledger(summary)
                self.assertEqual(len(self.load("flows.json")), packets)
                self.assertEqual(self.read("copy.pcap")[24:], whole[24:24 + packets * len(record(udp(0)))])

    def test_corrupt_record_length__what_is_before_is_exported(self):
        good = pcap([udp(i) for i in range(3)])
        for length in 0x7fffffff, 0xffffffff, 0x10000000:
            with self.subTest(length=length):
                self.write("bad", good + struct.pack("<IIII", START, 0, length, length) + udp(4) * 100)
                _, err = self.run_it("-r", "bad", "--export-json", "flows.json", "--summary-json", "s.json", code=2)
                self.assert_one_line(err, "bad")
                self.assertEqual(self.load("s.json")["packets_read"], 3)
                self.assertEqual(len(self.load("flows.json")), 3)

    def test_no_packets__fine(self):
        self.write("none.pcap", pcap([]))
        self.run_it("-r", "none.pcap", "--export-json", "flows.json", "--export-csv", "flows.csv", "--summary-json", "s.json", "--stats", "--top-flows", 3)
        self.assertEqual(self.read("flows.json"), b"[]\n")
        self.assertEqual(self.read("flows.csv").count(b"\n"), 1)
        self.assertIsNone(self.load("s.json")["first_packet"])


class BadOutput(CliTest):
    OUTPUTS = ["-w", "--export-json", "--export-csv", "--expired-flows-jsonl", "--summary-json"]

    def setUp(self):
        super().setUp()
        self.write("a.pcap", pcap([udp(i) for i in range(100)]))

    def test_no_such_folder(self):
        for option in self.OUTPUTS:
            with self.subTest(option=option):
                _, err = self.run_it("-r", "a.pcap", option, "nowhere/x", code=2)
                self.assert_one_line(err, "nowhere/x", "No such file or directory")

    def test_folder_as_file(self):
        os.mkdir(self.path("folder"))
        for option in self.OUTPUTS:
            with self.subTest(option=option):
                _, err = self.run_it("-r", "a.pcap", option, "folder", code=2)
                self.assert_one_line(err, "folder", "directory")

    def test_folder_not_writable(self):
        os.mkdir(self.path("closed"), 0o500)
        for option in self.OUTPUTS:
            with self.subTest(option=option):
                _, err = self.run_unprivileged("-r", "a.pcap", option, "closed/x", code=2)
                self.assert_one_line(err, "closed/x", "Permission denied")

    def test_disk_full__one_sentence_the_other_outputs_are_complete(self):
        # Through a link: were the device itself ever renamed over, the test and not the machine would break.
        os.symlink("/dev/full", self.path("full"))
        for option in "--export-json", "--export-csv", "--expired-flows-jsonl", "--summary-json":
            with self.subTest(option=option):
                other = "--export-csv" if option != "--export-csv" else "--export-json"
                out, err = self.run_it("-r", "a.pcap", "--flow-timeout-s", "0.001", option, "full", other, "other", code=2)
                self.assert_one_line(err, "full", "No space left on device")
                self.assertTrue(os.path.islink(self.path("full")))
                self.assertGreaterEqual(self.read("other").count(b"10.1.0.1"), 100)
                if option != "--summary-json":
                    self.assertIn(b"FAILED: No space left on device", out)

    def test_disk_full__before_the_first_packet__refused(self):
        os.symlink("/dev/full", self.path("full"))
        self.assert_one_line(self.run_it("-r", "a.pcap", "-w", "full", code=2)[1], "full", "No space left on device")

    def test_disk_full__in_the_middle__counted_as_lost_and_the_rest_goes_on(self):
        self.write("big.pcap", pcap([udp(i % 20, b"y" * 1000) for i in range(3000)]))
        _, err = self.run_it("-q", "-r", "big.pcap", "-w", "copy.pcap", "--export-json", "flows.json", "--summary-json", "s.json", code=2,
                             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)))
        self.assert_one_line(err, "copy.pcap", "File too large")
        summary = self.load("s.json")
        outputs = {output["name"]: output for output in summary["outputs"]}
        self.assertEqual(outputs["pcap"]["error"], "File too large")
        self.assertEqual(outputs["pcap"]["records"] + outputs["pcap"]["lost"], 3000)
        self.assertGreater(outputs["pcap"]["lost"], 0)
        self.assertEqual((outputs["json"]["error"], outputs["json"]["lost"], outputs["json"]["records"]), (None, 0, 20))
        self.assertEqual(len(self.load("flows.json")), 20)
        self.assertEqual(summary["packets_in_flows"], 3000)
        # What was written is whole: it is read back to the last record.
        self.run_it("-q", "-r", "copy.pcap", "--summary-json", "back.json")
        self.assertEqual(self.load("back.json")["packets_read"], outputs["pcap"]["records"])

    def test_open_fails__earlier_exports_stay(self):
        self.write("old.json", "precious")
        self.run_it("-r", "a.pcap", "--export-json", "old.json", "--expired-flows-jsonl", "nowhere/x", code=2)
        self.assertEqual(self.read("old.json"), b"precious")
        self.assertEqual(sorted(os.listdir(self.folder)), ["a.pcap", "old.json"])

    def test_reader_gone__exit_2(self):
        self.write("big.pcap", pcap([udp(i, b"y" * 1000) for i in range(2000)]))
        with subprocess.Popen([FLOWLANE, "-q", "-r", self.path("big.pcap"), "-w", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            child.stdout.read(10)
            child.stdout.close()
            err = child.stderr.read().decode()
            self.assertEqual(child.wait(TIMEOUT_SECS), 2)
        self.assert_one_line(err, "standard output", "Broken pipe")


class Results(CliTest):
    def setUp(self):
        super().setUp()
        self.packets = [udp(i % 50) for i in range(500)] + [ARP] * 3 + [BROKEN_IP] * 4 + [b"\x01"] * 5
        self.write("a.pcap", pcap(self.packets))

    def test_summary_json__invariants_for_one_and_two_lanes(self):
        summaries = []
        for lanes in 1, 2, 5:
            self.run_it("-q", "-r", "a.pcap", "--lanes", lanes, "--summary-json", "s.json", "--export-json", f"flows{lanes}.json")
            summary = self.load("s.json")
            self.assert_ledger(summary)
            self.assertEqual(summary["packets_read"], 512)
            self.assertEqual(summary["bytes_read"], sum(map(len, self.packets)))
            self.assertEqual(summary["no_flow"], {"arp": 3})
            self.assertEqual(summary["drops"], {"filter": 0, "ipv4_short": 4, "link_short": 5})
            self.assertEqual(summary["flows_created"], 50)
            self.assertEqual((summary["truncated"], summary["stopped"]), (False, False))
            self.assertEqual(len(summary["lanes"]), lanes)
            self.assertEqual(self.read(f"flows{lanes}.json"), self.read("flows1.json"))
            for key in "wall_secs", "cpu_secs", "lanes", "sizes", "outputs":
                del summary[key]
            summaries.append(summary)
        self.assertEqual(summaries[0], summaries[1])
        self.assertEqual(summaries[0], summaries[2])
        self.assertEqual((summaries[0]["first_packet"], summaries[0]["last_packet"]), (START, START + 0.511))

    def test_alerts__on_the_console_and_as_lines(self):
        self.write("udp.pcap", pcap([udp(i) for i in range(30)]))
        line = (b'{"ts":1700000000.029,"kind":"udp_flood","description":"UDP flood suspected: 30 unanswered packets in 5 s to 10.1.0.1",'
                b'"severity":"high","dst":"10.1.0.1","count":30,"window_secs":5.0}\n')
        console = b"[alert] UDP flood suspected: 30 unanswered packets in 5 s to 10.1.0.1\n"
        args = ["-r", "udp.pcap", "--anomalies", "--detector", "udp_flood:packets=30", "--alerts-jsonl"]
        out, _ = self.run_it(*args, "a.jsonl", "--summary-json", "s.json")
        self.assertIn(console, out)
        self.assertEqual(self.read("a.jsonl"), line)
        self.assertEqual(self.load("s.json")["anomalies"]["alerts"]["udp_flood"], 1)
        out, err = self.run_it(*args, "-")
        self.assertEqual(out, line)
        self.assertIn(console.decode(), err)
        self.assertEqual(self.run_it(*args, "a.jsonl", "-q")[0], b"")

    def test_filter_and_count__in_the_ledger(self):
        self.run_it("-q", "-r", "a.pcap", "--summary-json", "s.json", "host", "10.0.0.7")
        summary = self.load("s.json")
        self.assert_ledger(summary)
        self.assertEqual((summary["packets_in_flows"], summary["drops"]["filter"], summary["flows_created"]), (10, 502, 1))
        self.run_it("-q", "-r", "a.pcap", "-c", 7, "--summary-json", "s.json", "udp")
        self.assertEqual(self.load("s.json")["packets_in_flows"], 7)

    def test_filter_wrong__libpcaps_words_and_the_expression(self):
        self.write("a.pcap", pcap([udp(1)]))
        _, err = self.run_it("-r", "a.pcap", "--top-flows", 1, "tcp port 99999", code=1)
        self.assert_one_line(err, "filter 'tcp port 99999': ", "99999")

    def test_sample__whole_flows_and_each_record_has_the_factor(self):
        self.write("a.pcap", pcap([udp(i % 40) for i in range(400)]))
        self.run_it("-q", "-r", "a.pcap", "--sample", "1/4", "--flow-timeout-s", "0.001", "--export-json", "a.json", "--export-csv", "a.csv",
                    "--expired-flows-jsonl", "a.jsonl", "--summary-json", "s.json")
        flows, summary = self.load("a.json"), self.load("s.json")
        self.assertTrue(0 < len({flow["endpoint_a"]["ip"] for flow in flows}) < 30)
        lines = self.read("a.csv").decode().splitlines()
        column = lines[0].split(",").index("sample_factor")
        expired = [json.loads(line) for line in self.read("a.jsonl").splitlines()]
        self.assertTrue(expired)
        for factors in ([flow["sample_factor"] for flow in flows], [flow["sample_factor"] for flow in expired],
                        [int(line.split(",")[column]) for line in lines[1:]], [summary["selection"]["sample_factor"]]):
            self.assertEqual(set(factors), {4})
        self.assertEqual(summary["packets_read"], 400)
        self.assertEqual(summary["packets_in_flows"] + summary["drops"]["sample"], 400)
        self.run_it("-q", "-r", "a.pcap", "--export-json", "all.json")
        self.assertNotIn("sample_factor", self.load("all.json")[0])

    def test_cutoff__silence_and_a_new_flow_within_a_batch__records_as_without(self):
        """Of each flow the packets behind a gap are cut off, too; before it, some were or none: all in the 64 packets that are selected at once."""
        packets, at = b"", 0
        for before in range(5):
            for gap in range(4):
                for count in (before, 3):
                    for _ in range(count):
                        packets += record(udp(before, b"x" * 700), START + at)
                        at += 1
                    at += 100
        self.write("gaps.pcap", pcap([])[:24] + packets)
        for lanes in 1, 2:
            both = []
            for cutoff in "0", "1000":
                self.run_it("-q", "-r", "gaps.pcap", "--lanes", lanes, "--flow-cutoff", cutoff, "--export-json", "a.json", "--summary-json", "s.json")
                both.append([{key: value for key, value in flow.items() if key not in ("cut_off", "rtt_samples")} for flow in self.load("a.json")])
            self.assertEqual(len(both[0]), 36)
            self.assertEqual(both[1], both[0])
            self.assertGreater(self.load("s.json")["drops"]["cut_off"], 30)

    def test_binary__a_time_beyond_its_column__said(self):
        def block(kind, body):
            return struct.pack("<II", kind, 12 + len(body)) + body + struct.pack("<I", 12 + len(body))

        packet, micros = udp(1), (2 ** 32 + 5) * 1_000_000
        packet += bytes(-len(packet) % 4)
        content = (block(0x0a0d0d0a, struct.pack("<IHHq", 0x1a2b3c4d, 1, 0, -1)) + block(1, struct.pack("<HHI", 1, 0, 65535)) +
                   block(6, struct.pack("<IIIII", 0, micros >> 32, micros & 0xffffffff, len(packet), len(packet)) + packet))
        out, err = self.run_it("-q", "-r", self.write("a.pcapng", content), "--export-binary", "bin")
        self.assertIn("2 values did not fit their column", err)
        column = os.path.join("bin", os.listdir(self.path("bin"))[0], "first.I")
        self.assertEqual(self.read(column), b"\xff" * 4)

    def test_text__on_standard_output(self):
        out, err = self.run_it("-r", "a.pcap", "--stats", "--top-flows", 3)
        self.assertEqual(err, "")
        self.assertIn(b"Capture complete.", out)
        self.assertIn(b"512", out)
        self.assertIn(b"Top 3 flows", out)
        self.assertRegex(out.decode(), r"(?m)^\[stats\] [0-9.]+ Mbps \| \d+ pps \| 50 flows \| drops=9 \(total=9\) \| whole run")

    def test_quiet__nothing_said(self):
        self.assertEqual(self.run_it("-q", "-r", "a.pcap"), (b"", ""))

    def test_dash_outputs__standard_output_holds_nothing_else(self):
        out, err = self.run_it("-r", "a.pcap", "-w", "-", "--stats", "--top-flows", 2)
        self.assertEqual(out[24:], self.read("a.pcap")[24:])
        self.assertIn("Capture complete.", err)
        self.assertIn("Top 2 flows", err)
        out, err = self.run_it("-r", "a.pcap", "--summary-json", "-")
        self.assertEqual(json.loads(out)["packets_read"], 512)
        self.assertIn("Capture complete.", err)

    def test_standard_input__same_as_file(self):
        self.run_it("-q", "-r", "a.pcap", "--export-csv", "file.csv")
        self.run_it("-q", "-r", "-", "--export-csv", "pipe.csv", input=self.read("a.pcap"))
        self.run_it("-q", "-r", "-", "--lanes", 3, "--export-csv", "lanes.csv", input=self.read("a.pcap"))
        self.assertEqual(self.read("lanes.csv"), self.read("pipe.csv"))
        self.assertEqual(self.read("file.csv"), self.read("pipe.csv"))

    def test_progress__always__drawn_and_cleared(self):
        with subprocess.Popen([FLOWLANE, "-q", "-r", "-", "--progress", "always"], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            child.stdin.write(self.read("a.pcap"))
            child.stdin.flush()
            seen = b""
            while b"512 packets" not in seen:
                seen += os.read(child.stderr.fileno(), 4096)
            child.stdin.close()
            seen += child.stderr.read()
            self.assertEqual(child.wait(TIMEOUT_SECS), 0)
        self.assertTrue(seen.endswith(b"\r\x1b[K"))


class Signals(CliTest):
    def start(self, *args):
        child = subprocess.Popen([FLOWLANE, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder)
        self.addCleanup(child.wait)
        for stream in child.stdin, child.stdout, child.stderr:
            self.addCleanup(stream.close)
        self.addCleanup(child.kill)
        return child

    def start_slow(self, flows, *args):
        """A run in the middle of its input: it has taken `flows` packets, and waits for more."""
        child = self.start("-r", "-", "--stats", "--stats-interval-ms", "20", *args)
        child.stdin.write(pcap([udp(i) for i in range(flows)]))
        child.stdin.flush()
        self.wait_for(child, flows)
        return child

    def wait_for(self, child, flows):
        for line in child.stdout:
            if f"| {flows} flows |".encode() in line:
                return
        self.fail(f"ended early: {child.stderr.read().decode()}")

    def end(self, child, code):
        out, err = child.communicate(timeout=TIMEOUT_SECS)
        self.assertEqual(child.returncode, code, err.decode())
        return out.decode(), err.decode()

    def test_stop_while_the_pipe_is_idle__everything_exported_exit_0(self):
        for number in signal.SIGINT, signal.SIGTERM:
            with self.subTest(signal=number.name):
                child = self.start_slow(7, "--export-json", "flows.json", "--export-csv", "flows.csv", "-w", "copy.pcap", "--summary-json", "s.json")
                child.send_signal(number)
                out, err = self.end(child, 0)
                self.assertEqual(err, "")
                self.assertIn(f"Stopped by {number.name}", out)
                self.assertEqual(len(self.load("flows.json")), 7)
                self.assertEqual(self.read("flows.csv").count(b"\n"), 8)
                self.assertEqual(self.read("copy.pcap")[24:], pcap([udp(i) for i in range(7)])[24:])
                summary = self.load("s.json")
                self.assertIs(summary["stopped"], True)
                self.assertEqual(summary["flows_alive"], 7)
                self.assert_ledger(summary)
                self.assertEqual([name for name in os.listdir(self.folder) if name.endswith(".part")], [])

    def test_stop_while_packets_keep_coming__exit_0(self):
        child = self.start_slow(3, "--export-json", "flows.json")
        fcntl.fcntl(child.stdin, fcntl.F_SETFL, os.O_NONBLOCK)
        child.send_signal(signal.SIGINT)
        until = time.monotonic() + TIMEOUT_SECS
        while child.poll() is None and time.monotonic() < until:
            try:
                os.write(child.stdin.fileno(), record(udp(1), START + 1))
            except BlockingIOError:
                pass
            except BrokenPipeError:
                break
        child.stdin = None
        self.end(child, 0)
        self.assertEqual(len(self.load("flows.json")), 3)

    def test_second_interrupt__quits_at_once_exit_130(self):
        # A pipe that nobody reads: writing the copy blocks, so the first signal cannot end the run.
        os.mkfifo(self.path("stuck"))
        self.write("big.pcap", pcap([udp(i, b"z" * 1400) for i in range(2000)]))
        reader = os.open(self.path("stuck"), os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        child = self.start("-q", "-r", "big.pcap", "-w", "stuck")
        until = time.monotonic() + TIMEOUT_SECS
        while struct.unpack("i", fcntl.ioctl(reader, 0x541B, bytes(4)))[0] < 4096 and time.monotonic() < until:  # FIONREAD
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        with self.assertRaises(subprocess.TimeoutExpired):
            child.wait(0.3)
        child.send_signal(signal.SIGINT)
        _, err = self.end(child, 130)
        self.assert_one_line(err, "incomplete")

    def test_hangup__moved_pcap_is_begun_anew(self):
        child = self.start_slow(5, "-w", "copy.pcap")
        os.rename(self.path("copy.pcap"), self.path("old.pcap"))
        child.send_signal(signal.SIGHUP)
        until = time.monotonic() + 5
        while not os.path.exists(self.path("copy.pcap")) and time.monotonic() < until:
            time.sleep(0.01)
        child.stdin.write(b"".join(record(udp(i), START + 1) for i in range(5)))
        self.end(child, 0)
        whole = pcap([udp(i) for i in range(5)])[24:] + b"".join(record(udp(i), START + 1) for i in range(5))
        self.assertEqual(self.read("old.pcap")[24:] + self.read("copy.pcap")[24:], whole)
        self.assertEqual(self.read("old.pcap")[:24], self.read("copy.pcap")[:24])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
