"""One capture through tshark and through flowlane; what differs."""

import os
import tempfile
from collections import Counter, defaultdict
from typing import NamedTuple

import capture
import flowlane_run
import tshark_view

RTT_TICK_NS = 8  # flowlane holds RTTs in units of this
RTT_TOLERANCE_NS = 1000  # flowlane exports microseconds
EWMA_TOLERANCE_NS = 2000  # its sum of shifts rounds a little differently


class Mismatch(NamedTuple):
    check: str
    what: str  # the conversation, or what of the file
    ours: object
    theirs: object


class Result:
    def __init__(self, path):
        self.path = path
        self.left_aside = None  # (who, why): this file could not be compared
        self.counts = Counter()  # what was compared
        self.mismatches = []
        self.left_out = Counter()  # frames that tshark gives ports for and flowlane drops by rule

    def mismatch(self, check, what, ours, theirs):
        self.mismatches.append(Mismatch(check, str(what), ours, theirs))


class _Sum:
    """flowlane's records of one 5-tuple: with port reuse there are several."""

    def __init__(self, records):
        self.records = [record.flow for record in records]

    def total(self, name):
        return sum(flow[name] for flow in self.records)

    def pair(self, name):
        return [self.total(f"{name}_a_to_b"), self.total(f"{name}_b_to_a")]


def _nanoseconds(milliseconds):
    return round(milliseconds * 10**6)


def _near(value, candidates, tolerance=RTT_TOLERANCE_NS):
    return any(abs(value - candidate) <= tolerance for candidate in candidates)


def _ewma(values):
    """alpha 1/8, the first value as it is."""
    mean = values[0]
    for value in values[1:]:
        mean += (value - mean) / 8
    return mean


def _compare_rtt(result, key, ours, rtts, extra):
    """flowlane's samples are a subset of tshark's; `extra`: samples of this file that come from TCP timestamps instead."""
    samples = ours.total("rtt_samples")
    result.counts["rtt_samples"] += samples
    result.counts["rtt_samples_tshark"] += len(rtts)
    if samples > len(rtts) + extra:
        result.mismatch("rtt_count", key, samples, len(rtts))
    for flow in ours.records:
        if not flow["rtt_samples"]:
            continue
        last, least = _nanoseconds(flow["rtt_last_ms"]), _nanoseconds(flow["rtt_min_ms"])
        found = _near(last, rtts) and _near(least, rtts)
        result.counts["rtt_flows"] += 1
        if not found and extra:
            result.counts["rtt_flows_timestamps"] += 1
        elif not found:
            result.mismatch("rtt_value", key, f"last {last} min {least}", f"{len(rtts)} from {min(rtts, default=None)}")
    if samples and samples == len(rtts) and len(ours.records) == 1 and not extra:
        # The same number of samples and a subset: then they are the same, and so is their moving average.
        ewma, expected = _nanoseconds(ours.records[0]["rtt_ewma_ms"]), _ewma(rtts)
        result.counts["rtt_ewma"] += 1
        if abs(ewma - expected) > EWMA_TOLERANCE_NS:
            result.mismatch("rtt_ewma", key, ewma, round(expected))


def _compare_loss(result, key, ours, theirs):
    pairs = [
        ("retransmission", ours.total("retransmissions"), theirs.retransmissions),
        ("out_of_order", ours.total("out_of_order"), theirs.out_of_order),
    ]
    result.counts["tcp_flows"] += 1
    agree = all(mine == other for _, mine, other in pairs)
    result.counts["loss_agree"] += agree
    if any(mine or other for _, mine, other in pairs):
        result.counts["lossy_flows"] += 1
        result.counts["lossy_agree"] += agree
    for name, mine, other in pairs:
        result.counts[name + "s"] += other
        if mine != other:
            result.mismatch(name, key, mine, other)


def _compare_dns(result, key, ours, theirs):
    """Informational: DNS round trips have the same idea in both, but tshark matches retries otherwise."""
    for flow in ours.records:
        if flow["rtt_samples"]:
            result.counts["dns_flows"] += 1
            result.counts["dns_agree"] += _near(_nanoseconds(flow["rtt_last_ms"]), [rtt for _, rtt in theirs.dns_times])


def _compare_conversation(result, key, ours, theirs, extra_rtts):
    for name in ("packets", "bytes"):
        mine, other = ours.pair(name), getattr(theirs, name)
        if mine != other:
            result.mismatch(name, key, mine, other)
    result.counts["conversations"] += 1
    result.counts["packets"] += sum(theirs.packets)
    if key.proto != "tcp":
        _compare_dns(result, key, ours, theirs)
        return
    result.counts["records"] += len(ours.records)
    result.counts["streams"] += len(theirs.streams - {""})
    _compare_loss(result, key, ours, theirs)
    _compare_rtt(result, key, ours, [rtt for _, rtt in theirs.ack_rtts], extra_rtts)


def _compare_samples(result, view, path):
    """Every single sample, where flowlane exports them: time of the ACK and value must be one of tshark's."""
    expected = {key: defaultdict(list) for key in view.conversations}
    for key, conversation in view.conversations.items():
        for ts, rtt in conversation.ack_rtts:
            expected[key][ts].append(rtt)
    for line in flowlane_run.read_lines(path):
        result.counts["rtt_" + line["source"]] += 1
        if line["source"] not in ("seq_ack", "handshake"):
            continue
        ends = [tshark_view.endpoint(line[name]["ip"], line[name]["port"]) for name in ("endpoint_a", "endpoint_b")]
        key, _ = tshark_view.make_key("tcp", *ends)
        result.counts["rtt_exact"] += 1
        rtts = expected.get(key, {}).get(tshark_view.nanoseconds(line["ts"]), ())
        if not _near(line["rtt_ns"], rtts, RTT_TICK_NS):
            result.mismatch("rtt_exact", key, f"{line['rtt_ns']} ns at {line['ts']}", f"{rtts or 'no ack_rtt'} then")


def _compare_file(result, view, records, summary):
    ours = defaultdict(list)
    for record in records:
        if record.key.proto in tshark_view.L4:
            ours[record.key].append(record)
    extra_rtts = summary["rtt_samples"].get("timestamp", 0)
    for key in sorted(ours.keys() | view.conversations.keys()):
        theirs = view.conversations.get(key, tshark_view.Conversation())
        _compare_conversation(result, key, _Sum(ours.get(key, ())), theirs, extra_rtts)


def _check_ledger(result, view, records, summary):
    for error in flowlane_run.ledger_errors(summary):
        result.mismatch("ledger", error, "", "")
    for name, other in (("packets_read", view.frames), ("bytes_read", view.bytes)):
        if summary[name] != other:
            result.mismatch("frames", name, summary[name], other)
    if summary["packets_in_flows"] != view.ip_frames:
        result.mismatch("ip_frames", "packets in flows of any protocol", summary["packets_in_flows"], view.ip_frames)
    exported = sum(record.flow["packets_total"] for record in records)
    if exported != summary["packets_in_flows"]:
        result.mismatch("ledger", "packets of all exported flows", exported, summary["packets_in_flows"])
    result.counts["frames"] += view.frames


def _last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _why_refused(path, run):
    """flowlane may refuse what it does not decode; anything else is a mismatch. Returns (who, why), or None."""
    try:
        links = set(capture.read_capture(path).links)
    except capture.CaptureError as error:
        return "capture", str(error)
    if links - flowlane_run.LINKS:
        return "flowlane", f"link type {', '.join(map(str, sorted(links - flowlane_run.LINKS)))}"
    complaint = flowlane_run.libpcap_complaint(path)
    return ("libpcap", complaint) if complaint else None


def compare_file(path, name, binary, cache=None, samples_option=None):
    """Never raises for what a file or a program does: that is a result, too."""
    result = Result(name)
    view = tshark_view.read_view(path, cache)
    with tempfile.TemporaryDirectory() as scratch:
        flows, summary, samples = (os.path.join(scratch, n) for n in ("flows.json", "summary.json", "samples.jsonl"))
        arguments = ["-r", path, "--flow-timeout-s", "0", "--export-json", flows, "--all-protocols", "--extended"]
        arguments += ["--summary-json", summary, "--quiet"]
        if samples_option:
            arguments += [samples_option, samples]
        run = flowlane_run.run_flowlane(binary, *arguments)
        if run.code:
            refused = _why_refused(path, run)
            if refused:
                result.left_aside = refused
            else:
                result.mismatch("exit", "exit code", run.code, _last_line(run.stderr))
            return result
        if view.error:
            result.left_aside = ("tshark", view.error)
            return result
        result.left_out = view.left_out
        records, ledger = flowlane_run.read_records(flows), flowlane_run.read_json(summary)
        _check_ledger(result, view, records, ledger)
        _compare_file(result, view, records, ledger)
        if samples_option:
            _compare_samples(result, view, samples)
    return result
