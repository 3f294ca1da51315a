"""The flow exports as the user specified them: keys, columns, order, and values that fit together."""

import csv
import json
from decimal import Decimal

from flowlane_run import CSV_COLUMNS, JSON_KEYS

STATES = {"syn_sent", "syn_ack", "established", "fin_wait", "closed", "reset", "unknown"}
EXPIRED_KEYS = ["ts", "reason", *JSON_KEYS]


class ExportError(Exception):
    """What is wrong, in a sentence."""


def expect(condition, text):
    if not condition:
        raise ExportError(text)


def _check_sums(flow, what):
    for unit in ("packets", "bytes"):
        total = flow[f"{unit}_a_to_b"] + flow[f"{unit}_b_to_a"]
        expect(flow[f"{unit}_total"] == total, f"{what}: {unit}_total is not the sum of both directions")
    duration = flow["duration_secs"]
    # Each of the three was rounded down to microseconds on its own.
    gap = max(flow["last_seen"] - flow["first_seen"], Decimal(0)) - duration
    expect(abs(gap) <= Decimal("0.000001"), f"{what}: duration_secs is not last_seen - first_seen")
    if duration >= 1:
        rate = flow["bytes_total"] * 8 / duration
        near = abs(flow["avg_bps"] - rate) <= Decimal("0.06") + rate / 10**6
        expect(near, f"{what}: avg_bps {flow['avg_bps']}, expected {rate:.1f}")


def _check_values(flow, what):
    expect(flow["client"] in ("a_to_b", "b_to_a", None), f"{what}: client {flow['client']}")
    if flow["protocol"] == "tcp":
        expect(flow["tcp_state"] in STATES, f"{what}: tcp_state {flow['tcp_state']}")
    else:
        expect(flow["tcp_state"] is None and flow["client"] is None, f"{what}: TCP values in a {flow['protocol']} flow")
    values = [flow[key] for key in ("rtt_last_ms", "rtt_min_ms", "rtt_ewma_ms")]
    expect(all((value is None) == (flow["rtt_samples"] == 0) for value in values), f"{what}: null RTTs and samples disagree")
    if flow["rtt_samples"]:
        expect(flow["rtt_min_ms"] <= flow["rtt_last_ms"], f"{what}: rtt_min_ms above rtt_last_ms")
        expect(flow["rtt_min_ms"] <= flow["rtt_ewma_ms"] + Decimal("0.001"), f"{what}: rtt_min_ms above rtt_ewma_ms")


def _read_flow(pairs):
    """Every object of the export comes through here: keys keep their order, and none may come twice."""
    keys = [key for key, _ in pairs]
    expect(keys in (["ip", "port"], list(JSON_KEYS), EXPIRED_KEYS), f"keys {keys}")
    return dict(pairs)


def check_json(path):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    expect(text.endswith("\n"), "JSON: no newline at the end")
    flows = json.loads(text, parse_float=Decimal, object_pairs_hook=_read_flow)
    expect(isinstance(flows, list), "JSON: not an array")
    expect(bool(flows) or text == "[]\n", "JSON: empty, but not []")
    for number, flow in enumerate(flows, 1):
        what = f"JSON flow {number}"
        expect(flow["protocol"] in ("tcp", "udp"), f"{what}: protocol {flow['protocol']}")
        _check_sums(flow, what)
        _check_values(flow, what)
    sizes = [flow["bytes_total"] for flow in flows]
    expect(sizes == sorted(sizes, reverse=True), "JSON: not sorted by bytes_total")
    return flows


def _columns(flow):
    values = {}
    for key, value in flow.items():
        if key in ("endpoint_a", "endpoint_b"):
            values[key + "_ip"], values[key + "_port"] = value["ip"], value["port"]
        else:
            values[key] = value
    return values


def _same(name, text, value):
    if value is None:
        return text == ""
    if isinstance(value, str):
        return text == value
    tolerance = Decimal("0.05") if name == "avg_bps" else 0  # 3 digits here, 1 there
    return abs(Decimal(text) - value) <= tolerance


def check_csv(path, flows):
    with open(path, encoding="utf-8", newline="") as f:
        lines = f.read()
    expect("\r" not in lines, "CSV: carriage returns")
    rows = list(csv.reader(lines.splitlines()))
    expect(rows and rows[0] == CSV_COLUMNS, f"CSV: header {rows[:1]}")
    expect(len(rows) - 1 == len(flows), f"CSV: {len(rows) - 1} rows, {len(flows)} flows in the JSON")
    for number, (row, flow) in enumerate(zip(rows[1:], flows), 1):
        expect(len(row) == len(CSV_COLUMNS), f"CSV row {number}: {len(row)} columns")
        values = _columns(flow)
        for name, text in zip(CSV_COLUMNS, row):
            expect(_same(name, text, values[name]), f"CSV row {number}: {name} {text!r}, JSON {values[name]!r}")


def check_expired(path):
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            flow = json.loads(line, parse_float=Decimal, object_pairs_hook=_read_flow)
            what = f"JSONL line {number}"
            expect(list(flow) == EXPIRED_KEYS, f"{what}: keys {list(flow)}")
            expect(flow["reason"] in ("timeout", "eviction", "reuse"), f"{what}: reason {flow['reason']}")
            expect(flow["ts"] >= flow["last_seen"], f"{what}: ended before its last packet")
            _check_sums(flow, what)
            _check_values(flow, what)
