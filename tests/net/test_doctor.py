#!/usr/bin/env python3
"""flowlane doctor on an interface whose state is known: each finding changes with what it is about, and nothing is left changed."""
import json
import os
import re
import shutil
import subprocess

import lab

VERDICTS = "ok", "note", "problem", "cannot-tell"


class Doctor(lab.Lab):
    queues = 2

    def doctor(self, *args, before=(), code=None):
        run = self.start("mon", *before, lab.binary("flowlane"), "doctor", "--json", *args).done(code=code)
        self.assertIn(run.process.returncode, (0, 2), run.text())
        report = json.loads(run.text(run.out))
        counts = {verdict: sum(finding["verdict"] == verdict for finding in report["findings"]) for verdict in VERDICTS}
        self.assertEqual(sum(counts.values()), len(report["findings"]))
        self.assertEqual((report["problems"], report["notes"], report["cannot_tell"]), (counts["problem"], counts["note"], counts["cannot-tell"]))
        self.assertEqual(run.process.returncode, 2 if report["problems"] else 0)
        self.assertEqual(run.errors(), "")
        for finding in report["findings"]:
            # A problem without a way out is no help.
            self.assertTrue(finding["fix"] or finding["verdict"] != "problem", finding)
        return report

    def finding(self, report, check, section="mon0"):
        found = [finding for finding in report["findings"] if (finding["section"], finding["check"]) == (section, check)]
        self.assertEqual(len(found), 1, (check, report))
        return found[0]

    def state(self):
        parts = [self.start("mon", *command).done(code=None).text() for command in (
            ["ethtool", "-k", "mon0"], ["ethtool", "-l", "mon0"], ["ip", "-d", "link", "show", "dev", "mon0"])]
        return "".join(re.sub(r" state \S+", "", part) for part in parts)

    def test_as_it_is__every_check_once_and_nothing_changed(self):
        before = self.state()
        report = self.doctor("-i", "mon0")
        self.assertEqual(self.state(), before)
        checks = [(finding["section"], finding["check"]) for finding in report["findings"]]
        self.assertEqual(len(set(checks)), len(checks))
        for check in ("link driver queues rings mtu xdp_program xdp zero_copy timestamps lro hw_gro vlan_strip vlan_filter rss").split():
            self.finding(report, check)
        for check in "capabilities kernel bpf bpf_link af_xdp multi_buffer metadata busy_poll io_uring libraries huge_pages cpus".split():
            self.finding(report, check, "system")
        self.assertEqual(self.finding(report, "xdp")["verdict"], "ok")
        self.assertEqual(self.finding(report, "zero_copy")["verdict"], "note")
        self.assertEqual(self.finding(report, "rss")["verdict"], "problem")
        interface = report["interfaces"][0]
        self.assertEqual((interface["name"], interface["driver"], interface["rx_queues"], interface["up"], interface["mtu"], interface["xdp_prog_id"]),
                         ("mon0", "veth", 2, True, 1500, None))

    def test_one_queue__no_problem_with_rss(self):
        self.start("src", "ethtool", "-L", "src0", "tx", 1).done()
        self.start("mon", "ethtool", "-L", "mon0", "rx", 1).done()
        self.assertEqual(self.finding(self.doctor("-i", "mon0", code=0), "rss")["verdict"], "ok")

    def test_the_command_that_it_gives_mends_it(self):
        fix = self.finding(self.doctor("-i", "mon0"), "rss")["fix"]
        peer, mine = re.fullmatch(r"sudo (ethtool -L PEER tx 1) && sudo (ethtool -L mon0 rx 1)\b.*", fix).groups()
        self.start("src", *peer.replace("PEER", "src0").split()).done()
        self.start("mon", *mine.split()).done()
        self.assertEqual(self.doctor("-i", "mon0", code=0)["problems"], 0)

    def test_down(self):
        self.ip("mon", "link", "set", "mon0", "down")
        link = self.finding(self.doctor("-i", "mon0", code=2), "link")
        self.assertEqual(link["verdict"], "problem")
        self.assertEqual(link["fix"].split("    ")[0], "sudo ip link set dev mon0 up")

    def test_not_there(self):
        run = self.start("mon", lab.binary("flowlane"), "doctor", "-i", "mon7").done(code=2)
        self.assertIn("mon7", run.text())
        self.assertIn("mon0", run.text())

    def test_another_program__named_and_left_alone(self):
        floor = self.start("mon", lab.binary("live_floor"), "-i", "mon0")
        lab.wait_for(self.attached, "live_floor attaches")
        report = self.doctor("-i", "mon0", code=2)
        program = self.finding(report, "xdp_program")
        self.assertEqual(program["verdict"], "problem")
        self.assertIn("floor_frame", program["text"])
        self.assertIn("live_floor", program["text"])
        self.assertTrue(self.attached())
        self.assertEqual(report["interfaces"][0]["xdp_prog_name"], "floor_frame")
        floor.stop()

    def test_no_trial__nothing_is_attached(self):
        report = self.doctor("-i", "mon0", "--no-trial")
        self.assertIn("not tried", self.finding(report, "xdp")["text"])
        self.assertIn("not tried", self.finding(report, "zero_copy")["text"])

    def test_without_capabilities__says_which(self):
        if not shutil.which("setpriv"):
            self.skipTest("SKIPPED: setpriv is missing")
        os.chmod(self.folder, 0o777)
        report = self.doctor("-i", "mon0", before=["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
                                                   "--bounding-set", "-all", "--inh-caps", "-all"], code=2)
        capabilities = self.finding(report, "capabilities", "system")
        self.assertEqual(capabilities["verdict"], "problem")
        for name in "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_BPF", "CAP_PERFMON":
            self.assertIn(name, capabilities["text"])
        self.assertIn("setcap", capabilities["fix"])

    def test_while_flowlane_captures__its_own_program_is_named(self):
        run = self.capture("-q")
        program = self.finding(self.doctor("-i", "mon0", code=2), "xdp_program")
        self.assertIn("flowlane", program["text"])
        generated = self.generate("--count", 100, "--rate", 10000)
        self.assert_conserved(self.stop_capture(run), generated["sent"])

    def test_text_and_json_say_the_same(self):
        report = self.doctor("-i", "mon0")
        text = self.start("mon", lab.binary("flowlane"), "doctor", "-i", "mon0").done(code=None).text()
        flat = " ".join(text.split())
        for finding in report["findings"]:
            if finding["check"] not in ("cpus", "huge_pages"):  # these may change meanwhile
                self.assertIn(" ".join(f'{finding["verdict"]} {finding["check"]} {finding["text"]}'.split()), flat)
        self.assertIn(f'{report["problems"]} problem', text)

    def test_all_interfaces__a_line_each(self):
        report = self.doctor()
        self.assertEqual([interface["name"] for interface in report["interfaces"]], ["mon0"])

    def test_long_frames(self):
        self.ip("src", "link", "set", "src0", "mtu", "9000")
        self.ip("mon", "link", "set", "mon0", "mtu", "9000")
        report = self.doctor("-i", "mon0")
        self.assertIn("9000", self.finding(report, "mtu")["text"])
        self.assertEqual(self.finding(report, "xdp")["verdict"], "ok")


if __name__ == "__main__":
    lab.main()
