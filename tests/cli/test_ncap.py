#!/usr/bin/env python3
"""Audit records as a user meets them: options, files, `flowlane dump` on good and broken files.

    test_ncap.py FLOWLANE
"""

import csv
import gzip
import io
import json
import os
import subprocess
import sys
import unittest

from cli_case import ARP, FLOWLANE, CliTest, pcap, udp

if b"flowlane dump" not in subprocess.run([FLOWLANE, "dump", "--help"], capture_output=True, check=False).stdout:
    print("SKIPPED: this flowlane was built without audit records")
    sys.exit(77)

HEADER = bytes.fromhex("1b0880b4dcba96c6d7d61712046574683018262207") + b"v0.6.11"
TCP = bytes.fromhex(
    "4b0880b4dcba96c6d7d61710b1a80318bb0320e807300a40018001f0f5038801b424a20108080210041a0205b4"
    "c2010c3139322e3136382e312e3432ca010d39332e3138342e3231362e3334"
)
PACKETS = [udp(i) for i in range(5)] + [ARP[:12] + b"\x08\x06" + bytes.fromhex("0001080006040001") + bytes(20)]


def run(*arguments, stdin=None):
    return subprocess.run([FLOWLANE, *arguments], capture_output=True, input=stdin, check=False, timeout=60)


class Files(CliTest):
    def records(self, *options):
        capture = self.write("in.pcap", pcap(PACKETS))
        result = run("-q", "-r", capture, "--ncap", self.path("out"), *options)
        self.assertEqual(result.returncode, 0, result.stderr)
        return sorted(os.listdir(self.path("out")))

    def test_files__of_types_that_have_records(self):
        names = self.records()
        self.assertEqual(
            names,
            [f"{n}.ncap.gz" for n in ("ARP", "Connection", "DeviceProfile", "Ethernet", "IPProfile", "IPv4", "UDP")],
        )

    def test_include_exclude__choose_types(self):
        self.assertEqual(self.records("--ncap-include", "udp,ARP,tcp", "--ncap-exclude", "ARP"), ["UDP.ncap.gz"])

    def test_lanes__do_not_change_a_byte(self):
        self.records("--ncap-compress", "none", "--ncap-exclude", "DeviceProfile")
        before = {name: self.read(f"out/{name}") for name in os.listdir(self.path("out"))}
        self.records("--ncap-compress", "none", "--ncap-exclude", "DeviceProfile", "--lanes", "3")
        self.assertEqual(before, {name: self.read(f"out/{name}") for name in os.listdir(self.path("out"))})

    def test_type_without_records__file_of_an_earlier_run_goes(self):
        self.records()
        capture = self.write("arp.pcap", pcap(PACKETS[-1:]))
        self.assertEqual(run("-q", "-r", capture, "--ncap", self.path("out")).returncode, 0)
        self.assertNotIn("UDP.ncap.gz", os.listdir(self.path("out")))

    def test_rotation__a_file_per_interval(self):
        capture = self.write("long.pcap", pcap([udp(1)] * 3000))
        options = ("--ncap", self.path("out"), "--ncap-include", "UDP", "--ncap-rotate-s", "1")
        self.assertEqual(run("-q", "-r", capture, *options).returncode, 0)
        names = sorted(os.listdir(self.path("out")))
        self.assertEqual(names, [f"UDP.20231114T22132{i}Z.ncap.gz" for i in range(3)])
        for name in names:
            lines = run("dump", "--json", self.path(f"out/{name}")).stdout.splitlines()
            self.assertEqual(len(lines), 1000)

    def test_summary__counts_records(self):
        self.records("--summary-json", self.path("summary.json"))
        outputs = {o["name"]: o for o in self.load("summary.json")["outputs"]}
        self.assertEqual(outputs["ncap"]["lost"], 0)
        self.assertEqual(outputs["ncap"]["files"], 7)

    def test_alerts__as_in_the_other_output(self):
        flood = [udp(i) for i in range(30)]
        scan = [udp(99)[:36] + (1 + i).to_bytes(2, "big") + udp(99)[38:] for i in range(40)]
        capture = self.write("in.pcap", pcap(flood + scan))
        options = ("--anomalies", "--detector", "udp_flood:packets=30", "--detector", "port_scan:ports=15", "--alerts-jsonl", self.path("a.jsonl"))
        result = run("-q", "-r", capture, "--ncap", self.path("out"), "--ncap-include", "Alert", *options)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(os.listdir(self.path("out")), ["Alert.ncap.gz"])
        alerts = [json.loads(line) for line in self.read("a.jsonl").splitlines()]
        records = [json.loads(line) for line in run("dump", "--json", self.path("out/Alert.ncap.gz")).stdout.splitlines()]
        names = {"kind": "Name", "description": "Description", "severity": "Notes", "src": "SrcIP", "dst": "DstIP"}
        self.assertEqual([{record: alert[key] for key, record in names.items() if key in alert} for alert in alerts],
                         [{key: value for key, value in record.items() if key in names.values()} for record in records])  # fmt: skip
        self.assertEqual({record["Name"] for record in records}, {"udp_flood", "port_scan"})
        self.assertEqual([round(alert["ts"] * 1e6) for alert in alerts], [record["Timestamp"] // 1000 for record in records])

    def test_alerts__none_without_anomalies(self):
        capture = self.write("in.pcap", pcap([udp(i) for i in range(30)]))
        self.assertEqual(run("-q", "-r", capture, "--ncap", self.path("out"), "--ncap-include", "Alert").returncode, 0)
        self.assertEqual(os.listdir(self.path("out")), [])

    def test_dhcp__zeros_behind_a_text_are_no_part_of_it(self):
        request = b"\1\1\6\0" + bytes(232) + b"\x63\x82\x53\x63" + b"\x0c\x06nas1\0\0" + b"\x0f\x03a\0b" + b"\x3c\x01\0" + b"\xff"
        packet = udp(1, request)
        capture = self.write("in.pcap", pcap([packet[:34] + b"\0\x44\0\x43" + packet[38:]]))
        self.assertEqual(run("-q", "-r", capture, "--ncap", self.path("out"), "--ncap-include", "DHCPv4").returncode, 0)
        options = json.loads(run("dump", "--json", self.path("out/DHCPv4.ncap.gz")).stdout)["Options"]
        self.assertEqual([(o["Type"], o["Length"], o.get("Data", "")) for o in options], [(12, 6, "nas1"), (15, 3, "a\ufffdb"), (60, 1, "")])

    def test_wrong_type__exit_1_and_the_types(self):
        capture = self.write("in.pcap", pcap(PACKETS))
        result = run("-r", capture, "--ncap", self.path("out"), "--ncap-include", "TCPP")
        self.assertEqual(result.returncode, 1)
        self.assertIn(b'"TCPP" is no type of audit records; there are Ethernet, ', result.stderr)

    def test_type_of_the_other_schema__exit_1(self):
        capture = self.write("in.pcap", pcap(PACKETS))
        result = run("-r", capture, "--ncap", self.path("out"), "--ncap-include", "Flow")
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"--ncap-schema legacy", result.stderr)

    def test_directory_is_a_file__exit_2(self):
        capture = self.write("in.pcap", pcap(PACKETS))
        result = run("-r", capture, "--ncap", self.write("file", b"x"))
        self.assertEqual(result.returncode, 2)
        self.assertIn(b"is no directory", result.stderr)


class Dump(CliTest):
    def dump(self, content, *options):
        return run("dump", *options, self.write("x.ncap", content))

    def test_golden__json(self):
        result = self.dump(HEADER + TCP, "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        record = json.loads(result.stdout)
        self.assertEqual(record["SrcIP"], "192.168.1.42")
        self.assertEqual(record["Options"], [{"OptionType": 2, "OptionLength": 4, "OptionData": "BbQ="}])
        self.assertNotIn("AckNum", record)

    def test_gzip__also_of_several_members(self):
        for packed in (gzip.compress(HEADER + TCP), gzip.compress(HEADER) + gzip.compress(TCP)):
            self.assertEqual(self.dump(packed).stdout, self.dump(HEADER + TCP).stdout)

    def test_header(self):
        text = self.dump(HEADER + TCP, "--header").stdout.decode()
        for part in ("TCP (38)", "eth0", "1706123400.123456000", "v0.6.11"):
            self.assertIn(part, text)

    def test_csv__is_aligned_and_quoted(self):
        rows = list(csv.DictReader(io.StringIO(self.dump(HEADER + TCP, "--csv").stdout.decode())))
        self.assertEqual(len(rows), 1)
        self.assertNotIn(None, rows[0])
        self.assertEqual(rows[0]["DstIP"], "93.184.216.34")
        self.assertEqual(json.loads(rows[0]["Options"])[0]["OptionLength"], 4)

    def test_select__in_this_order(self):
        result = self.dump(HEADER + TCP, "--csv", "--select", "DstPort,SrcPort")
        self.assertEqual(result.stdout, b"DstPort,SrcPort\n443,54321\n")

    def test_select__unknown_field_exit_1(self):
        result = self.dump(HEADER + TCP, "--select", "Nothing")
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"TCP records have no such field; they have Timestamp, SrcPort", result.stderr)

    def test_unknown_fields__are_skipped(self):
        longer = bytes([len(TCP) - 1 + 3]) + TCP[1:] + bytes.fromhex("c03e2a")  # field 1000
        result = self.dump(HEADER + longer, "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(json.loads(result.stdout)["DstPort"], 443)

    def test_unknown_fields_of_each_kind__are_skipped(self):
        """As a later version of the format may have them: also within a message, and as an extension of the header."""
        unknown = bytes.fromhex("c03e2a") + bytes.fromhex("c13e") + bytes(8) + bytes.fromhex("c23e03616263") + bytes.fromhex("c53e") + bytes(4)
        body = HEADER[1:] + unknown
        option = bytes.fromhex("08021004") + bytes.fromhex("c03e2a") + bytes.fromhex("1a0205b4")
        record = bytes.fromhex("1035") + unknown + b"\xa2\x01" + bytes([len(option)]) + option + unknown
        result = self.dump(bytes([len(body)]) + body + bytes([len(record)]) + record, "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(json.loads(result.stdout), {"SrcPort": 53, "Options": [{"OptionType": 2, "OptionLength": 4, "OptionData": "BbQ="}]})

    def test_known_field_of_another_wire_type__is_no_such_record(self):
        self.broken(HEADER + TCP + b"\x05\x12\x03abc", b"the record at offset 104 (number 2) is no TCP record", 1)

    def alert(self, description):
        """A file of one Alert record."""
        body = b"\x12\x04eth0\x18\x67"
        record = b"\x12\x01n\x1a" + bytes([len(description)]) + description
        return bytes([len(body)]) + body + bytes([len(record)]) + record

    def test_csv__commas_quotes_lines_come_back(self):
        for text in ('a,b', 'say "so"', "two\nlines", "\r", '"', ",,", "plain", "ä€😀"):
            rows = list(csv.reader(io.StringIO(self.dump(self.alert(text.encode()), "--csv", "--select", "Description,Name").stdout.decode(), newline="")))
            self.assertEqual(rows, [["Description", "Name"], [text, "n"]])

    def test_bytes_that_are_no_text__become_the_replacement_character(self):
        for option in "--csv", "--json", "--table":
            text = self.dump(self.alert(b"a\xffb\xc3"), option).stdout.decode()  # UTF-8, or this fails
            self.assertIn("\\ufffd" if option == "--json" else "a\ufffdb\ufffd", text)
        self.assertIn(b'Description: "a\\377b\\303"', self.dump(self.alert(b"a\xffb\xc3")).stdout)

    def test_table__aligned_and_nothing_moves_the_cursor(self):
        records = b"".join(bytes([6 + len(name)]) + b"\x12" + bytes([len(name)]) + name + b"\x1a\x02xy" for name in (b"a", "ä€".encode(), b"long name"))
        lines = self.dump(b"\x08\x12\x04eth0\x18\x67" + records, "--table", "--select", "Name,Description").stdout.decode().splitlines()
        self.assertEqual(lines, ["Name       Description", "a          xy", "ä€         xy", "long name  xy"])
        text = self.dump(self.alert("\x1b[2J\x9b2J\x7f\n".encode()), "--table").stdout.decode()
        self.assertEqual([c for c in text if c != "\n" and (ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0)], [])
        self.assertEqual(text.count("\n"), 2)

    def test_table__a_long_text_is_cut_between_characters(self):
        for text, shown in (("ä" * 40, "ä" * 40), ("ä" * 41, "ä" * 40 + "..."), ("x" * 39 + "€y", "x" * 39 + "€...")):
            self.assertIn(shown, self.dump(self.alert(text.encode()), "--table").stdout.decode().split())

    def test_select__what_is_no_field(self):
        for fields in ("", "SrcPort,", ",SrcPort", "srcport", "SrcPort,Nothing", "SrcPort DstPort"):
            result = self.dump(HEADER + TCP, "--csv", "--select", fields)
            self.assertEqual((result.returncode, result.stdout), (1, b""), fields)
            self.assertIn(b"TCP records have no such field; they have Timestamp, SrcPort", result.stderr)

    def test_directory__exit_2(self):
        result = run("dump", self.folder)
        self.assertEqual(result.returncode, 2)
        self.assertIn(b"Is a directory", result.stderr)

    def test_header_of_others__nothing_moves_the_cursor(self):
        body = b"\x12\x05\x1b[2Jx\x18\x26\x22\x02\xff\n"
        text = self.dump(bytes([len(body)]) + body, "--header").stdout.decode()
        self.assertIn("InputSource:      .[2Jx\n", text)
        self.assertIn("Version:          \ufffd.\n", text)

    def test_no_number__is_a_text_in_json(self):
        for bits, text in ((0x7FF8 << 48, "NaN"), (0x7FF0 << 48, "Infinity"), (0xFFF0 << 48, "-Infinity")):
            record = b"\xa9\x01" + bits.to_bytes(8, "little")
            self.assertEqual(json.loads(self.dump(HEADER + bytes([len(record)]) + record, "--json").stdout), {"PayloadEntropy": text})

    def test_legacy__is_told_by_its_header(self):
        created = b"\x0a\x111706123400.123456"
        body = created + bytes.fromhex("1825")  # UDP
        record = b"\x0a\x111706123400.123457" + bytes.fromhex("1035")
        result = self.dump(bytes([len(body)]) + body + bytes([len(record)]) + record, "--json")
        self.assertEqual(json.loads(result.stdout), {"Timestamp": "1706123400.123457", "SrcPort": 53})

    def broken(self, content, text, records):
        result = self.dump(content, "--json")
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn(text, result.stderr)
        self.assertEqual(len(result.stdout.splitlines()), records)

    def test_truncated__said_exit_0(self):
        for cut in (1, 30):
            result = self.dump(HEADER + TCP + TCP[:-cut], "--json")
            self.assertEqual(result.returncode, 0)
            self.assertIn(b"ends within a record, at offset 104", result.stderr)
            self.assertEqual(len(result.stdout.splitlines()), 1)

    def test_truncated_gzip__said_exit_0(self):
        result = self.dump(gzip.compress(HEADER + TCP)[:-8], "--json")
        self.assertEqual(result.returncode, 0)
        self.assertIn(b"it was cut off there", result.stderr)
        self.assertEqual(len(result.stdout.splitlines()), 1)

    def test_other_files__exit_1(self):
        self.broken(b"", b"it is empty", 0)
        self.broken(b"PK\x03\x04" + bytes(200), b"is no header", 0)
        self.broken(b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00", b"offset 0", 0)

    def test_unknown_type__exit_1(self):
        for kind in (b"\x00", b"\x68", b"\x81\xfe\x03"):
            body = b"\x12\x04eth0\x18" + kind
            self.broken(bytes([len(body)]) + body, b"no type of audit records", 0)

    def test_type_without_fields__by_number(self):
        body = b"\x12\x04eth0\x18\x3f"  # HTTP
        result = self.dump(bytes([len(body)]) + body + b"\x02\x08\x07")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn(b"NC_HTTP\n1: 7\n", result.stdout)

    def test_broken_varint__what_is_before_is_printed(self):
        self.broken(HEADER + TCP + b"\xff" * 12, b"the length at offset 104 has more than ten bytes", 1)

    def test_length_beyond_reason__exit_1(self):
        self.broken(HEADER + TCP + b"\xff\xff\xff\xff\x7f", b"the record at offset 104 claims", 1)

    def test_no_record__offset_and_number(self):
        self.broken(HEADER + TCP + b"\x03\x0a\x05x", b"the record at offset 104 (number 2) is no TCP record", 1)

    def test_broken_gzip__what_is_before_is_printed(self):
        good = gzip.compress(HEADER + TCP)
        packed = bytearray(good + gzip.compress(TCP * 50))
        packed[len(good) + 14] ^= 0xFF
        packed[len(good) + 15] ^= 0xFF
        result = self.dump(bytes(packed), "--json")
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn(b"the gzip stream is broken at offset", result.stderr)
        self.assertGreaterEqual(len(result.stdout.splitlines()), 1)

    def test_no_file__exit_2(self):
        result = run("dump", self.path("nothing"))
        self.assertEqual(result.returncode, 2)
        self.assertIn(b"cannot open", result.stderr)

    def test_standard_input(self):
        self.assertEqual(run("dump", "--json", "-", stdin=HEADER + TCP).stdout, self.dump(HEADER + TCP, "--json").stdout)

    def test_reader_gone__no_endless_loop(self):
        path = self.write("long.ncap", HEADER + TCP * 200000)
        command = f"'{FLOWLANE}' dump --json '{path}' | head -1"
        self.assertEqual(subprocess.run(command, shell=True, capture_output=True, timeout=60, check=False).returncode, 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
