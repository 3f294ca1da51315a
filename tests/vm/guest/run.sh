# What happens in the VM, with busybox's shell as root. Nothing is judged here: what is seen goes to /out/CASE/, and the host judges
# it (tests/vm/check_run.py).
#
#   eth0, pktgen ──── one hub ──── eth1, flowlane: 2 RSS queues, 2 lanes
#
# igb gives UDP the hash of the addresses alone, so the packets of a case come from 100 addresses and 100 ports, which move
# together: 100 flows of the same number of packets, over both queues.

receiver_mac=02:00:00:00:00:01

# wait_until SECONDS COMMAND...
wait_until() {
	local tries=$(($1 * 10))
	shift
	while ! "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		usleep 100000
	done
}

have_carrier() { [ "$(cat /sys/class/net/eth0/carrier)$(cat /sys/class/net/eth1/carrier)" = 11 ]; }
have_program() { /bin/ip -d link show eth1 | grep -q 'prog/xdp'; }
is_gone() { ! kill -0 "$1"; }

# All that a capture may change on the NIC; with what changes by itself left out it must be the same before and after.
nic_state() {
	/bin/ip -d link show eth1
	/bin/ethtool -l eth1
	/bin/ethtool -g eth1
	/bin/ethtool -k eth1
	/bin/ethtool -x eth1
	/bin/ethtool -n eth1 rx-flow-hash udp4
	/bin/ethtool -n eth1 rx-flow-hash tcp4
	cat /sys/class/net/eth1/napi_defer_hard_irqs /sys/class/net/eth1/gro_flush_timeout
} 2>&1

# begin CASE ARGUMENT...: flowlane on eth1, until it is ready.
begin() {
	case=$1
	shift
	echo "vm: case $case at $(cut -d' ' -f1 /proc/uptime) s: flowlane -i eth1 $*"
	mkdir -p "/out/$case"
	cd "/out/$case" || return
	nic_state >nic.before
	flowlane -i eth1 "$@" >stdout 2>stderr &
	flowlane=$!
	if ! wait_until 30 have_program; then
		echo "vm: case $case: no XDP program on eth1 after 30 s"
	fi
	wait_until 10 have_carrier || echo "vm: case $case: no carrier"
	nic_state >nic.during
	/bin/ss --xdp -a -e -p >sockets.during 2>&1
}

# end SIGNAL: what flowlane makes of it.
end() {
	kill -"$1" $flowlane 2>/dev/null
	if ! wait_until 60 is_gone $flowlane; then
		echo "vm: case $case: flowlane still runs 60 s after SIG$1" | tee hangs
		kill -KILL $flowlane
	fi
	wait $flowlane
	echo $? >exit_code
	wait_until 10 have_carrier
	nic_state >nic.after
	/bin/ss --xdp -a -e -p >sockets.after 2>&1
	cat stdout stderr
}

pg() { echo "$2" >/proc/net/pktgen/"$1" || echo "vm: pktgen $1 refuses: $2"; }

# aim DEVICE COUNT RATE SETTING...: a stream of pktgen; it runs with send.
aim() {
	local device=$1 setting
	pg kpktgend_0 "add_device $device"
	pg "$device" "count $2"
	pg "$device" "ratep $3"
	pg "$device" "pkt_size ${packet_bytes:-60}"
	pg "$device" "dst_mac $receiver_mac"
	shift 3
	for setting in "$@"; do
		pg "$device" "$setting"
	done
}
aim_forth() { aim "$1" "$2" "$3" "src_min 10.0.0.1" "src_max 10.0.0.100" "dst 10.1.0.1" "udp_src_min 2000" "udp_src_max 2100" \
	"udp_dst_min 9" "udp_dst_max 9"; }
aim_back() { aim "$1" "$2" "$3" "src_min 10.1.0.1" "src_max 10.1.0.1" "dst_min 10.0.0.1" "dst_max 10.0.0.100" "udp_dst_min 2000" \
	"udp_dst_max 2100" "udp_src_min 9" "udp_src_max 9"; }

send() {
	[ -f counters.before ] || /bin/ethtool -S eth1 >counters.before
	# A signal ends pktgen early, so not by this shell, which gets SIGCHLD when flowlane is killed or stopped.
	(pg pgctrl start) &
	wait $!
	cat /proc/net/pktgen/eth0* >>pktgen
	pg kpktgend_0 rem_device_all
	usleep 500000 # what is on its way
	/bin/ethtool -S eth1 >counters.after
}

# when_sent N COMMAND...: once pktgen has sent so many more packets, whenever the host lets that be.
packets_sent() { cat /sys/class/net/eth0/statistics/tx_packets; }
have_sent() { [ "$(packets_sent)" -ge "$1" ]; }
when_sent() {
	local goal=$(($(packets_sent) + $1))
	shift
	(wait_until 30 have_sent $goal && "$@") &
}
pause_flowlane() {
	kill -STOP $flowlane
	wait_until 30 have_sent $(($(packets_sent) + 8000))
	kill -CONT $flowlane
}

/bin/ip link set eth0 up
/bin/ip link set eth1 up
/bin/ethtool -L eth1 combined 2
# The emulated NIC loses what finds no descriptor, and counts it nowhere: room for the moments in which a lane's CPU stands still.
/bin/ethtool -G eth1 rx 4096
wait_until 10 have_carrier || echo "vm: no carrier"

mkdir -p /out/doctor
cd /out/doctor
echo "vm: flowlane doctor at $(cut -d' ' -f1 /proc/uptime) s"
nic_state >nic.before
flowlane doctor -i eth1 >stdout 2>stderr
echo $? >exit_code
flowlane doctor -i eth1 --json >doctor.json 2>json.stderr
wait_until 10 have_carrier
nic_state >nic.after
cat stdout stderr

outputs="-w cap.pcap --export-json flows.json --summary-json summary.json --stats"
# An RX ring that holds all packets of a case, and the buffers for that: nothing is lost, however long the host lets a lane wait.
deep="--ring-size 16384 --frames 20480"
lossless="--require-zerocopy $deep $outputs"

# As the NIC spreads by itself: not symmetric.
begin stream --no-symmetric-rss $lossless
aim_forth eth0 20000 20000
send
end INT

begin talk --no-symmetric-rss $lossless
aim_forth eth0@0 10000 10000
aim_back eth0@1 10000 10000
send
end INT

# The same with the hash key made symmetric, which igb lets be done since Linux 7.3.
begin symmetric $lossless
aim_forth eth0@0 10000 10000
aim_back eth0@1 10000 10000
send
end INT

# What flowlane advises where RSS is not symmetric: one queue, and the XDP program spreads over the lanes.
/bin/ethtool -L eth1 combined 1
wait_until 10 have_carrier
begin fanout --fanout 2 $lossless
aim_forth eth0@0 10000 10000
aim_back eth0@1 10000 10000
send
end INT
/bin/ethtool -L eth1 combined 2
wait_until 10 have_carrier

# The interface goes down and comes back while flowlane runs.
begin flap $lossless
aim_forth eth0 5000 20000
send
/bin/ip link set eth1 down
usleep 1500000
/bin/ip link set eth1 up
wait_until 10 have_carrier
aim_forth eth0 5000 20000
send
end INT

# Lanes poll the driver themselves. No more packets than both RX rings of the NIC hold: the CPUs are all taken.
begin busy --busy-poll $lossless
aim_forth eth0 5000 10000
send
end INT

# The driver copies, as with the many that have no zero-copy.
begin copy --mode copy $deep $outputs
aim_forth eth0 10000 20000
send
end INT

# Killed while packets come, large ones, so that chunks of the pcap are in the file. The next case begins right after it.
begin killed --require-zerocopy -w cap.pcap
packet_bytes=1000
aim_forth eth0 20000 20000
packet_bytes=
when_sent 10000 kill -KILL $flowlane
send
end KILL
/bin/ethtool -K eth1 rxvlan on # nobody was left to do it

# One of the two queues has no socket: its packets go to the host, and are counted.
begin one_queue --queues 0 $lossless
aim_forth eth0 10000 20000
send
end TERM

# The lanes stand still for a while, with small rings.
begin overload --require-zerocopy --ring-size 64 $outputs
aim_forth eth0 20000 20000
when_sent 4000 pause_flowlane
send
end INT

# Frames that the driver does not receive with an XDP program.
case=mtu
echo "vm: case $case at $(cut -d' ' -f1 /proc/uptime) s: flowlane -i eth1 --mode copy, MTU 9000"
mkdir -p /out/$case
cd /out/$case
/bin/ip link set eth1 mtu 9000
wait_until 10 have_carrier
nic_state >nic.before
flowlane -q -i eth1 --mode copy >stdout 2>stderr
echo $? >exit_code
wait_until 10 have_carrier
nic_state >nic.after
cat stderr
