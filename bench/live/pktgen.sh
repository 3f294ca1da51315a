#!/bin/bash
# The kernel's own packet generator: 64-byte frames (60 without FCS) of 1000 UDP flows out of one interface, from CPU 0.
#
#   bench/live/pktgen.sh FLOWLANE SEND_IF [RECEIVE_IF [COUNT]]
#
# With RECEIVE_IF (the other end of the cable, on this machine) flowlane captures there, and the two counts are compared. One JSON
# line on standard output. Called by `scripts/bench.sh --pktgen`.
set -euo pipefail

control=${PKTGEN_PROC:-/proc/net/pktgen}
flowlane=$1 sender=$2 receiver=${3:-} count=${4:-10000000}

die() {
	echo "pktgen: $*" >&2
	exit 2
}

# say FILE COMMAND: pktgen answers a command that it does not like with a failed write.
say() { printf '%s\n' "$2" >"$control/$1" || die "'$2' was refused by $control/$1"; }

if [[ ! -e $control/pgctrl ]]; then
	[[ -n ${PKTGEN_PROC:-} ]] || modprobe pktgen 2>/dev/null || true
	if [[ ! -e $control/pgctrl ]]; then
		echo "SKIPPED pktgen: this kernel has none (CONFIG_NET_PKTGEN), or you are not root" >&2
		exit 0
	fi
fi
[[ -e /sys/class/net/$sender ]] || die "there is no interface '$sender' to send from"

directory=$(mktemp -d)
capture=
cleanup() {
	[[ -z $capture ]] || kill -INT "$capture" 2>/dev/null || true
	printf 'rem_device_all\n' >"$control/kpktgend_0" 2>/dev/null || true
	rm -rf "$directory"
}
trap cleanup EXIT

say kpktgend_0 rem_device_all
say kpktgend_0 "add_device $sender"
for command in "count $count" "pkt_size 60" "delay 0" "clone_skb 0" "src_min 10.0.0.0" "src_max 10.0.3.231" "dst 198.18.0.1" \
	"udp_src_min 1024" "udp_src_max 1024" "udp_dst_min 443" "udp_dst_max 443" "dst_mac 02:02:00:00:00:01"; do
	say "$sender" "$command"
done

if [[ -n $receiver ]]; then
	"$flowlane" -q -i "$receiver" --summary-json "$directory/summary.json" --export-json "$directory/flows.json" &
	capture=$!
	sleep 3
	kill -0 "$capture" 2>/dev/null || die "flowlane does not run; its message is above"
fi
say pgctrl start
if [[ -n $receiver ]]; then
	sleep 1
	kill -INT "$capture"
	wait "$capture" || die "flowlane failed"
	capture=
fi

python3 - "$control/$sender" "$directory/summary.json" "$receiver" <<'END'
import json, re, sys
text = open(sys.argv[1]).read()
sent, errors = (int(n) for n in re.search(r"pkts-sofar:\s*(\d+)\s+errors:\s*(\d+)", text).groups())
pps = re.search(r"(\d+)pps", text)
line = {"bench": "pktgen", "sent": sent, "errors": errors, "pps": int(pps.group(1)) if pps else None}
if sys.argv[3]:
    summary = json.load(open(sys.argv[2]))
    queues = summary["capture"]["queues"]
    line["mode"] = summary["capture"]["interfaces"][0]["mode"]
    line["received"] = summary["packets_read"]
    line["seen"] = [queue["seen"] for queue in queues]
    for loss in "filtered", "no_socket", "rx_ring_full", "fill_ring_empty", "refused":
        line[loss] = sum(queue[loss] for queue in queues)
    for loss in "nic_missed", "nic_dropped", "nic_errors":
        line[loss] = sum(interface[loss] for interface in summary["capture"]["interfaces"])
    line["cpu_ns_per_packet"] = round(sum(lane["cpu_secs"] for lane in summary["lanes"]) * 1e9 / max(1, summary["packets_read"]), 1)
print(json.dumps(line))
END
