"""Runs flowlane on a capture and reads what it wrote: exports as the user specified them, and the ledger."""

import json
import os
import subprocess
import tempfile
import threading
from typing import NamedTuple

from tshark_view import endpoint, make_key

# The 20 keys of the user's JSON export, in order; the two endpoints are objects of "ip" and "port".
JSON_KEYS = (
    "protocol endpoint_a endpoint_b first_seen last_seen duration_secs packets_a_to_b packets_b_to_a bytes_a_to_b "
    "bytes_b_to_a packets_total bytes_total avg_bps tcp_state client retransmissions out_of_order rtt_last_ms rtt_min_ms "
    "rtt_ewma_ms rtt_samples"
).split()
CSV_COLUMNS = (
    "protocol endpoint_a_ip endpoint_a_port endpoint_b_ip endpoint_b_port first_seen last_seen duration_secs packets_a_to_b "
    "packets_b_to_a bytes_a_to_b bytes_b_to_a packets_total bytes_total avg_bps tcp_state client retransmissions "
    "out_of_order rtt_last_ms rtt_min_ms rtt_ewma_ms rtt_samples"
).split()

# What flowlane decodes, as LINKTYPE_ numbers: NULL, Ethernet, RAW (three numbers), LOOP, Linux SLL and SLL2, IPv4, IPv6.
LINKS = frozenset((0, 1, 12, 14, 101, 108, 113, 228, 229, 276))


class Run(NamedTuple):
    code: int  # negative: killed by that signal
    stderr: str
    cpu_secs: float  # of the process: what else the machine does at the time has no say in it

    @property
    def sanitizer(self):
        """The first line of a sanitizer's report, or None."""
        for line in self.stderr.splitlines():
            if "Sanitizer" in line or "runtime error:" in line:
                return line.strip()
        return None


def run_flowlane(binary, *arguments, timeout=120):
    env = dict(os.environ, ASAN_OPTIONS="detect_leaks=1", UBSAN_OPTIONS="print_stacktrace=1", LC_ALL="C")
    with tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(
            [binary, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, env=env
        )
        watchdog = threading.Timer(timeout, process.kill)
        watchdog.start()
        _, status, usage = os.wait4(process.pid, 0)
        watchdog.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        stderr.seek(0)
        text = stderr.read().decode(errors="replace")
    return Run(process.returncode, text, usage.ru_utime + usage.ru_stime)


def libpcap_complaint(path):
    """Why libpcap, as tcpdump uses it, does not read the file to its end; None if it does."""
    run = subprocess.run(["tcpdump", "-n", "-r", path, "-w", os.devnull], capture_output=True, timeout=60)
    lines = run.stderr.decode(errors="replace").splitlines()
    return lines[-1].removeprefix("tcpdump: ").removeprefix("pcap_loop: ") if run.returncode and lines else None


def has_option(binary, option):
    run = subprocess.run([binary, "--help"], capture_output=True, timeout=30)
    return option in run.stdout.decode(errors="replace")


def read_json(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def read_exact(path):
    """As read_json(), but numbers with a fraction stay text."""
    with open(path, encoding="utf-8") as f:
        return json.load(f, parse_float=str)


def read_lines(path):
    """JSON lines; numbers with a fraction stay text: a float has no room for nanoseconds."""
    with open(path, encoding="utf-8") as f:
        return [json.loads(line, parse_float=str) for line in f]


class Record(NamedTuple):
    """One exported flow: the canonical key, and the JSON object."""

    key: tuple
    flow: dict


def read_records(path):
    records = []
    for flow in read_json(path):
        ends = [endpoint(flow[name]["ip"], flow[name]["port"]) for name in ("endpoint_a", "endpoint_b")]
        key, direction = make_key(flow["protocol"], *ends)
        if direction:
            raise ValueError(f"{key}: endpoint_a is not the smaller one")
        records.append(Record(key, flow))
    return records


def ledger_errors(summary):
    """Sentences about sums that do not add up: in total, and per lane."""
    errors = []

    def check(name, left, right, text):
        if left != right:
            errors.append(f"{name}: {text}: {left} != {right}")

    for name, part in [("total", summary), *((f"lane {i}", lane) for i, lane in enumerate(summary["lanes"]))]:
        drops, ended = sum(part["drops"].values()), sum(part["flows_ended"].values())
        check(name, part["packets_read"], part["packets_decoded"] + drops, "packets_read = packets_decoded + drops")
        no_flow = sum(part["no_flow"].values())
        check(name, part["packets_decoded"], part["packets_in_flows"] + no_flow, "packets_decoded = packets_in_flows + no_flow")
        check(name, part["flows_created"], ended + part["flows_alive"], "flows_created = flows_ended + flows_alive")
    for counter in ("packets_read", "bytes_read", "packets_decoded", "flows_created", "flows_alive"):
        lanes = sum(lane[counter] for lane in summary["lanes"])
        check(counter, summary[counter], lanes, "total = sum over lanes")
    return errors
