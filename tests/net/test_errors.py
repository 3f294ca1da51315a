#!/usr/bin/env python3
"""Bad input of live capture: one sentence that says who, what, why and the fix; exit code 2; nothing left behind on the NIC."""
import os
import shutil
import subprocess

import lab


class Errors(lab.Lab):
    def refused(self, *args, code=2, says=(), **more):
        run = self.start("mon", lab.binary("flowlane"), "-q", *args, **more).done(code)
        self.assertRegex(run.errors(), r"\Aflowlane: [^\n]+\n\Z")
        for part in says:
            self.assertIn(part, run.errors())
        self.assertEqual(run.text(run.out), "")
        return run.errors()

    def test_no_such_interface__names_the_nearest(self):
        self.refused("-i", "mon1", says=["mon1", "mon0"])
        self.refused("-i", "somethingelse", says=["somethingelse"])

    def test_interface_down(self):
        self.ip("mon", "link", "set", "mon0", "down")
        self.refused("-i", "mon0", says=["mon0", "down", "ip link set mon0 up"])
        self.assert_nothing_left()

    def test_not_ethernet(self):
        made = self.start("mon", "ip", "tuntap", "add", "dev", "tun0", "mode", "tun").done(code=None)
        if made.process.returncode:
            self.skipTest(f"SKIPPED: no tun device: {made.errors().strip()}")
        self.ip("mon", "link", "set", "tun0", "up")
        self.refused("-i", "tun0", says=["tun0", "Ethernet"])

    def test_twice(self):
        self.refused("-i", "mon0", "-i", "mon0", code=None, says=["mon0", "twice"])

    def test_queue_out_of_range(self):
        self.refused("-i", "mon0", "--queues", "0-3", says=["mon0", "queue"])
        self.refused("-i", "mon0", "--queues", "7", says=["mon0", "7"])
        self.assert_nothing_left()

    def test_queue_list_that_is_none(self):
        for text in "x", "3-1", "0,,1", "0,0", "-":
            with self.subTest(text=text):
                self.refused("-i", "mon0", "--queues", text, code=None, says=["--queues"])

    def test_zero_copy_that_the_driver_has_not(self):
        for option in (["--require-zerocopy"], ["--mode", "zerocopy"]):
            with self.subTest(option=option):
                self.refused("-i", "mon0", *option, says=["mon0"])
                self.assert_nothing_left()

    def test_another_program_is_attached__said_and_left_alone(self):
        floor = self.start("mon", lab.binary("live_floor"), "-i", "mon0")
        lab.wait_for(self.attached, "live_floor attaches")
        self.refused("-i", "mon0", says=["mon0", "floor_frame", "--replace"])
        self.assertTrue(self.attached())
        floor.stop()
        self.assert_nothing_left()
        # And by netlink, as `ip link` does it: such a program stays behind when its process is gone.
        held = self.start("mon", lab.binary("flowlane"), "-q", "-i", "mon0")
        lab.wait_for(self.attached, "flowlane attaches")
        self.refused("-i", "mon0", says=["mon0", "--replace"])
        held.stop()

    def test_no_capability(self):
        if not shutil.which("setpriv"):
            self.skipTest("SKIPPED: setpriv is missing")
        os.chmod(self.folder, 0o777)
        for name in "net_admin", "net_raw", "bpf", "perfmon":
            with self.subTest(name=name):
                # CAP_SYS_ADMIN stands in for CAP_BPF and CAP_PERFMON.
                drop = f"-{name},-sys_admin"
                run = self.start("mon", "setpriv", "--bounding-set", drop, "--inh-caps", drop, lab.binary("flowlane"), "-q", "-i", "mon0").done(2)
                self.assertRegex(run.errors(), r"\Aflowlane: [^\n]+\n\Z")
                self.assertIn(f"CAP_{name.upper()}", run.errors())
                self.assert_nothing_left()

    def test_too_little_memory(self):
        self.refused("-i", "mon0", "--frames", 16000000, says=["memory", "--frames"])
        self.assert_nothing_left()

    def test_too_little_memory_that_may_be_locked(self):
        if not shutil.which("setpriv") or not shutil.which("prlimit"):
            self.skipTest("SKIPPED: setpriv or prlimit is missing")
        drop = "-ipc_lock,-sys_resource"
        run = self.start("mon", "prlimit", "--memlock=65536:65536", "setpriv", "--bounding-set", drop, "--inh-caps", drop,
                         lab.binary("flowlane"), "-q", "-i", "mon0").done(2)
        self.assertRegex(run.errors(), r"\Aflowlane: mon0 queue 0: [^\n]*locked memory[^\n]*ulimit -l unlimited[^\n]*\n\Z")
        self.assert_nothing_left()

    def least_address_space(self):
        """With less than that the program's libraries do not load, which is ld.so's business."""
        for limit in range(20 << 20, 2000 << 20, 5 << 20):
            command = ["prlimit", f"--as={limit}", lab.binary("flowlane"), "--version"]
            if subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0:
                return limit
        raise AssertionError("flowlane --version does not run in 2 GB")

    def test_too_little_address_space(self):
        if "asan" in lab.BINARIES:
            self.skipTest("SKIPPED: the address sanitizer wants terabytes of it")
        self.start("mon", "ethtool", "-K", "mon0", "rxvlan", "on").done()
        for limit in (self.least_address_space() + (more << 20) for more in (5, 40, 150)):
            with self.subTest(limit=limit):
                run = self.start("mon", "prlimit", f"--as={limit}", lab.binary("flowlane"), "-q", "-i", "mon0", "--ring-size", 16384).done(2)
                self.assertRegex(run.errors(), r"\Aflowlane: [^\n]+(lower --|ulimit -v)[^\n]+\n\Z")
                self.assert_nothing_left()
                self.assertIn("rx-vlan-offload: on", self.start("mon", "ethtool", "-k", "mon0").done().text())

    def test_kernel_too_old(self):
        # The kernel says of itself that it is a 2.6.
        if not shutil.which("setarch"):
            self.skipTest("SKIPPED: setarch is missing")
        run = self.start("mon", "setarch", "--uname-2.6", lab.binary("flowlane"), "-q", "-i", "mon0").done(2)
        self.assertRegex(run.errors(), r"\Aflowlane: this kernel is Linux 2\.6\.[^\n]*5\.9 or later[^\n]*\n\Z")
        self.assert_nothing_left()

    def test_no_native_xdp(self):
        # A bridge has no driver that could run a program: natively there is nothing, generic XDP works.
        made = self.start("mon", "ip", "link", "add", "br0", "type", "bridge").done(code=None)
        if made.process.returncode:
            self.skipTest(f"SKIPPED: no bridge: {made.errors().strip()}")
        self.ip("mon", "link", "set", "br0", "up")
        self.refused("-i", "br0", "--mode", "copy", says=["br0", "bridge", "--mode generic"])
        self.refused("-i", "br0", "--mode", "zerocopy", says=["br0"])
        run = self.start("mon", lab.binary("flowlane"), "-i", "br0", "--duration", 0.3, "--summary-json", "summary.json").done()
        self.assertIn("generic", run.errors())
        self.assertEqual(self.load("summary.json")["capture"]["interfaces"][0]["mode"], "generic")

    def test_ring_size_no_power_of_two(self):
        self.refused("-i", "mon0", "--ring-size", 1000, code=1, says=["ring-size", "1000"])

    def test_no_such_user(self):
        self.refused("-i", "mon0", "--user", "no-such-user-here", code=None, says=["no-such-user-here"])
        self.assert_nothing_left()

    def test_output_that_cannot_be_written__nothing_left_on_the_interface(self):
        self.refused("-i", "mon0", "-w", "nowhere/cap.pcap", says=["nowhere/cap.pcap"])
        self.assert_nothing_left()

    def test_filter_that_is_none(self):
        self.refused("-i", "mon0", "tcp prt 80", code=1, says=["tcp prt 80"])
        self.assert_nothing_left()

    def test_file_and_interface(self):
        self.refused("-i", "mon0", "-r", "x.pcap", code=1, says=["-r"])


class Replace(lab.Lab):
    def test_takes_over_a_program_that_stays(self):
        program = self.path("pass.c")
        with open(program, "w") as file:
            file.write('int pass(void *ctx) __attribute__((section("xdp"), used));\nint pass(void *ctx) { return 2; }\n'
                       'char LICENSE[] __attribute__((section("license"), used)) = "GPL";\n')
        if not shutil.which("clang"):
            self.skipTest("SKIPPED: clang is missing")
        subprocess.run(["clang", "-O2", "-g", "-target", "bpf", "-c", program, "-o", self.path("pass.o")], check=True)
        self.start("mon", "ip", "link", "set", "dev", "mon0", "xdpdrv", "obj", self.path("pass.o"), "sec", "xdp").done()
        self.assertTrue(self.attached())
        refused = self.start("mon", lab.binary("flowlane"), "-q", "-i", "mon0").done(2)
        self.assertIn("--replace", refused.errors())
        self.assertTrue(self.attached())
        run = self.start("mon", lab.binary("flowlane"), "-q", "-i", "mon0", "--replace", "--summary-json", "summary.json")

        def taken():
            self.assertIsNone(run.process.poll(), run.text())
            return "name pass" not in self.ip("mon", "-d", "link", "show", "dev", "mon0")
        lab.wait_for(taken, "flowlane's program takes over")
        self.assertTrue(self.attached())
        generated = self.generate("--count", 100, "--rate", 10000)
        self.assert_conserved(self.stop_capture(run), generated["sent"])


if __name__ == "__main__":
    lab.main()
