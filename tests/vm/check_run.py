#!/usr/bin/env python3
"""Judges what the VM of scripts/vmlab.sh handed out: one line 'ok what' or 'FAILED what: why' for each check.

    check_run.py GUEST_DIRECTORY

Flowlane's word is set against that of others: pktgen's count of what it sent, the number and time that pktgen wrote into each
packet, the driver's counters (ethtool -S), the kernel's list of AF_XDP sockets (ss --xdp), and the NIC's settings before and after.
The cases are those of guest/run.sh.
"""
import json
import pathlib
import re
import sys

from pktgen_pcap import read_pktgen_pcap

FLOWS = 100  # of each case
# Flowlane's stamps come from another clock of the kernel than pktgen's; how far the two are apart it measures, on an emulated CPU
# to some microseconds. The fastest packets take no longer than that.
CLOCK_ERROR_NS = 100_000
failures = 0


def check(what, good, why=""):
    global failures
    failures += not good
    print(f"ok      {what}" if good else f"FAILED  {what}: {why}", flush=True)


def equal(what, got, wanted):
    check(f"{what}: {got}" if got == wanted else what, got == wanted, f"{got}, not {wanted}")


class Case:
    """What one case of guest/run.sh left. A file that is missing is as an empty one: the checks on it fail by themselves."""

    def __init__(self, directory):
        self.directory, self.name = directory, directory.name

    def text(self, name):
        path = self.directory / name
        return path.read_text(errors="replace") if path.exists() else ""

    def json(self, name):
        try:
            return json.loads(self.text(name))
        except ValueError:
            check(f"{self.name}: {name} is there and is JSON", False, "it is not")
            return None

    def sent(self):
        """What pktgen says that it sent."""
        return sum(int(n) for n in re.findall(r"pkts-sofar: (\d+)", self.text("pktgen")))

    def moved(self, counter):
        """How far a counter of ethtool -S moved while pktgen ran."""
        found = [re.search(rf"^ *{counter}: (\d+)$", self.text(name), re.M) for name in ["counters.before", "counters.after"]]
        return int(found[1][1]) - int(found[0][1]) if all(found) else None


def check_nic(case):
    """The NIC while flowlane ran, and what must be gone after it."""
    during, after, sockets = case.text("nic.during"), case.text("nic.after"), case.text("sockets.after")
    check(f"{case.name}: XDP program attached in the driver, promiscuous mode on",
          "prog/xdp id" in during and "promiscuity 1" in during, "not so in nic.during")
    clean = "promiscuity 0" in after and "prog/xdp" not in after and "State" in sockets and "umem(" not in sockets
    check(f"{case.name}: no XDP program, promiscuous mode or AF_XDP socket left", clean, "see nic.after, sockets.after")


def check_nic_restored(case):
    before, after = case.text("nic.before"), case.text("nic.after")
    changed = [line for line in after.splitlines() if line not in before.splitlines()]
    check(f"{case.name}: the NIC's channels, rings, offloads, RSS and flags are as before", before == after != "",
          "; ".join(changed) or "lines are missing from nic.after")


def check_mode(case, summary, queues, mode):
    modes = [interface["mode"] for interface in summary["capture"]["interfaces"]]
    equal(f"{case.name}: mode, by the summary", modes, [mode])
    sockets = re.findall(r"qid:(\d+),zc:(\d)", case.text("sockets.during"))
    kernel = sorted((int(queue), zero_copy == "1") for queue, zero_copy in sockets)
    equal(f"{case.name}: sockets (queue, zero-copy), by the kernel", kernel, [(queue, mode == "zero-copy") for queue in queues])


def check_ledger(case, summary, sent):
    """Generated = captured + every named loss. What the emulated NIC loses it does not count: it may lose nothing."""
    queues = summary["capture"]["queues"]
    ends = ["received", "filtered", "no_socket", "rx_ring_full", "fill_ring_empty", "invalid", "refused"]
    for queue in queues:
        parts = [queue[end] for end in ends]
        equal(f"{case.name}: queue {queue['queue']}: seen = received + named losses {parts}", sum(parts), queue["seen"])
    equal(f"{case.name}: seen by the XDP program, of {sent} that pktgen sent", sum(queue["seen"] for queue in queues), sent)
    received = sum(queue["received"] for queue in queues)
    equal(f"{case.name}: read by the lanes = received from the sockets", summary["packets_read"], received)
    equal(f"{case.name}: in flows", summary["packets_in_flows"], received)
    for output in summary["outputs"]:
        equal(f"{case.name}: output {output['name']}: error, lost", (output["error"], output["lost"]), (None, 0))
    return received


def check_pcap(case, received, missing, cap_len=60, may_be_cut=False):
    """By the numbers that pktgen counts up in each packet: none twice, in order per flow, `missing` not there. None: may be any.
    Returns the packets."""
    try:
        packets = read_pktgen_pcap(case.directory / "cap.pcap", may_be_cut)
    except (OSError, ValueError) as error:
        check(f"{case.name}: cap.pcap", False, error)
        return []
    if received is None:
        check(f"{case.name}: packets in cap.pcap: {len(packets)}", packets, "none")
    else:
        equal(f"{case.name}: packets in cap.pcap", len(packets), received)
    # With the time, because a case may start pktgen twice, and each time it counts from 1.
    numbers = {(packet.stream, packet.number, packet.sent_ns) for packet in packets}
    equal(f"{case.name}: different ones", len(numbers), len(packets))
    if missing is not None:
        equal(f"{case.name}: packets of pktgen that are missing", case.sent() - len(numbers), missing)
    last, disorder = {}, 0
    for packet in packets:
        disorder += packet.sent_ns < last.get(packet.flow, 0)
        last[packet.flow] = packet.sent_ns
    equal(f"{case.name}: out of order within their flow", disorder, 0)
    lengths = {(packet.cap_len, packet.wire_len) for packet in packets}
    check(f"{case.name}: all have {cap_len} bytes", lengths <= {(cap_len, cap_len)}, f"(captured, on the wire) {lengths}")
    if packets:
        delays = sorted(packet.ts_ns - packet.sent_ns for packet in packets)
        check(f"{case.name}: time stamps are {delays[0] / 1e6:.3f} to {delays[-1] / 1e6:.3f} ms after pktgen's, median "
              f"{delays[len(delays) // 2] / 1e6:.3f}", delays[0] >= -CLOCK_ERROR_NS and delays[-1] < 5e9, "that cannot be")
    return packets


def check_packet_time(case, summary, packets):
    times = [packet.ts_ns / 1e9 for packet in packets]
    wanted = (min(times, default=0), max(times, default=0))
    got = (summary["first_packet"] or 0, summary["last_packet"] or 0)
    check(f"{case.name}: first_packet and last_packet are {got[1] - got[0]:.3f} s apart",
          all(abs(a - b) < 0.1 for a, b in zip(got, wanted)), f"in cap.pcap {wanted[1] - wanted[0]:.3f} s")


def check_flows(case, received, conversations):
    """flows.json: every packet in it, each conversation with the same number of packets. Returns the flows."""
    flows = case.json("flows.json") or []
    equal(f"{case.name}: packets in flows.json", sum(flow["packets_total"] for flow in flows), received)
    talks = {}
    for flow in flows:
        ends = tuple((end["ip"], end["port"]) for end in [flow["endpoint_a"], flow["endpoint_b"]])
        counts = talks.setdefault(ends, [0, 0])
        counts[0] += flow["packets_a_to_b"]
        counts[1] += flow["packets_b_to_a"]
    if conversations:
        kinds = {tuple(counts) for counts in talks.values()}
        equal(f"{case.name}: conversations", len(talks), conversations)
        check(f"{case.name}: packets of each (to B, to A): {sorted(kinds)}", len(kinds) == 1, "not all the same")
    return flows


def check_queues(case, summary):
    queues = {queue["queue"]: queue for queue in summary["capture"]["queues"]}
    received = {queue: queues[queue]["received"] for queue in sorted(queues)}
    lanes = [lane["packets_read"] for lane in summary["lanes"]]
    check(f"{case.name}: both queues received {list(received.values())}, each lane its queue's",
          len(queues) == 2 and min(received.values()) > 0 and lanes == list(received.values()), f"queues {received}, lanes {lanes}")
    driver = [case.moved(f"rx_queue_{queue}_packets") for queue in received]
    equal(f"{case.name}: seen on each queue, by the driver", driver, [queues[queue]["seen"] for queue in received])


def has_rss_key(case):
    """igb's hash key can be read and set since Linux 7.3."""
    return re.search(r"^RSS hash key:\n(?:[0-9a-f]{2}:)+", case.text("nic.before"), re.M)


def check_rss(case, summary, flows):
    """As igb has it, its hash sends the two directions to different queues. Returns oneway_flows_ratio."""
    said = [line for line in case.text("stderr").splitlines() if "RSS" in line and "warning" in line.lower()]
    check(f"{case.name}: asymmetric RSS is said", said, "no warning on standard error names RSS")
    equal(f"{case.name}: symmetric_rss, by the summary", summary["capture"]["interfaces"][0]["symmetric_rss"], False)
    return check_ratio(case, summary, flows)


def check_ratio(case, summary, flows):
    ratio = summary["capture"]["oneway_flows_ratio"]
    counted = sum(not (flow["packets_a_to_b"] and flow["packets_b_to_a"]) for flow in flows) / max(len(flows), 1)
    check(f"{case.name}: oneway_flows_ratio {ratio}, and {counted:.4f} of {len(flows)} flows in flows.json",
          ratio is not None and abs(ratio - counted) < 0.0001, "they differ")
    return ratio


def check_run(case, sent, queues, lost=0, even=True, mode="zero-copy"):
    """The checks that all captures share. `lost` None: any number; `even`: of each conversation all packets or none.
    Returns (summary, flows, received); None: there is nothing to judge."""
    equal(f"{case.name}: exit code", case.text("exit_code").strip(), "0")
    equal(f"{case.name}: sent by pktgen", case.sent(), sent)
    equal(f"{case.name}: got by the emulated NIC", case.moved("rx_packets"), sent)
    check_nic(case)
    check_nic_restored(case)
    summary = case.json("summary.json")
    if summary is None or "capture" not in summary:
        check(f"{case.name}: the summary tells of a capture", False, "it does not")
        return None
    check_mode(case, summary, queues, mode)
    received = check_ledger(case, summary, sent)
    if lost is not None:
        equal(f"{case.name}: received, of {sent} that pktgen sent", received, sent - lost)
    check_packet_time(case, summary, check_pcap(case, received, sent - received))
    flows = check_flows(case, received, received * FLOWS // sent if even else None)
    print(f"        {case.name}: time stamps from {summary['ts_source']}")
    return summary, flows, received


def check_stream(case):
    result = check_run(case, 20000, [0, 1])
    if result:
        check_queues(case, result[0])
        check_rss(case, result[0], result[1])


def check_talk(case):
    result = check_run(case, 20000, [0, 1])
    if result:
        check_queues(case, result[0])
        ratio = check_rss(case, result[0], result[1])
        check(f"{case.name}: some conversations are split over the queues, not all", ratio and 0 < ratio < 1, f"ratio {ratio}")
        check(f"{case.name}: the summary's text says so", "One-way flows" in case.text("stdout"), "no line 'One-way flows'")


def check_symmetric(case):
    """Where the NIC lets its key be set no conversation is split; where not it is said, as in the case before."""
    result = check_run(case, 20000, [0, 1])
    if result and has_rss_key(case):
        check_queues(case, result[0])
        equal(f"{case.name}: one-way flows", check_ratio(case, result[0], result[1]), 0)
        equal(f"{case.name}: symmetric_rss, by the summary", result[0]["capture"]["interfaces"][0]["symmetric_rss"], True)
        check(f"{case.name}: the key while it ran is of period 16", re.search(r"^(6d:5a:)+6d:5a$", case.text("nic.during"), re.M),
              "not so in nic.during")
    elif result:
        check_rss(case, result[0], result[1])


def check_fanout(case):
    """One queue, two lanes: no conversation is split."""
    result = check_run(case, 20000, [0, 0])
    if result:
        lanes = [lane["packets_read"] for lane in result[0]["lanes"]]
        check(f"{case.name}: both lanes read {lanes}", len(lanes) == 2 and min(lanes) > 0, "not both")
        equal(f"{case.name}: one-way flows", check_ratio(case, result[0], result[1]), 0)
        equal(f"{case.name}: symmetric_rss, by the summary", result[0]["capture"]["interfaces"][0]["symmetric_rss"], True)


def check_flap(case):
    result = check_run(case, 10000, [0, 1])
    if result:
        check(f"{case.name}: that the interface went down is said", re.search(r"eth1.*\bdown\b", case.text("stderr")),
              "standard error does not say it")


def check_busy(case):
    """Interrupts are put off while lanes poll, and it does not stall."""
    check_run(case, 5000, [0, 1])
    equal(f"{case.name}: napi_defer_hard_irqs, gro_flush_timeout while it ran", case.text("nic.during").splitlines()[-2:], ["2", "200000"])
    check(f"{case.name}: it works", "does not work" not in case.text("stderr"), case.text("stderr"))


def check_copy(case):
    check_run(case, 10000, [0, 1], mode="copy")


def check_killed(case):
    equal(f"{case.name}: exit code", case.text("exit_code").strip(), "137")
    check_nic(case)
    check_pcap(case, None, None, cap_len=1000, may_be_cut=True)  # inside the chunk that was being written


def check_one_queue(case):
    result = check_run(case, 10000, [0], lost=None)
    if result:
        queues = {queue["queue"]: queue for queue in result[0]["capture"]["queues"]}
        passed = queues[1]["no_socket"] if 1 in queues else 0
        check(f"{case.name}: queue 1 has no socket, {passed} packets are counted as such",
              passed and passed == queues[1]["seen"], queues)
        equal(f"{case.name}: on queue 1, by the driver", case.moved("rx_queue_1_packets"), passed)
        check(f"{case.name}: that is said", re.search(r"queue 1\b", case.text("stderr")), "standard error does not name queue 1")


def check_overload(case):
    result = check_run(case, 20000, [0, 1], lost=None, even=False)
    if result:
        check(f"{case.name}: {20000 - result[2]} packets were lost, as they should", result[2] < 20000,
              "none was: the case tests nothing")


def check_doctor(case):
    """RSS is a problem, and so the exit code is 2; a note, where flowlane can change it."""
    rss = "note" if has_rss_key(case) else "problem"
    equal(f"{case.name}: exit code", case.text("exit_code").strip(), "0" if rss == "note" else "2")
    report = case.json("doctor.json") or {"findings": []}
    found = {(finding["section"], finding["check"]): finding for finding in report["findings"]}
    wanted = [("driver", "ok", "igb"), ("queues", "ok", "2 RX"), ("zero_copy", "ok", "works"), ("rss", rss, "directions")]
    for name, verdict, word in wanted:
        finding = found.get(("eth1", name), {"verdict": "missing", "text": ""})
        check(f"{case.name}: {name}: {finding['verdict']}, {finding['text']}",
              finding["verdict"] == verdict and word in finding["text"], f"not '{verdict}' with '{word}'")
        check(f"{case.name}: {name}: the text says the same",
              finding["text"] and finding["text"] in " ".join(case.text("stdout").split()), "it is not on standard output")
    check_nic_restored(case)


def check_mtu(case):
    equal(f"{case.name}: exit code", case.text("exit_code").strip(), "2")
    check(f"{case.name}: {case.text('stderr').strip()}", re.fullmatch(r"flowlane: eth1: [^\n]*igb[^\n]* 9000: [^\n]*`ip link set eth1 mtu 1500`\n", case.text("stderr")),
          "not one sentence with the fix")
    check(f"{case.name}: nothing left on the NIC", "promiscuity 0" in case.text("nic.after") and "prog/xdp" not in case.text("nic.after"), "see nic.after")
    check_nic_restored(case)


def check_kernel(guest):
    """A driver that is torn down in the wrong order says so here."""
    path = guest / "dmesg.txt"
    text = path.read_text(errors="replace") if path.exists() else ""
    bad = [line for line in text.splitlines() if re.search(r"BUG|WARNING|Oops|Call Trace|Unit Hang|general protection|stall", line)]
    check("kernel: no complaint in the guest's log", text and not bad, "; ".join(bad[:3]) or "there is no log")


def main():
    if len(sys.argv) != 2:
        sys.exit("Usage: check_run.py GUEST_DIRECTORY")
    guest = pathlib.Path(sys.argv[1])
    cases = {"doctor": check_doctor, "stream": check_stream, "talk": check_talk, "symmetric": check_symmetric, "fanout": check_fanout, "flap": check_flap,
             "busy": check_busy, "copy": check_copy, "killed": check_killed, "one_queue": check_one_queue, "overload": check_overload, "mtu": check_mtu}
    for name, judge in cases.items():
        judge(Case(guest / name))
    check_kernel(guest)
    print(f"{failures} checks failed" if failures else "all checks ok")
    sys.exit(2 if failures else 0)


main()
