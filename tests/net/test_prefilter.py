#!/usr/bin/env python3
"""What is selected in XDP: live the same flows come out as of the file, totals with a cutoff are those without, and rules are replaced
a hundred times a second while packets come."""
import os
import stat
import subprocess
import time
import unittest

import lab

RULES = """rules:
  - {action: deny, net: 198.51.100.0/24, proto: tcp, port: 443}
  - {action: deny, net: ["2001:db8::/32"]}
  - {action: deny, vlan: 100-200}
"""


def key(flow):
    return (flow["protocol"], str(flow["endpoint_a"]), str(flow["endpoint_b"]), flow["packets_a_to_b"], flow["packets_b_to_a"],
            flow["bytes_a_to_b"], flow["bytes_b_to_a"])


class Prefilter(lab.Lab):
    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)

    def ctl(self, *command):
        return subprocess.run([lab.binary("flowlane"), "ctl", "--control", self.path("ctl.sock"), *command], capture_output=True, text=True)

    def both(self, *select):
        """(flows of the file, flows live, summary live) with the same selection."""
        demo = self.demo_capture()
        self.offline("-r", demo, "--export-json", "file.json", *select)
        run = self.capture("-q", "--export-json", "live.json", *select)
        replayed = self.replay("demo.pcap", "--rate", 5000)
        summary = self.stop_capture(run)
        self.assert_conserved(summary, replayed["sent"])
        return sorted(map(key, self.load("file.json"))), sorted(map(key, self.load("live.json"))), summary

    def test_each_selection__live_as_of_the_file(self):
        self.write("rules.yaml", RULES)
        for select in (["tcp port 443"], ["--prefilter", "rules.yaml"], ["--sample", "1/4"], ["--flow-cutoff", "10000"],
                       ["--prefilter", "rules.yaml", "--sample", "1/2", "--flow-cutoff", "5000", "tcp or udp"]):
            with self.subTest(select=select):
                file, live, _ = self.both(*select)
                self.assertTrue(file)
                self.assert_same(live, file, "flows")

    def test_cutoff__totals_as_without_and_most_packets_not_copied(self):
        whole, _, _ = self.both()
        file, live, summary = self.both("--flow-cutoff", "10000")
        self.assert_same(live, whole, "flows")
        self.assert_same(file, whole, "flows of the file")
        self.assertEqual(summary["selection"]["cut_off_unclaimed"], 0)
        self.assertEqual(summary["selection"]["cut_off_in_records"], sum(queue["cut_off"] for queue in summary["capture"]["queues"]))
        self.assertLess(summary["packets_read"], 1700)

    def test_snaplen__cut_before_the_copy_and_length_kept(self):
        run = self.capture("-q", "-w", "cap.pcap", "-s", "96")
        generated = self.generate("--size", 1514, "--count", 1000, "--rate", 5000)
        summary = self.stop_capture(run)
        self.assertEqual({(wire, len(packet)) for _, wire, packet in lab.pcap_records(self.read("cap.pcap"))}, {(1514, 96)})
        self.assertEqual(summary["bytes_read"], generated["bytes"])

    def test_rules__replaced_100_times_a_second__nothing_lost_and_no_packet_between(self):
        """Both sets of rules deny the same flow and allow the other, each in its own way: a packet that saw a part of each would show."""
        sets = ("rules:\n  - {action: deny, net: 10.0.0.3}\n",
                "default: deny\nrules:\n  - {action: deny, net: 10.0.0.3, proto: udp}\n  - {action: allow, net: 10.0.0.0/8}\n")
        self.write("rules.yaml", sets[0])
        run = self.capture("-q", "--prefilter", "rules.yaml", "--control", self.path("ctl.sock"), "--ring-size", "16384")
        source = self.start("src", lab.binary("live_gen"), "-i", "src0", "--flows", 10, "--count", 300000, "--rate", 50000)
        replaced, until, begun = 0, time.monotonic() + 4, time.monotonic()
        import socket
        while time.monotonic() < until:
            self.write("rules.new", sets[(replaced + 1) % 2])
            os.rename(self.path("rules.new"), self.path("rules.yaml"))
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(self.path("ctl.sock"))
                client.sendall(b"reload-prefilter\n")
                self.assertTrue(client.recv(1000).startswith(b"ok"))
            replaced += 1
        rate = replaced / (time.monotonic() - begun)
        generated = source.done().json()
        summary = self.stop_capture(run)
        self.assert_conserved(summary, generated["sent"])
        queues = summary["capture"]["queues"]
        print(f"{replaced} replacements, {rate:.0f} a second, {generated['sent']} packets")
        self.assertEqual(sum(queue["denied"] for queue in queues), generated["sent"] // 10)
        self.assertEqual(summary["selection"]["rules_replaced"], replaced)
        self.assertGreaterEqual(rate, 60)  # 100 where the machine has nothing else to do

    def test_control__mode_stale_socket_and_errors(self):
        self.write("rules.yaml", RULES)
        self.write("wrong.yaml", "rules:\n  - action: deny\n    port: 70000\n")
        path = self.path("ctl.sock")
        run = self.capture("-q", "--prefilter", "rules.yaml", "--sample", "1/1", "--control", path)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        second = subprocess.run([lab.binary("flowlane"), "-i", "lo", "--control", path], capture_output=True, text=True)
        self.assertEqual(second.returncode, 2)
        self.assertIn("another flowlane answers there", second.stderr)
        self.assertIn("rules 3\n", self.ctl("status").stdout)
        self.assertIn("1/8", self.ctl("set-sample", "1/8").stdout)
        self.assertEqual(self.ctl("set-sample", "8").returncode, 1)
        for command in "rotate", "flush":
            self.assertEqual(self.ctl(command).returncode, 0)
        os.rename(self.path("wrong.yaml"), self.path("rules.yaml"))
        wrong = self.ctl("reload-prefilter")
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("line 3: rules[0].port: '70000' is no port", wrong.stderr)
        self.assertIn("rules_replaced 0\n", self.ctl("status").stdout)
        run.process.kill()
        run.done(code=None)
        self.assertTrue(os.path.exists(path), "kill -9 leaves it")
        self.assertEqual(self.ctl("status").returncode, 2)
        self.write("rules.yaml", RULES)
        again = self.capture("-q", "--control", path)
        self.assertIn("sample 1/1", self.ctl("status").stdout)
        self.stop_capture(again)
        self.assertFalse(os.path.exists(path))


if __name__ == "__main__":
    lab.main()
