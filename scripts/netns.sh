#!/bin/bash
# Two network namespaces with a veth pair between them, for the live demo, benchmark and tests. Nothing of it is visible to the
# machine's own interfaces, no address is configured, and the kernel sends nothing into it by itself.
#
#       NAME-src                      NAME-mon
#   +---------------+            +----------------+
#   | live_replay   |            |  flowlane      |
#   | live_gen  src0|============|mon0            |
#   +---------------+  N queues  +----------------+
#
# Frames that CPU c sends into src0 arrive on queue c modulo N of mon0.
#
#   scripts/netns.sh check                     can this machine do it? Exit code 77 and a reason if not
#   scripts/netns.sh up NAME [QUEUES [MTU]]    NAME begins with flt-, and has the caller's process id in it
#   scripts/netns.sh down NAME                 ends what still runs in there, and removes both
#
# Or `source` it and call netns_check, netns_up, netns_down, netns_attached. Programs are started in there with
# `ip netns exec NAME-mon PROGRAM &`: ip becomes the program, so $! is its process id.

# Says why not, and returns 77: no root, no namespaces, no veth pairs, no XDP.
netns_check() {
	local name=flt-$$-check reason=
	if [[ $EUID -ne 0 ]]; then
		reason="it takes root"
	elif ! command -v ip >/dev/null; then
		reason="the program 'ip' is missing (scripts/deps.sh tests)"
	elif ! netns_up "$name" 1 2>/dev/null; then
		reason="this machine does not allow network namespaces or veth pairs"
	fi
	netns_down "$name" 2>/dev/null
	if [[ -n $reason ]]; then
		echo "SKIPPED: no live capture here: $reason"
		return 77
	fi
}

netns_up() {
	local name=$1 queues=${2:-1} mtu=${3:-1500} side tries=100
	[[ $name == flt-* ]] || {
		echo "netns.sh: the name '$name' does not begin with flt-" >&2
		return 1
	}
	# Before the interface is there: it must not say hello to anybody when it comes up.
	for side in src mon; do
		ip netns add "$name-$side" || return
		ip netns exec "$name-$side" sh -c 'for f in all default; do echo 1 >/proc/sys/net/ipv6/conf/$f/disable_ipv6; done' 2>/dev/null
	done
	ip link add src0 netns "$name-src" mtu "$mtu" numrxqueues "$queues" numtxqueues "$queues" type veth \
		peer name mon0 netns "$name-mon" mtu "$mtu" numrxqueues "$queues" numtxqueues "$queues" || return
	ip -n "$name-src" link set src0 up && ip -n "$name-mon" link set mon0 up || return
	while ip -n "$name-mon" link show dev mon0 | grep -q NO-CARRIER; do
		((tries-- > 0)) || return
		sleep 0.02
	done
}

netns_down() {
	local name=$1 side pids
	for side in src mon; do
		[[ -e /run/netns/$name-$side ]] || continue
		pids=$(ip netns pids "$name-$side")
		[[ -z $pids ]] || kill -KILL $pids 2>/dev/null
		ip netns del "$name-$side"
	done
	return 0
}

# netns_attached NAME [SECONDS]: waits until an XDP program is on mon0.
netns_attached() {
	local name=$1 tries=$((${2:-10} * 50))
	while ! ip -n "$name-mon" link show dev mon0 | grep -q 'prog/xdp'; do
		((tries-- > 0)) || return 1
		sleep 0.02
	done
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
	case ${1:-} in
	check) netns_check ;;
	up) netns_up "${@:2}" || {
		netns_down "$2"
		exit 2
	} ;;
	down) netns_down "$2" ;;
	*)
		sed -n '/^#   scripts/s/^# *//p' "$0" >&2
		exit 1
		;;
	esac
fi
