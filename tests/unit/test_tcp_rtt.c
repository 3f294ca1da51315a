/* RTT from sequence and acknowledgement numbers: which ACK gives a sample, how long it is, and whose leg it measures. */
#include "flow_builder.h"
#include "rtt.h"
#include "tcp_samples.h"

#define EST    TCP_STATE_ESTABLISHED
#define US(x)  TICKS_US(x)
#define SEC    (1000 * 1000)
#define MAX_US ((int64_t)(RTT_MAX_NS / 1000))

static void samples__after_each_script__then_as_the_rules_say(void **context)
{
	(void)context;
	/* clang-format off */
	static const struct tcp_case rows[] = {
		{ "SYN to SYN-ACK", { TCP_STATE_SYN_ACK, A_IS_CLIENT, 0, 0, 1, 15000, 0 },
		  { { A, SYN, 1000, 0, 0, WIN, 0 }, { B, SYNACK, 5000, 1001, 0, WIN, 15000 } } },
		{ "handshake", { EST, A_IS_CLIENT, 0, 0, 2, 5000, 0 }, { HANDSHAKE } },
		{ "data and its ACK", { EST, A_IS_CLIENT, 0, 0, 3, 12345, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 30000 }, { B, ACK, 5001, 1101, 0, WIN, 42345 } } },
		{ "one microsecond", { EST, A_IS_CLIENT, 0, 0, 3, 1, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 30000 }, { B, ACK, 5001, 1101, 0, WIN, 30001 } } },
		{ "no time at all", { EST, A_IS_CLIENT, 0, 0, 3, 0, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 30000 }, { B, ACK, 5001, 1101, 0, WIN, 30000 } } },
		{ "data that acknowledges", { EST, A_IS_CLIENT, 0, 0, 4, 7000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 30000 }, { B, PSH, 5001, 1101, 50, WIN, 40000 },
		    { A, ACK, 1101, 5051, 0, WIN, 47000 } } },
		{ "without a handshake", { EST, NO_CLIENT, 0, 0, 1, 9, 0 },
		  { { A, PSH, 1001, 5001, 100, WIN, 30000 }, { B, ACK, 5001, 1101, 0, WIN, 30009 } } },
		{ "FIN counts one", { TCP_STATE_FIN_WAIT, A_IS_CLIENT, 0, 0, 3, 500, 0 },
		  { HANDSHAKE, { A, FIN, 1001, 5001, 0, WIN, 30000 }, { B, ACK, 5001, 1002, 0, WIN, 30500 } } },
		{ "FIN with data", { TCP_STATE_FIN_WAIT, A_IS_CLIENT, 0, 0, 3, 500, 0 },
		  { HANDSHAKE, { A, FIN, 1001, 5001, 10, WIN, 30000 }, { B, ACK, 5001, 1012, 0, WIN, 30500 } } },
		{ "SYN with data", { TCP_STATE_SYN_ACK, A_IS_CLIENT, 0, 0, 1, 500, 0 },
		  { { A, SYN, 1000, 0, 20, WIN, 0 }, { B, SYNACK, 5000, 1021, 0, WIN, 500 } } },
		{ "an ACK of two segments: the second", { EST, A_IS_CLIENT, 0, 0, 3, 8000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, 100, WIN, 30000 }, { A, PSH, 1101, 5001, 100, WIN, 32000 },
		    { B, ACK, 5001, 1201, 0, WIN, 40000 } } },
		{ "an ACK of five segments: the last", { EST, A_IS_CLIENT, 0, 0, 3, 1000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, 100, WIN, 30000 }, { A, PSH, 1101, 5001, 100, WIN, 31000 },
		    { A, ACK, 1201, 5001, 100, WIN, 32000 }, { A, PSH, 1301, 5001, 100, WIN, 33000 },
		    { A, ACK, 1401, 5001, 100, WIN, 34000 }, { B, ACK, 5001, 1501, 0, WIN, 35000 } } },
		{ "one by one", { EST, A_IS_CLIENT, 0, 0, 4, 9000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, 100, WIN, 30000 }, { A, PSH, 1101, 5001, 100, WIN, 32000 },
		    { B, ACK, 5001, 1101, 0, WIN, 40000 }, { B, ACK, 5001, 1201, 0, WIN, 41000 } } },
		{ "inside the segment: none, then its end", { EST, A_IS_CLIENT, 0, 0, 3, 12000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 30000 }, { B, ACK, 5001, 1060, 0, WIN, 40000 },
		    { B, ACK, 5001, 1101, 0, WIN, 42000 } } },
		{ "inside the second: the first is gone", { EST, A_IS_CLIENT, 0, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, 100, WIN, 30000 }, { A, PSH, 1101, 5001, 100, WIN, 32000 },
		    { B, ACK, 5001, 1160, 0, WIN, 40000 }, { B, ACK, 5001, 1101, 0, WIN, 41000 } } },
		{ "beyond what was sent", { EST, A_IS_CLIENT, 0, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 30000 }, { B, ACK, 5001, 1102, 0, WIN, 40000 },
		    { B, ACK, 5001, 1101, 0, WIN, 41000 } } },
		{ "an old ACK", { EST, A_IS_CLIENT, 0, 0, 3, 12000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 30000 }, { B, ACK, 5001, 1001, 0, WIN, 40000 },
		    { B, ACK, 5001, 901, 0, WIN, 41000 }, { B, ACK, 5001, 1101, 0, WIN, 42000 } } },
		{ "the same ACK again", { EST, A_IS_CLIENT, 0, 0, 3, 12000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 30000 }, { B, ACK, 5001, 1101, 0, WIN, 42000 },
		    { B, ACK, 5001, 1101, 0, WIN, 52000 } } },
		{ "the ACK number without ACK flag", { EST, A_IS_CLIENT, 0, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 30000 }, { B, TCP_PSH, 5001, 1101, 0, WIN, 42000 } } },
		{ "one's own ACK", { EST, A_IS_CLIENT, 0, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, 4100, WIN, 30000 }, { A, ACK, 5101, 5101, 0, WIN, 42000 } } },
		{ "a pure ACK is not timed", { EST, A_IS_CLIENT, 0, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, 0, WIN, 30000 }, { B, ACK, 5001, 1001, 0, WIN, 42000 } } },
		/* Karn */
		{ "sent twice", { EST, A_IS_CLIENT, 1, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 30000 }, { A, PSH, 1001, 5001, 100, WIN, 330000 },
		    { B, ACK, 5001, 1101, 0, WIN, 342000 } } },
		{ "sent twice, then something new", { EST, A_IS_CLIENT, 1, 0, 3, 3000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 30000 }, { A, PSH, 1001, 5001, 100, WIN, 330000 },
		    { B, ACK, 5001, 1101, 0, WIN, 342000 }, { A, PSH, 1101, 5001, 9, WIN, 350000 },
		    { B, ACK, 5001, 1110, 0, WIN, 353000 } } },
		{ "sent again after its ACK", { EST, A_IS_CLIENT, 1, 0, 3, 10000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 30000 }, { B, ACK, 5001, 1101, 0, WIN, 40000 },
		    { A, PSH, 1001, 5001, 100, WIN, 330000 }, { B, ACK, 5001, 1101, 0, WIN, 340000 } } },
		{ "its first half sent twice", { EST, A_IS_CLIENT, 1, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 30000 }, { A, PSH, 1001, 5001, 50, WIN, 330000 },
		    { B, ACK, 5001, 1101, 0, WIN, 342000 } } },
		{ "its last half sent twice", { EST, A_IS_CLIENT, 1, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 30000 }, { A, PSH, 1051, 5001, 50, WIN, 330000 },
		    { B, ACK, 5001, 1101, 0, WIN, 342000 } } },
		{ "an overlapping one with new bytes", { EST, A_IS_CLIENT, 1, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 30000 }, { A, PSH, 1051, 5001, 100, WIN, 330000 },
		    { B, ACK, 5001, 1101, 0, WIN, 342000 }, { B, ACK, 5001, 1151, 0, WIN, 343000 } } },
		{ "SYN sent twice", { EST, A_IS_CLIENT, 1, 0, 1, 5000, 0 },
		  { { A, SYN, 1000, 0, 0, WIN, -1000000 }, { A, SYN, 1000, 0, 0, WIN, 0 }, { B, SYNACK, 5000, 1001, 0, WIN, 15000 },
		    { A, ACK, 1001, 5001, 0, WIN, 20000 } } },
		{ "SYN-ACK sent twice", { EST, A_IS_CLIENT, 1, 0, 1, 15000, 0 },
		  { { A, SYN, 1000, 0, 0, WIN, 0 }, { B, SYNACK, 5000, 1001, 0, WIN, 15000 }, { B, SYNACK, 5000, 1001, 0, WIN, 1015000 },
		    { A, ACK, 1001, 5001, 0, WIN, 1020000 } } },
		{ "FIN sent twice", { TCP_STATE_FIN_WAIT, A_IS_CLIENT, 1, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, FIN, 1001, 5001, 0, WIN, 30000 }, { A, FIN, 1001, 5001, 0, WIN, 230000 },
		    { B, ACK, 5001, 1002, 0, WIN, 230500 } } },
		/* tcptrace: nothing covered may have been sent later */
		{ "an earlier one was sent again later", { EST, A_IS_CLIENT, 1, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, 100, WIN, 30000 }, { A, PSH, 1101, 5001, 100, WIN, 31000 },
		    { A, ACK, 1001, 5001, 100, WIN, 330000 }, { B, ACK, 5001, 1201, 0, WIN, 342000 } } },
		{ "an earlier one was sent again, this one sent after that", { EST, A_IS_CLIENT, 1, 0, 3, 2000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, 100, WIN, 30000 }, { A, ACK, 1001, 5001, 100, WIN, 330000 },
		    { A, PSH, 1101, 5001, 100, WIN, 340000 }, { B, ACK, 5001, 1201, 0, WIN, 342000 } } },
		{ "a later one was sent again", { EST, A_IS_CLIENT, 1, 0, 3, 312000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, 100, WIN, 30000 }, { A, PSH, 1101, 5001, 100, WIN, 31000 },
		    { A, ACK, 1101, 5001, 100, WIN, 330000 }, { B, ACK, 5001, 1101, 0, WIN, 342000 },
		    { B, ACK, 5001, 1201, 0, WIN, 343000 } } },
		{ "an earlier one came late", { EST, A_IS_CLIENT, 0, 1, 2, 5000, 0 },
		  { HANDSHAKE, { A, PSH, 1101, 5001, 100, WIN, 30000 }, { A, PSH, 1001, 5001, 100, WIN, 30500 },
		    { B, ACK, 5001, 1201, 0, WIN, 42000 } } },
		{ "after a hole", { EST, A_IS_CLIENT, 0, 0, 3, 12000, 0 },
		  { HANDSHAKE, { A, PSH, 1101, 5001, 100, WIN, 30000 }, { B, ACK, 5001, 1201, 0, WIN, 42000 } } },
		{ "four in flight, one by one", { EST, A_IS_CLIENT, 0, 0, 6, 9000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, 1, WIN, 30001 }, { A, ACK, 1002, 5001, 1, WIN, 30002 },
		    { A, ACK, 1003, 5001, 1, WIN, 30003 }, { A, ACK, 1004, 5001, 1, WIN, 30004 }, { B, ACK, 5001, 1002, 0, WIN, 36001 },
		    { B, ACK, 5001, 1003, 0, WIN, 37002 }, { B, ACK, 5001, 1004, 0, WIN, 38003 }, { B, ACK, 5001, 1005, 0, WIN, 39004 } } },
		{ "eight at once, and eight again", { EST, A_IS_CLIENT, 0, 0, 4, 9500, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, 1, WIN, 30001 }, { A, ACK, 1002, 5001, 1, WIN, 30002 },
		    { A, ACK, 1003, 5001, 1, WIN, 30003 }, { A, ACK, 1004, 5001, 1, WIN, 30004 }, { A, ACK, 1005, 5001, 1, WIN, 30005 },
		    { A, ACK, 1006, 5001, 1, WIN, 30006 }, { A, ACK, 1007, 5001, 1, WIN, 30007 }, { A, ACK, 1008, 5001, 1, WIN, 30008 },
		    { B, ACK, 5001, 1009, 0, WIN, 40000 }, { A, ACK, 1009, 5001, 1, WIN, 40001 }, { A, ACK, 1010, 5001, 1, WIN, 40002 },
		    { A, ACK, 1011, 5001, 1, WIN, 40003 }, { A, ACK, 1012, 5001, 1, WIN, 40004 }, { A, ACK, 1013, 5001, 1, WIN, 40005 },
		    { A, ACK, 1014, 5001, 1, WIN, 40006 }, { A, ACK, 1015, 5001, 1, WIN, 40007 }, { A, ACK, 1016, 5001, 1, WIN, 40008 },
		    { B, ACK, 5001, 1017, 0, WIN, 49508 } } },
		/* eight places for both directions */
		{ "nine in flight: the ninth is not timed", { EST, A_IS_CLIENT, 0, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, 1, WIN, 30001 }, { A, ACK, 1002, 5001, 1, WIN, 30002 },
		    { A, ACK, 1003, 5001, 1, WIN, 30003 }, { A, ACK, 1004, 5001, 1, WIN, 30004 }, { A, ACK, 1005, 5001, 1, WIN, 30005 },
		    { A, ACK, 1006, 5001, 1, WIN, 30006 }, { A, ACK, 1007, 5001, 1, WIN, 30007 }, { A, ACK, 1008, 5001, 1, WIN, 30008 },
		    { A, ACK, 1009, 5001, 1, WIN, 30009 }, { B, ACK, 5001, 1010, 0, WIN, 40000 } } },
		{ "nine in flight: the first eight are", { EST, A_IS_CLIENT, 0, 0, 10, 10000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, 1, WIN, 30001 }, { A, ACK, 1002, 5001, 1, WIN, 30002 },
		    { A, ACK, 1003, 5001, 1, WIN, 30003 }, { A, ACK, 1004, 5001, 1, WIN, 30004 }, { A, ACK, 1005, 5001, 1, WIN, 30005 },
		    { A, ACK, 1006, 5001, 1, WIN, 30006 }, { A, ACK, 1007, 5001, 1, WIN, 30007 }, { A, ACK, 1008, 5001, 1, WIN, 30008 },
		    { A, ACK, 1009, 5001, 1, WIN, 30009 }, { B, ACK, 5001, 1002, 0, WIN, 39001 }, { B, ACK, 5001, 1003, 0, WIN, 39002 },
		    { B, ACK, 5001, 1004, 0, WIN, 39003 }, { B, ACK, 5001, 1005, 0, WIN, 39004 }, { B, ACK, 5001, 1006, 0, WIN, 39005 },
		    { B, ACK, 5001, 1007, 0, WIN, 39006 }, { B, ACK, 5001, 1008, 0, WIN, 39007 }, { B, ACK, 5001, 1009, 0, WIN, 40008 },
		    { B, ACK, 5001, 1010, 0, WIN, 41009 } } },
		{ "eight in flight both ways", { EST, A_IS_CLIENT, 0, 0, 4, 9000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, 10, WIN, 30000 }, { B, ACK, 5001, 1001, 10, WIN, 30000 },
		    { A, ACK, 1011, 5001, 10, WIN, 30000 }, { B, ACK, 5011, 1001, 10, WIN, 30000 },
		    { A, ACK, 1021, 5001, 10, WIN, 30000 }, { B, ACK, 5021, 1001, 10, WIN, 30000 },
		    { A, ACK, 1031, 5001, 10, WIN, 30000 }, { B, ACK, 5031, 1001, 10, WIN, 30000 },
		    { A, ACK, 1041, 5001, 10, WIN, 30000 }, { B, ACK, 5041, 1041, 0, WIN, 38000 },
		    { A, ACK, 1051, 5041, 0, WIN, 39000 } } },
		{ "places become free", { EST, A_IS_CLIENT, 0, 0, 4, 500, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, 1, WIN, 30001 }, { A, ACK, 1002, 5001, 1, WIN, 30002 },
		    { A, ACK, 1003, 5001, 1, WIN, 30003 }, { A, ACK, 1004, 5001, 1, WIN, 30004 }, { A, ACK, 1005, 5001, 1, WIN, 30005 },
		    { A, ACK, 1006, 5001, 1, WIN, 30006 }, { A, ACK, 1007, 5001, 1, WIN, 30007 }, { A, ACK, 1008, 5001, 1, WIN, 30008 },
		    { A, ACK, 1009, 5001, 1, WIN, 30009 }, { B, ACK, 5001, 1006, 0, WIN, 40000 }, { A, ACK, 1010, 5001, 1, WIN, 41000 },
		    { B, ACK, 5001, 1011, 0, WIN, 41500 } } },
		/* age */
		{ "just not too old", { EST, A_IS_CLIENT, 0, 0, 3, MAX_US, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 30000 }, { B, ACK, 5001, 1101, 0, WIN, 30000 + MAX_US } } },
		{ "too old by 1 us of silence", { EST, A_IS_CLIENT, 0, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 30000 }, { B, ACK, 5001, 1101, 0, WIN, 30001 + MAX_US } } },
		{ "too old by 1 us without silence", { EST, A_IS_CLIENT, 0, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 30000 }, { A, PSH, 1101, 5001, 100, WIN, 10030000 },
		    { B, ACK, 5001, 1101, 0, WIN, 30001 + MAX_US } } },
		{ "too old by half the tick's range, without silence", { EST, A_IS_CLIENT, 0, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 30000 }, { A, PSH, 1101, 5001, 100, WIN, 10030000 },
		    { A, PSH, 1201, 5001, 100, WIN, 20030000 }, { B, ACK, 5001, 1101, 0, WIN, 30 * SEC } } },
		{ "tick wraps in the silence: 35 s", { EST, A_IS_CLIENT, 0, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 30000 }, { B, ACK, 5001, 1101, 0, WIN, 35 * SEC } } },
		{ "tick wraps many times: 20 minutes", { EST, A_IS_CLIENT, 0, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 30000 }, { B, ACK, 5001, 1101, 0, WIN, 1200 * SEC } } },
		{ "silence, then new data", { EST, A_IS_CLIENT, 0, 0, 3, 40, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 30000 }, { A, PSH, 1101, 5001, 100, WIN, 60 * SEC },
		    { B, ACK, 5001, 1201, 0, WIN, 60 * SEC + 40 } } },
		/* numbers start anew */
		{ "the next attempt's SYN-ACK", { TCP_STATE_SYN_ACK, A_IS_CLIENT, 0, 0, 1, 10, 0 },
		  { { A, SYN, 1000, 0, 0, WIN, 0 }, { A, SYN, 9000, 0, 0, WIN, 50000 }, { B, SYNACK, 5000, 9001, 0, WIN, 50010 } } },
		{ "the answer to an attempt that was given up", { TCP_STATE_SYN_ACK, A_IS_CLIENT, 0, 0, 0, 0, 0 },
		  { { A, SYN, 1000, 0, 0, WIN, 0 }, { A, SYN, 9000, 0, 0, WIN, 50000 }, { B, SYNACK, 5000, 1001, 0, WIN, 50010 } } },
		{ "port reuse forgets what waits", { TCP_STATE_SYN_SENT, A_IS_CLIENT, 0, 0, 0, 0, 1 },
		  { HANDSHAKE, { A, FIN, 1001, 5001, 0, WIN, 30000 }, { A, SYN, 70000, 0, 0, WIN, 40000 },
		    { B, ACK, 5001, 1002, 0, WIN, 41000 } } },
		/* time that goes backwards a little */
		{ "an ACK 1 us before its data", { EST, A_IS_CLIENT, 0, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 30000 }, { B, ACK, 5001, 1101, 0, WIN, 29999 } } },
		{ "an ACK 3 s before its data", { EST, A_IS_CLIENT, 0, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 3 * SEC }, { B, ACK, 5001, 1101, 0, WIN, 20000 } } },
	};
	/* clang-format on */

	tcp_cases_check(rows, ROWS(rows));
}

/* 34 s, the range of the tick, minus the difference must not be taken for an RTT. */
static void sample__when_the_ack_is_many_seconds_before_its_data__then_none(void **context)
{
	(void)context;
	static const struct tcp_case rows[] = {
		{ "an ACK 5 s before its data", { EST, A_IS_CLIENT, 0, 0, 2, 5000, 0 },
			{ HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 6 * SEC }, { B, ACK, 5001, 1101, 0, WIN, 1 * SEC } } },
		{ "an ACK 15 s before its data", { EST, A_IS_CLIENT, 0, 0, 2, 5000, 0 },
			{ HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 16 * SEC }, { B, ACK, 5001, 1101, 0, WIN, 1 * SEC } } },
		{ "an ACK 33 s before its data", { EST, A_IS_CLIENT, 0, 0, 2, 5000, 0 },
			{ HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 34 * SEC }, { B, ACK, 5001, 1101, 0, WIN, 1 * SEC } } },
		{ "an ACK an hour before its data", { EST, A_IS_CLIENT, 0, 0, 2, 5000, 0 },
			{ HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 3600 * (int64_t)SEC },
				{ B, ACK, 5001, 1101, 0, WIN, 1 * SEC } } },
		{ "an ACK 20 s before its data", { EST, A_IS_CLIENT, 0, 0, 2, 5000, 0 },
			{ HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 21 * SEC }, { B, ACK, 5001, 1101, 0, WIN, 1 * SEC } } },
	};

	tcp_cases_check(rows, ROWS(rows));
}

/* A keep-alive probe of one byte, and one byte of data sent again, look alike; the ACK may answer the second. */
static void sample__when_a_single_byte_is_sent_twice__then_none(void **context)
{
	(void)context;
	static const struct tcp_case rows[] = {
		{ "one byte sent twice", { EST, A_IS_CLIENT, 0, 0, 2, 5000, 0 },
			{ HANDSHAKE, { A, PSH, 1001, 5001, 1, WIN, 30000 }, { A, PSH, 1001, 5001, 1, WIN, 330000 },
				{ B, ACK, 5001, 1002, 0, WIN, 340000 } } },
		{ "the last byte of a segment sent again", { EST, A_IS_CLIENT, 0, 0, 2, 5000, 0 },
			{ HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 30000 }, { A, ACK, 1100, 5001, 1, WIN, 330000 },
				{ B, ACK, 5001, 1101, 0, WIN, 340000 } } },
	};

	tcp_cases_check(rows, ROWS(rows));
}

static void ledger__after_samples__then_counted_by_source_and_reason(void **context)
{
	(void)context;
	static const struct tcp_step steps[TCP_STEPS] = {
		HANDSHAKE,
		{ A, PSH, 1001, 5001, 100, WIN, 30000 },
		{ B, ACK, 5001, 1101, 0, WIN, 31000 }, /* seq_ack */
		{ A, PSH, 1101, 5001, 100, WIN, 32000 },
		{ A, PSH, 1201, 5001, 100, WIN, 33000 },
		{ A, PSH, 1101, 5001, 100, WIN, 332000 }, /* two ambiguous */
		{ B, ACK, 5001, 1301, 0, WIN, 333000 },
		{ A, ACK, 1301, 5001, 1, WIN, 340001 },
		{ A, ACK, 1302, 5001, 1, WIN, 340002 },
		{ A, ACK, 1303, 5001, 1, WIN, 340003 },
		{ A, ACK, 1304, 5001, 1, WIN, 340004 },
		{ A, ACK, 1305, 5001, 1, WIN, 340005 },
		{ A, ACK, 1306, 5001, 1, WIN, 340006 },
		{ A, ACK, 1307, 5001, 1, WIN, 340007 },
		{ A, ACK, 1308, 5001, 1, WIN, 340008 },
		{ A, ACK, 1309, 5001, 1, WIN, 340009 }, /* three without room */
		{ A, ACK, 1310, 5001, 1, WIN, 340010 },
		{ A, ACK, 1311, 5001, 0, WIN, 340011 }, /* wants none */
		{ B, ACK, 5001, 1001, 1, WIN, 340012 },
	};

	for (unsigned setting = 0; setting < ROWS(tcp_settings); setting++) {
		struct tcp_rig rig;
		tcp_rig_start(&rig, &tcp_settings[setting]);
		tcp_play(&rig, steps);
		assert_int_equal(rig.ledger.rtt_samples[RTT_HANDSHAKE], 2);
		assert_int_equal(rig.ledger.rtt_samples[RTT_SEQ_ACK], 1);
		assert_int_equal(rig.ledger.rtt_samples[RTT_TIMESTAMP], 0);
		assert_int_equal(rig.ledger.rtt_ambiguous, 2);
		assert_int_equal(rig.ledger.rtt_unqueued, 3);
		assert_int_equal(tcp_result(&rig).rtt.samples, 3);
	}
}

static void legs__when_the_client_is_known__then_by_the_side_that_acknowledged(void **context)
{
	(void)context;
	static const struct tcp_step steps[TCP_STEPS] = {
		HANDSHAKE,                               /* server 15 ms, client 5 ms */
		{ A, PSH, 1001, 5001, 100, WIN, 30000 }, /* server 9 ms */
		{ B, PSH, 5001, 1101, 100, WIN, 39000 }, /* client 3 ms */
		{ A, PSH, 1101, 5101, 100, WIN, 42000 }, /* server 20 ms */
		{ B, ACK, 5101, 1201, 0, WIN, 62000 },
	};
	/* alpha 1/8 */
	uint32_t server = rtt_ewma(rtt_ewma(US(15000), US(9000)), US(20000)), client = rtt_ewma(US(5000), US(3000));
	uint32_t both = rtt_ewma(rtt_ewma(rtt_ewma(rtt_ewma(US(15000), US(5000)), US(9000)), US(3000)), US(20000));

	for (unsigned setting = 0; setting < ROWS(tcp_settings); setting++) {
		struct tcp_rig rig;
		tcp_rig_start(&rig, &tcp_settings[setting]);
		tcp_play(&rig, steps);
		struct flow_record result = tcp_result(&rig);
		const struct rtt_leg_stat *to_server = &result.leg[RTT_TO_SERVER], *to_client = &result.leg[RTT_TO_CLIENT];
		assert_int_equal(to_server->samples, 3);
		assert_int_equal(to_server->min, US(9000));
		assert_int_equal(to_server->ewma, server);
		assert_int_equal(to_client->samples, 2);
		assert_int_equal(to_client->min, US(3000));
		assert_int_equal(to_client->ewma, client);
		assert_int_equal(result.rtt.samples, 5);
		assert_int_equal(result.rtt.min, US(3000));
		assert_int_equal(result.rtt.last, US(20000));
		assert_int_equal(result.rtt.ewma, both);
	}
}

static void legs__when_the_client_is_unknown__then_no_leg(void **context)
{
	(void)context;
	static const struct tcp_step steps[TCP_STEPS] = { { A, PSH, 1001, 5001, 100, WIN, 30000 },
		{ B, PSH, 5001, 1101, 50, WIN, 39000 }, { A, ACK, 1101, 5051, 0, WIN, 41000 } };
	struct tcp_rig rig;

	tcp_rig_start(&rig, &tcp_settings[0]);
	tcp_play(&rig, steps);
	assert_int_equal(tcp_result(&rig).rtt.samples, 2);
	assert_int_equal(tcp_result(&rig).leg[RTT_TO_SERVER].samples, 0);
	assert_int_equal(tcp_result(&rig).leg[RTT_TO_CLIENT].samples, 0);
}

static void legs__when_only_the_syn_ack_was_seen__then_attributed(void **context)
{
	(void)context;
	static const struct tcp_step steps[TCP_STEPS] = { { B, SYNACK, 5000, 1001, 0, WIN, 0 },
		{ A, ACK, 1001, 5001, 0, WIN, 700 } };

	for (unsigned setting = 0; setting < ROWS(tcp_settings); setting++) {
		struct tcp_rig rig;
		tcp_rig_start(&rig, &tcp_settings[setting]);
		tcp_play(&rig, steps);
		assert_int_equal(tcp_result(&rig).leg[RTT_TO_CLIENT].samples, 1);
		assert_int_equal(tcp_result(&rig).leg[RTT_TO_CLIENT].min, US(700));
		assert_int_equal(tcp_result(&rig).leg[RTT_TO_SERVER].samples, 0);
	}
}

/* All eight places compared with an ACK at once, against one by one; the numbers behind the first three are no end of a segment. */
static void samples__when_compared_with_an_ack__then_a_bit_each(void **context)
{
	(void)context;
	static const uint32_t values[] = { 0, 1, 2, 0x7ffffffe, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff };
	struct tcp_flow *tcp = tcp_flow_used(0);
	struct tcp_cold *cold = tcp_cold(tcp);
	uint64_t random = 3;

	for (unsigned round = 0; round < 20000; round++) {
		uint32_t ends[TCP_SAMPLES], ack = values[random_below(&random, ROWS(values))];
		unsigned covered, exact, want_covered = 0, want_exact = 0;
		for (unsigned i = 0; i < TCP_SAMPLES; i++) {
			struct tcp_sample sample = { values[random_below(&random, ROWS(values))],
				values[random_below(&random, ROWS(values))] };
			ends[i] = sample.seq_end;
			if (i < TCP_SAMPLES_HOT) {
				tcp->seq_end[i] = sample.seq_end;
				tcp->sent_tick[i] = sample.sent_tick;
			} else {
				cold->spill[i - TCP_SAMPLES_HOT] = sample;
			}
			want_covered |= (unsigned)((int32_t)(ack - ends[i]) >= 0) << i;
			want_exact |= (unsigned)(ack == ends[i]) << i;
		}
		tcp_samples_compare_all(tcp, ack, &covered, &exact);
		assert_int_equal(covered, want_covered);
		assert_int_equal(exact, want_exact);
		tcp_samples_compare(tcp, ack, &covered, &exact);
		assert_int_equal(covered & TCP_SAMPLES_HOT_BITS, want_covered & TCP_SAMPLES_HOT_BITS);
		assert_int_equal(exact & TCP_SAMPLES_HOT_BITS, want_exact & TCP_SAMPLES_HOT_BITS);
		for (unsigned i = 0; i < TCP_SAMPLES; i++)
			assert_int_equal(tcp_sample(tcp, i).seq_end, ends[i]);
	}
}

static void stat__when_samples_come__then_last_min_and_ewma_of_an_eighth(void **context)
{
	(void)context;
	static const struct {
		const char *name;
		uint32_t samples[8], n, last, min, ewma;
	} rows[] = {
		{ "one", { 1000 }, 1, 1000, 1000, 1000 },
		{ "zero", { 0 }, 1, 0, 0, 0 },
		{ "up", { 800, 1600 }, 2, 1600, 800, 900 },
		{ "down", { 1600, 800 }, 2, 800, 800, 1500 },
		{ "three", { 800, 1600, 100 }, 3, 100, 100, 800 },
		{ "min stays", { 500, 100, 500 }, 3, 500, 100, 456 }, /* 450, 456.25 */
		{ "constant", { 999, 999, 999, 999, 999, 999, 999, 999 }, 8, 999, 999, 999 },
		{ "rounds to the nearest", { 10, 14 }, 2, 14, 10, 11 },    /* 10.5 */
		{ "rounds down below a half", { 10, 13 }, 2, 13, 10, 10 }, /* 10.375 */
		{ "largest", { 3750000000, 3750000000 }, 2, 3750000000, 3750000000, 3750000000 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct rtt_stat stat = { 0 };
		for (unsigned k = 0; k < rows[i].n; k++)
			rtt_add(&stat, rows[i].samples[k]);
		if (stat.last != rows[i].last || stat.min != rows[i].min || stat.ewma != rows[i].ewma || stat.samples != rows[i].n)
			fail_msg("%s: last %u min %u ewma %u samples %u", rows[i].name, stat.last, stat.min, stat.ewma,
				stat.samples);
	}
}

/* More samples than the flow's own counters hold; each leg, and both together, against the same computed beside. */
static void legs__when_there_are_many_samples__then_min_ewma_and_count_of_each(void **context)
{
	(void)context;
	enum { ROUNDS = 1000 };
	static const struct tcp_step handshake[TCP_STEPS] = { HANDSHAKE };
	struct rtt_stat want[2] = { { 0 }, { 0 } }, both = { 0 };
	uint32_t seq[2] = { 1001, 5001 };
	uint64_t random = 5;
	int64_t t_us = 20000;
	struct tcp_rig rig;

	tcp_rig_start(&rig, &tcp_settings[0]);
	tcp_play(&rig, handshake);
	rtt_add(&want[B], TICKS_US(15000));
	rtt_add(&want[A], TICKS_US(5000));
	rtt_add(&both, TICKS_US(15000));
	rtt_add(&both, TICKS_US(5000));
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned from = random_below(&random, 3) == 0, to = !from;
		uint32_t us = 50 + random_below(&random, 20000);
		t_us += 1000;
		tcp_feed(&rig, &(struct tcp_step){ (uint8_t)from, PSH, seq[from], seq[to], 10, WIN, t_us });
		seq[from] += 10;
		t_us += us;
		tcp_feed(&rig, &(struct tcp_step){ (uint8_t)to, ACK, seq[to], seq[from], 0, WIN, t_us });
		rtt_add(&want[to], TICKS_US(us));
		rtt_add(&both, TICKS_US(us));
		struct flow_record got = tcp_result(&rig);
		const struct rtt_leg_stat *legs[2] = { &got.leg[RTT_TO_CLIENT], &got.leg[RTT_TO_SERVER] };
		for (unsigned side = 0; side < 2; side++) {
			assert_int_equal(legs[side]->samples, want[side].samples);
			assert_int_equal(legs[side]->min, want[side].min);
			assert_int_equal(legs[side]->ewma, want[side].ewma);
		}
		assert_memory_equal(&got.rtt, &both, sizeof(both));
	}
	assert_true(want[A].samples > 256 && want[B].samples > 512);
}

static void works__when_given_together__then_the_same_as_one_by_one(void **context)
{
	(void)context;
	static const struct tcp_step steps[] = { HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 30000 },
		{ A, PSH, 1101, 5001, 100, WIN, 31000 }, { B, ACK, 5001, 1101, 0, WIN, 41000 },
		{ B, ACK, 5001, 1201, 0, WIN, 42000 }, { A, FIN, 1201, 5001, 0, WIN, 43000 } };
	struct tcp_rig one, together;
	struct made made[ROWS(steps)];
	struct tcp_work work[ROWS(steps)];

	tcp_rig_start(&one, &tcp_settings[0]);
	tcp_rig_start(&together, &tcp_settings[0]);
	together.tcp = tcp_flow_used(1);
	for (unsigned i = 0; i < ROWS(steps); i++) {
		tcp_feed(&one, &steps[i]);
		tcp_packet(&together, &steps[i], &made[i]);
		if (i == 0)
			flow_init(&together.tcp->flow, &made[0].packet);
		work[i] = (struct tcp_work){ together.tcp, &made[i].packet };
		flow_update(&together.tcp->flow, &made[i].packet);
	}
	tcp_update(work, ROWS(steps), &(struct rtt_results){ .ledger = &together.ledger });
	assert_memory_equal(one.tcp, together.tcp, sizeof(*one.tcp));
	assert_memory_equal(tcp_cold(one.tcp), tcp_cold(together.tcp), offsetof(struct tcp_cold, spill));
	assert_memory_equal(&one.ledger, &together.ledger, sizeof(one.ledger));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples__after_each_script__then_as_the_rules_say),
		cmocka_unit_test(sample__when_the_ack_is_many_seconds_before_its_data__then_none),
		cmocka_unit_test(sample__when_a_single_byte_is_sent_twice__then_none),
		cmocka_unit_test(ledger__after_samples__then_counted_by_source_and_reason),
		cmocka_unit_test(legs__when_the_client_is_known__then_by_the_side_that_acknowledged),
		cmocka_unit_test(legs__when_the_client_is_unknown__then_no_leg),
		cmocka_unit_test(legs__when_only_the_syn_ack_was_seen__then_attributed),
		cmocka_unit_test(samples__when_compared_with_an_ack__then_a_bit_each),
		cmocka_unit_test(stat__when_samples_come__then_last_min_and_ewma_of_an_eighth),
		cmocka_unit_test(legs__when_there_are_many_samples__then_min_ewma_and_count_of_each),
		cmocka_unit_test(works__when_given_together__then_the_same_as_one_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
