#!/usr/bin/env python3
"""Judges what the VM of scripts/vmlab.sh handed out: one line 'ok what' or 'FAILED what: why' for each check.

    check_run.py GUEST_DIRECTORY

Flowlane's word is set against that of others: pktgen's count of what it sent, the number and time that pktgen wrote into each packet,
the driver's counters (ethtool -S), the kernel's list of AF_XDP sockets (ss --xdp), and the NIC's settings before and after.
The cases are those of guest/run.sh.
"""
import json
import pathlib
import re
import sys

from pktgen_pcap import read_pktgen_pcap

FLOWS = 100  # of each case
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
    """The NIC while flowlane ran, and as it was before and after."""
    during = case.text("nic.during")
    check(f"{case.name}: XDP program attached in the driver, promiscuous mode on", "prog/xdp id" in during and "promiscuity 1" in during,
          "not so in nic.during")
    check_nic_restored(case)
    check(f"{case.name}: no AF_XDP socket left", case.text("sockets.after") != "" and "umem(" not in case.text("sockets.after"), "see sockets.after")


def check_nic_restored(case):
    before, after = case.text("nic.before"), case.text("nic.after")
    changed = [line for line in after.splitlines() if line not in before.splitlines()]
    check(f"{case.name}: the NIC is as before (no program, promiscuous mode off, channels, rings, offloads, RSS)",
          before == after and "prog/xdp" not in after and "promiscuity 0" in after, "; ".join(changed) or "lines are missing from nic.after")


def check_zero_copy(case, summary, queues):
    modes = [interface["mode"] for interface in summary["capture"]["interfaces"]]
    equal(f"{case.name}: mode, by the summary", modes, ["zero-copy"])
    kernel = sorted(re.findall(r"qid:(\d+),zc:(\d)", case.text("sockets.during")))
    equal(f"{case.name}: sockets (queue, zero-copy), by the kernel", kernel, [(str(queue), "1") for queue in queues])


def check_ledger(case, summary, sent):
    """Generated = captured + every named loss. What the emulated NIC loses it does not count: it may lose nothing."""
    queues = summary["capture"]["queues"]
    for queue in queues:
        parts = [queue[key] for key in ["received", "filtered", "no_socket", "rx_ring_full", "fill_ring_empty", "invalid", "refused"]]
        equal(f"{case.name}: queue {queue['queue']}: seen = received + named losses {parts}", sum(parts), queue["seen"])
    equal(f"{case.name}: seen by the XDP program, of {sent} that pktgen sent", sum(queue["seen"] for queue in queues), sent)
    received = sum(queue["received"] for queue in queues)
    equal(f"{case.name}: read by the lanes = received from the sockets", summary["packets_read"], received)
    equal(f"{case.name}: in flows", summary["packets_in_flows"], received)
    for output in summary["outputs"]:
        equal(f"{case.name}: output {output['name']}: error, lost", (output["error"], output["lost"]), (None, 0))
    return received


def check_pcap(case, received, sent, whole=True):
    """By the numbers that pktgen counts up in each packet: none twice, in order per flow, and if all were received, all there."""
    try:
        packets = read_pktgen_pcap(case.directory / "cap.pcap")
    except (OSError, ValueError) as error:
        check(f"{case.name}: cap.pcap", False, error)
        return
    if received is not None:
        equal(f"{case.name}: packets in cap.pcap", len(packets), received)
    numbers = {(packet.stream, packet.number) for packet in packets}
    equal(f"{case.name}: different ones", len(numbers), len(packets))
    last, disorder = {}, 0
    for packet in packets:
        disorder += packet.number < last.get(packet.flow, -1)
        last[packet.flow] = packet.number
    equal(f"{case.name}: out of order within their flow", disorder, 0)
    if whole:
        equal(f"{case.name}: packets of pktgen that are missing", sent - len(numbers), 0)
        equal(f"{case.name}: lengths", {(packet.cap_len, packet.wire_len) for packet in packets}, {(60, 60)})
    if packets:
        delays = sorted(packet.ts_ns - packet.sent_ns for packet in packets)
        check(f"{case.name}: time stamps are {delays[0] / 1e6:.3f} to {delays[-1] / 1e6:.3f} ms after pktgen's, median "
              f"{delays[len(delays) // 2] / 1e6:.3f}", delays[0] >= -1_000_000 and delays[-1] < 5_000_000_000, "that cannot be")


def check_flows(case, received, whole=True):
    """flows.json: every packet in it; each of the 100 conversations with the same number of packets in each direction."""
    flows = case.json("flows.json")
    if flows is None:
        return None
    equal(f"{case.name}: packets in flows.json", sum(flow["packets_total"] for flow in flows), received)
    talks = {}
    for flow in flows:
        ends = tuple((end["ip"], end["port"]) for end in [flow["endpoint_a"], flow["endpoint_b"]])
        counts = talks.setdefault(ends, [0, 0])
        counts[0] += flow["packets_a_to_b"]
        counts[1] += flow["packets_b_to_a"]
    equal(f"{case.name}: conversations", len(talks), FLOWS)
    if whole:
        kinds = {tuple(counts) for counts in talks.values()}
        check(f"{case.name}: packets of each conversation (to B, to A): {sorted(kinds)}", len(kinds) == 1, "not all the same")
    return flows


def check_queues(case, summary):
    queues = {queue["queue"]: queue["received"] for queue in summary["capture"]["queues"]}
    lanes = [lane["packets_read"] for lane in summary["lanes"]]
    check(f"{case.name}: both queues received {list(queues.values())}, both lanes read {lanes}",
          len(queues) == 2 and min(queues.values()) > 0 and sorted(lanes) == sorted(queues.values()), f"queues {queues}, lanes {lanes}")
    driver = [case.moved(f"rx_queue_{queue}_packets") for queue in sorted(queues)]
    equal(f"{case.name}: the same, by the driver", driver, [queues[queue] for queue in sorted(queues)])


def check_rss(case, summary, flows):
    """igb's hash key can be neither read nor set, and sends the two directions to different queues."""
    said = [line for line in case.text("stderr").splitlines() if "RSS" in line and "warning" in line.lower()]
    check(f"{case.name}: asymmetric RSS is said", bool(said), "no warning on standard error names RSS")
    equal(f"{case.name}: symmetric_rss, by the summary", summary["capture"]["interfaces"][0]["symmetric_rss"], False)
    if flows:
        oneway = sum(not (flow["packets_a_to_b"] and flow["packets_b_to_a"]) for flow in flows) / len(flows)
        ratio = summary["capture"]["oneway_flows_ratio"]
        check(f"{case.name}: oneway_flows_ratio {ratio}, and {oneway:.4f} of {len(flows)} flows in flows.json",
              ratio is not None and abs(ratio - oneway) < 0.0001, "they differ")
        return oneway
    return None


def check_run(case, sent, queues, lossless):
    """The checks that all captures share. Returns (summary, flows, received), or None when nothing can be judged."""
    equal(f"{case.name}: exit code", case.text("exit_code").strip(), "0")
    equal(f"{case.name}: sent by pktgen", case.sent(), sent)
    equal(f"{case.name}: got by the emulated NIC", case.moved("rx_packets"), sent)
    check_nic(case)
    summary = case.json("summary.json")
    if summary is None or "capture" not in summary:
        check(f"{case.name}: the summary tells of a capture", False, "it does not")
        return None
    check_zero_copy(case, summary, queues)
    received = check_ledger(case, summary, sent)
    if lossless:
        equal(f"{case.name}: received, of {sent} that pktgen sent", received, sent)
    check_pcap(case, received, sent, lossless)
    flows = check_flows(case, received, lossless)
    print(f"        {case.name}: time stamps from {summary['ts_source']}")
    return summary, flows, received


def check_stream(case):
    result = check_run(case, 20000, [0, 1], True)
    if result:
        check_queues(case, result[0])
        check_rss(case, result[0], result[1])


def check_talk(case):
    result = check_run(case, 20000, [0, 1], True)
    if result:
        check_queues(case, result[0])
        oneway = check_rss(case, result[0], result[1])
        check(f"{case.name}: directions of some flows are split over the queues, not of all", oneway and 0 < oneway < 1, f"ratio {oneway}")
        check(f"{case.name}: the summary's text says so", "One-way flows" in case.text("stdout"), "no line 'One-way flows'")


def check_killed(case):
    equal(f"{case.name}: exit code", case.text("exit_code").strip(), "137")
    check_nic(case)
    check_pcap(case, None, None, whole=False)


def check_one_queue(case):
    result = check_run(case, 10000, [0], False)
    if result:
        queues = {queue["queue"]: queue for queue in result[0]["capture"]["queues"]}
        check(f"{case.name}: queue 1 has no socket, and that is counted: {queues.get(1)}",
              1 in queues and queues[1]["no_socket"] == queues[1]["seen"] > 0, "it is not")
        equal(f"{case.name}: packets passed to the host, by the driver", queues[1]["seen"] if 1 in queues else None,
              case.moved("rx_queue_1_packets"))
        check(f"{case.name}: the queue without a socket is said", re.search(r"queue 1\b", case.text("stderr")) is not None,
              "standard error does not name queue 1")


def check_overload(case):
    result = check_run(case, 20000, [0, 1], False)
    if result:
        check(f"{case.name}: {20000 - result[2]} packets were lost, as they should", result[2] < 20000, "none was: the case tests nothing")


def check_doctor(case):
    check(f"{case.name}: exit code {case.text('exit_code').strip()}", case.text("exit_code").strip() in ["0", "1", "2"], "not 0, 1 or 2")
    check(f"{case.name}: names igb and zero-copy", "igb" in case.text("stdout") and "zero-copy" in case.text("stdout"), "it does not")
    case.json("doctor.json")
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
    cases = {"doctor": check_doctor, "stream": check_stream, "talk": check_talk, "killed": check_killed,
             "one_queue": check_one_queue, "overload": check_overload}
    for name, judge in cases.items():
        judge(Case(guest / name))
    check_kernel(guest)
    print(f"{failures} checks failed" if failures else "all checks ok")
    sys.exit(2 if failures else 0)


main()
