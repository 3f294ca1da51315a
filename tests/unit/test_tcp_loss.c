/* Retransmitted, out of order, or neither: what a segment that does not simply come next counts as. */
#include "flow_builder.h"

#define EST  TCP_STATE_ESTABLISHED
#define LEN  100
#define GIGA (1u << 30)

/* All rows have { state, client, retransmissions, out of order, RTT samples, last RTT, reuses }. The handshake took 20 ms, which
 * is then the time within which a segment may be late. */

static void loss__when_bytes_come_twice__then_a_retransmission(void **context)
{
	(void)context;
	/* clang-format off */
	static const struct tcp_case rows[] = {
		{ "in order", { EST, A_IS_CLIENT, 0, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, LEN, WIN, 30000 }, { A, ACK, 1101, 5001, LEN, WIN, 30010 },
		    { A, ACK, 1201, 5001, LEN, WIN, 30020 } } },
		{ "after the timeout", { EST, A_IS_CLIENT, 1, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, LEN, WIN, 30000 }, { A, ACK, 1001, 5001, LEN, WIN, 330000 } } },
		{ "at once", { EST, A_IS_CLIENT, 1, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, LEN, WIN, 30000 }, { A, ACK, 1001, 5001, LEN, WIN, 30000 } } },
		{ "three times", { EST, A_IS_CLIENT, 3, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, LEN, WIN, 30000 }, { A, ACK, 1001, 5001, LEN, WIN, 230000 },
		    { A, ACK, 1001, 5001, LEN, WIN, 630000 }, { A, ACK, 1001, 5001, LEN, WIN, 1430000 } } },
		{ "not the last segment", { EST, A_IS_CLIENT, 1, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, LEN, WIN, 30000 }, { A, ACK, 1101, 5001, LEN, WIN, 30010 },
		    { A, ACK, 1201, 5001, LEN, WIN, 30020 }, { A, ACK, 1001, 5001, LEN, WIN, 31000 } } },
		{ "spurious: acknowledged already", { EST, A_IS_CLIENT, 1, 0, 3, 15000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, LEN, WIN, 30000 }, { B, ACK, 5001, 1101, 0, WIN, 45000 },
		    { A, ACK, 1001, 5001, LEN, WIN, 46000 } } },
		{ "a part", { EST, A_IS_CLIENT, 2, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, LEN, WIN, 30000 }, { A, ACK, 1001, 5001, 50, WIN, 230000 },
		    { A, ACK, 1051, 5001, 50, WIN, 230010 } } },
		{ "old and new bytes", { EST, A_IS_CLIENT, 1, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, LEN, WIN, 30000 }, { A, ACK, 1051, 5001, LEN, WIN, 230000 },
		    { A, ACK, 1151, 5001, LEN, WIN, 230010 } } },
		{ "two segments in one", { EST, A_IS_CLIENT, 1, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, LEN, WIN, 30000 }, { A, ACK, 1101, 5001, LEN, WIN, 30010 },
		    { A, ACK, 1001, 5001, 2 * LEN, WIN, 230000 } } },
		{ "both sides", { EST, A_IS_CLIENT, 2, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, LEN, WIN, 30000 }, { B, ACK, 5001, 1001, LEN, WIN, 30000 },
		    { A, ACK, 1001, 5001, LEN, WIN, 330000 }, { B, ACK, 5001, 1001, LEN, WIN, 330000 } } },
		{ "SYN", { TCP_STATE_SYN_SENT, A_IS_CLIENT, 2, 0, 0, 0, 0 },
		  { { A, SYN, 1000, 0, 0, WIN, 0 }, { A, SYN, 1000, 0, 0, WIN, 1000000 }, { A, SYN, 1000, 0, 0, WIN, 3000000 } } },
		{ "SYN with data", { TCP_STATE_SYN_SENT, A_IS_CLIENT, 1, 0, 0, 0, 0 },
		  { { A, SYN, 1000, 0, 10, WIN, 0 }, { A, SYN, 1000, 0, 0, WIN, 1000000 } } },
		{ "SYN-ACK", { EST, A_IS_CLIENT, 1, 0, 1, 15000, 0 },
		  { { A, SYN, 1000, 0, 0, WIN, 0 }, { B, SYNACK, 5000, 1001, 0, WIN, 15000 }, { B, SYNACK, 5000, 1001, 0, WIN, 1015000 },
		    { A, ACK, 1001, 5001, 0, WIN, 1020000 } } },
		{ "FIN", { TCP_STATE_FIN_WAIT, A_IS_CLIENT, 1, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, FIN, 1001, 5001, 0, WIN, 30000 }, { A, FIN, 1001, 5001, 0, WIN, 230000 } } },
		{ "data and FIN", { TCP_STATE_FIN_WAIT, A_IS_CLIENT, 1, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, FIN, 1001, 5001, LEN, WIN, 30000 }, { A, FIN, 1001, 5001, LEN, WIN, 230000 } } },
		{ "the last byte, with FIN", { TCP_STATE_FIN_WAIT, A_IS_CLIENT, 1, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, LEN, WIN, 30000 }, { A, FIN, 1001, 5001, LEN, WIN, 230000 } } },
		{ "a pure ACK of the past is nothing", { EST, A_IS_CLIENT, 0, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, LEN, WIN, 30000 }, { A, ACK, 1001, 5001, 0, WIN, 30500 } } },
		{ "without a handshake", { EST, NO_CLIENT, 1, 0, 0, 0, 0 },
		  { { A, PSH, 1001, 5001, LEN, WIN, 30000 }, { A, PSH, 1001, 5001, LEN, WIN, 30500 } } },
	};
	/* clang-format on */

	tcp_cases_check(rows, ROWS(rows));
}

static void loss__when_a_probe__then_nothing(void **context)
{
	(void)context;
	/* clang-format off */
	static const struct tcp_case rows[] = {
		{ "keep-alive without a byte", { EST, A_IS_CLIENT, 0, 0, 3, 5000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, LEN, WIN, 30000 }, { B, ACK, 5001, 1101, 0, WIN, 35000 },
		    { A, ACK, 1100, 5001, 0, WIN, 10000000 }, { B, ACK, 5001, 1101, 0, WIN, 10010000 },
		    { A, ACK, 1100, 5001, 0, WIN, 20000000 }, { B, ACK, 5001, 1101, 0, WIN, 20010000 } } },
		{ "keep-alive with a byte", { EST, A_IS_CLIENT, 0, 0, 3, 5000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, LEN, WIN, 30000 }, { B, ACK, 5001, 1101, 0, WIN, 35000 },
		    { A, ACK, 1100, 5001, 1, WIN, 10000000 }, { B, ACK, 5001, 1101, 0, WIN, 10010000 },
		    { A, ACK, 1100, 5001, 1, WIN, 20000000 }, { B, ACK, 5001, 1101, 0, WIN, 20010000 } } },
		{ "keep-alive after the handshake", { EST, A_IS_CLIENT, 0, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1000, 5001, 0, WIN, 10000000 }, { A, ACK, 1000, 5001, 1, WIN, 11000000 } } },
		{ "keep-alive, then data", { EST, A_IS_CLIENT, 0, 0, 4, 70, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, LEN, WIN, 30000 }, { B, ACK, 5001, 1101, 0, WIN, 35000 },
		    { A, ACK, 1100, 5001, 1, WIN, 10000000 }, { B, ACK, 5001, 1101, 0, WIN, 10010000 },
		    { A, PSH, 1101, 5001, LEN, WIN, 10020000 }, { B, ACK, 5001, 1201, 0, WIN, 10020070 } } },
		{ "two bytes before the next are no keep-alive", { EST, A_IS_CLIENT, 1, 0, 3, 5000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, LEN, WIN, 30000 }, { B, ACK, 5001, 1101, 0, WIN, 35000 },
		    { A, ACK, 1099, 5001, 1, WIN, 10000000 } } },
		{ "zero-window probes", { EST, A_IS_CLIENT, 0, 0, 3, 5000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, LEN, WIN, 30000 }, { B, ACK, 5001, 1101, 0, 0, 35000 },
		    { A, ACK, 1101, 5001, 1, WIN, 235000 }, { B, ACK, 5001, 1101, 0, 0, 240000 },
		    { A, ACK, 1101, 5001, 1, WIN, 635000 }, { B, ACK, 5001, 1101, 0, 0, 640000 },
		    { A, ACK, 1101, 5001, 1, WIN, 1435000 }, { B, ACK, 5001, 1101, 0, 0, 1440000 } } },
		{ "the window opens, data from the probe's byte on", { EST, A_IS_CLIENT, 0, 0, 3, 5000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, LEN, WIN, 30000 }, { B, ACK, 5001, 1101, 0, 0, 35000 },
		    { A, ACK, 1101, 5001, 1, WIN, 235000 }, { B, ACK, 5001, 1101, 0, 0, 240000 },
		    { B, ACK, 5001, 1101, 0, WIN, 300000 }, { A, PSH, 1101, 5001, LEN, WIN, 301000 },
		    { A, PSH, 1201, 5001, LEN, WIN, 301010 } } },
		{ "the probe's byte is taken, data goes on", { EST, A_IS_CLIENT, 0, 0, 5, 2000, 0 },
		  { HANDSHAKE, { A, PSH, 1001, 5001, LEN, WIN, 30000 }, { B, ACK, 5001, 1101, 0, 0, 35000 },
		    { A, ACK, 1101, 5001, 1, WIN, 235000 }, { B, ACK, 5001, 1102, 0, WIN, 240000 },
		    { A, PSH, 1102, 5001, LEN, WIN, 301000 }, { B, ACK, 5001, 1202, 0, WIN, 303000 } } },
	};
	/* clang-format on */

	tcp_cases_check(rows, ROWS(rows));
}

static void loss__when_a_hole_is_filled__then_by_the_time_it_took(void **context)
{
	(void)context;
	/* clang-format off */
	static const struct tcp_case rows[] = {
		{ "1 ms late", { EST, A_IS_CLIENT, 0, 1, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1101, 5001, LEN, WIN, 30000 }, { A, ACK, 1001, 5001, LEN, WIN, 31000 } } },
		{ "just within the handshake's 20 ms", { EST, A_IS_CLIENT, 0, 1, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1101, 5001, LEN, WIN, 30000 }, { A, ACK, 1001, 5001, LEN, WIN, 49999 } } },
		{ "beyond them", { EST, A_IS_CLIENT, 1, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1101, 5001, LEN, WIN, 30000 }, { A, ACK, 1001, 5001, LEN, WIN, 50001 } } },
		{ "a handshake of 2 ms is the limit, not 3 ms", { EST, A_IS_CLIENT, 1, 0, 2, 500, 0 },
		  { { A, SYN, 1000, 0, 0, WIN, 0 }, { B, SYNACK, 5000, 1001, 0, WIN, 1500 }, { A, ACK, 1001, 5001, 0, WIN, 2000 },
		    { A, ACK, 1101, 5001, LEN, WIN, 30000 }, { A, ACK, 1001, 5001, LEN, WIN, 32500 } } },
		{ "no handshake: within 3 ms", { EST, NO_CLIENT, 0, 1, 0, 0, 0 },
		  { { A, ACK, 1001, 5001, LEN, WIN, 20000 }, { A, ACK, 1201, 5001, LEN, WIN, 30000 },
		    { A, ACK, 1101, 5001, LEN, WIN, 32999 } } },
		{ "no handshake: beyond 3 ms", { EST, NO_CLIENT, 1, 0, 0, 0, 0 },
		  { { A, ACK, 1001, 5001, LEN, WIN, 20000 }, { A, ACK, 1201, 5001, LEN, WIN, 30000 },
		    { A, ACK, 1101, 5001, LEN, WIN, 33001 } } },
		{ "late by the last advance, not by the hole", { EST, A_IS_CLIENT, 0, 1, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1101, 5001, LEN, WIN, 30000 }, { A, ACK, 1201, 5001, LEN, WIN, 49000 },
		    { A, ACK, 1001, 5001, LEN, WIN, 60000 } } },
		{ "filled twice: the second is a retransmission", { EST, A_IS_CLIENT, 1, 1, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1101, 5001, LEN, WIN, 30000 }, { A, ACK, 1001, 5001, LEN, WIN, 31000 },
		    { A, ACK, 1001, 5001, LEN, WIN, 32000 } } },
		{ "acknowledged before it was seen", { EST, A_IS_CLIENT, 1, 0, 3, 500, 0 },
		  { HANDSHAKE, { A, ACK, 1101, 5001, LEN, WIN, 30000 }, { B, ACK, 5001, 1201, 0, WIN, 30500 },
		    { A, ACK, 1001, 5001, LEN, WIN, 31000 } } },
		{ "FIN before the data", { TCP_STATE_FIN_WAIT, A_IS_CLIENT, 0, 1, 2, 5000, 0 },
		  { HANDSHAKE, { A, FIN, 1101, 5001, 0, WIN, 30000 }, { A, PSH, 1001, 5001, LEN, WIN, 31000 } } },
		{ "data before the SYN-ACK's ACK", { EST, A_IS_CLIENT, 0, 1, 2, 5000, 0 },
		  { { A, SYN, 1000, 0, 0, WIN, 0 }, { B, SYNACK, 5000, 1001, 0, WIN, 15000 }, { A, PSH, 1101, 5001, LEN, WIN, 20000 },
		    { A, PSH, 1001, 5001, LEN, WIN, 20100 } } },
		{ "both sides", { EST, A_IS_CLIENT, 0, 2, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1101, 5001, LEN, WIN, 30000 }, { B, ACK, 5101, 1001, LEN, WIN, 30000 },
		    { A, ACK, 1001, 5001, LEN, WIN, 31000 }, { B, ACK, 5001, 1001, LEN, WIN, 31000 } } },
		/* holes */
		{ "two holes", { EST, A_IS_CLIENT, 0, 2, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1101, 5001, LEN, WIN, 30000 }, { A, ACK, 1301, 5001, LEN, WIN, 30010 },
		    { A, ACK, 1001, 5001, LEN, WIN, 31000 }, { A, ACK, 1201, 5001, LEN, WIN, 31010 } } },
		{ "two holes, the later one first", { EST, A_IS_CLIENT, 0, 2, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1101, 5001, LEN, WIN, 30000 }, { A, ACK, 1301, 5001, LEN, WIN, 30010 },
		    { A, ACK, 1201, 5001, LEN, WIN, 31000 }, { A, ACK, 1001, 5001, LEN, WIN, 31010 } } },
		{ "three holes: the oldest counts as seen", { EST, A_IS_CLIENT, 1, 2, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1101, 5001, LEN, WIN, 30000 }, { A, ACK, 1301, 5001, LEN, WIN, 30010 },
		    { A, ACK, 1501, 5001, LEN, WIN, 30020 }, { A, ACK, 1001, 5001, LEN, WIN, 31000 },
		    { A, ACK, 1201, 5001, LEN, WIN, 31010 }, { A, ACK, 1401, 5001, LEN, WIN, 31020 } } },
		{ "three holes: only the oldest is filled", { EST, A_IS_CLIENT, 1, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1101, 5001, LEN, WIN, 30000 }, { A, ACK, 1301, 5001, LEN, WIN, 30010 },
		    { A, ACK, 1501, 5001, LEN, WIN, 30020 }, { A, ACK, 1001, 5001, LEN, WIN, 31000 } } },
		{ "three holes: only the second is filled", { EST, A_IS_CLIENT, 0, 1, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1101, 5001, LEN, WIN, 30000 }, { A, ACK, 1301, 5001, LEN, WIN, 30010 },
		    { A, ACK, 1501, 5001, LEN, WIN, 30020 }, { A, ACK, 1201, 5001, LEN, WIN, 31000 } } },
		{ "a third hole after the first was filled", { EST, A_IS_CLIENT, 0, 3, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1101, 5001, LEN, WIN, 30000 }, { A, ACK, 1301, 5001, LEN, WIN, 30010 },
		    { A, ACK, 1001, 5001, LEN, WIN, 31000 }, { A, ACK, 1501, 5001, LEN, WIN, 31010 },
		    { A, ACK, 1201, 5001, LEN, WIN, 31020 }, { A, ACK, 1401, 5001, LEN, WIN, 31030 } } },
		{ "filled from the start", { EST, A_IS_CLIENT, 1, 2, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1301, 5001, LEN, WIN, 30000 }, { A, ACK, 1001, 5001, LEN, WIN, 31000 },
		    { A, ACK, 1101, 5001, 2 * LEN, WIN, 31010 }, { A, ACK, 1001, 5001, LEN, WIN, 31020 } } },
		{ "filled from the end", { EST, A_IS_CLIENT, 1, 2, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1301, 5001, LEN, WIN, 30000 }, { A, ACK, 1201, 5001, LEN, WIN, 31000 },
		    { A, ACK, 1001, 5001, 2 * LEN, WIN, 31010 }, { A, ACK, 1201, 5001, LEN, WIN, 31020 } } },
		{ "filled in the middle: two holes, one", { EST, A_IS_CLIENT, 2, 3, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1401, 5001, LEN, WIN, 30000 }, { A, ACK, 1201, 5001, LEN, WIN, 31000 },
		    { A, ACK, 1201, 5001, LEN, WIN, 31010 }, { A, ACK, 1001, 5001, 2 * LEN, WIN, 31020 },
		    { A, ACK, 1301, 5001, LEN, WIN, 31030 }, { A, ACK, 1101, 5001, LEN, WIN, 31040 } } },
		{ "split while another is open: the oldest counts as seen", { EST, A_IS_CLIENT, 1, 3, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1101, 5001, LEN, WIN, 30000 }, { A, ACK, 1501, 5001, LEN, WIN, 30010 },
		    { A, ACK, 1301, 5001, LEN, WIN, 31000 }, { A, ACK, 1401, 5001, LEN, WIN, 31010 },
		    { A, ACK, 1201, 5001, LEN, WIN, 31020 }, { A, ACK, 1001, 5001, LEN, WIN, 31030 } } },
		{ "the hole and seen bytes before it", { EST, A_IS_CLIENT, 1, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, LEN, WIN, 30000 }, { A, ACK, 1201, 5001, LEN, WIN, 30010 },
		    { A, ACK, 1051, 5001, 150, WIN, 31000 } } },
		{ "the hole and seen bytes behind it", { EST, A_IS_CLIENT, 2, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1101, 5001, LEN, WIN, 30010 }, { A, ACK, 1001, 5001, 150, WIN, 31000 },
		    { A, ACK, 1001, 5001, 100, WIN, 31010 } } },
		{ "the hole and bytes beyond all", { EST, A_IS_CLIENT, 1, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1101, 5001, LEN, WIN, 30010 }, { A, ACK, 1001, 5001, 300, WIN, 31000 },
		    { A, ACK, 1301, 5001, 100, WIN, 31010 } } },
		{ "two holes and what is between", { EST, A_IS_CLIENT, 3, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1101, 5001, LEN, WIN, 30000 }, { A, ACK, 1301, 5001, LEN, WIN, 30010 },
		    { A, ACK, 1001, 5001, 300, WIN, 31000 }, { A, ACK, 1001, 5001, LEN, WIN, 31010 },
		    { A, ACK, 1201, 5001, LEN, WIN, 31020 } } },
		/* before the first segment that was seen */
		{ "before the first one: unseen, early", { EST, NO_CLIENT, 0, 1, 0, 0, 0 },
		  { { A, ACK, 1101, 5001, LEN, WIN, 30000 }, { A, ACK, 1001, 5001, LEN, WIN, 31000 } } },
		{ "before the first one, twice", { EST, NO_CLIENT, 1, 1, 0, 0, 0 },
		  { { A, ACK, 1101, 5001, LEN, WIN, 30000 }, { A, ACK, 1001, 5001, LEN, WIN, 31000 }, { A, ACK, 1001, 5001, LEN, WIN, 32000 } } },
		{ "before the first one, but late", { EST, NO_CLIENT, 1, 0, 0, 0, 0 },
		  { { A, ACK, 1101, 5001, LEN, WIN, 30000 }, { A, ACK, 1001, 5001, LEN, WIN, 34000 } } },
		{ "before the first one, and a hole", { EST, NO_CLIENT, 0, 2, 0, 0, 0 },
		  { { A, ACK, 1101, 5001, LEN, WIN, 30000 }, { A, ACK, 1301, 5001, LEN, WIN, 30010 }, { A, ACK, 1001, 5001, LEN, WIN, 31000 },
		    { A, ACK, 1201, 5001, LEN, WIN, 31010 } } },
		/* numbers start anew */
		{ "SYN with another number", { TCP_STATE_SYN_SENT, A_IS_CLIENT, 0, 0, 0, 0, 0 },
		  { { A, SYN, 1000, 0, 0, WIN, 0 }, { A, SYN, 900, 0, 0, WIN, 500 }, { A, SYN, 1000, 0, 0, WIN, 900 } } },
		{ "SYN while established, then lower numbers", { EST, A_IS_CLIENT, 0, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, LEN, WIN, 30000 }, { A, SYN, 500, 0, 0, WIN, 50000 },
		    { A, ACK, 501, 6001, LEN, WIN, 60000 }, { A, ACK, 601, 6001, LEN, WIN, 60010 } } },
		{ "SYN with another number closes the holes", { EST, A_IS_CLIENT, 1, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1101, 5001, LEN, WIN, 30000 }, { A, SYN, 1299, 0, 0, WIN, 30010 },
		    { A, ACK, 1300, 5001, LEN, WIN, 30020 }, { A, ACK, 1300, 5001, LEN, WIN, 31000 } } },
		{ "SYN with another number, then bytes where a hole was", { EST, A_IS_CLIENT, 1, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, LEN, WIN, 30000 }, { A, ACK, 1301, 5001, LEN, WIN, 30010 },
		    { A, SYN, 900, 0, 0, WIN, 30020 }, { A, ACK, 901, 6001, 600, WIN, 30030 }, { A, ACK, 1151, 6001, LEN, WIN, 30040 } } },
		{ "after port reuse", { TCP_STATE_SYN_SENT, A_IS_CLIENT, 0, 0, 0, 0, 1 },
		  { HANDSHAKE, { A, ACK, 1101, 5001, LEN, WIN, 30000 }, { A, RST, 1201, 0, 0, 0, 30010 }, { A, SYN, 900, 0, 0, WIN, 31000 } } },
	};
	/* clang-format on */

	tcp_cases_check(rows, ROWS(rows));
}

/* B misses [1101, 1201) and says so: each { B, ACK, 5001, 1101, ...} after the first is a duplicate. */
static void loss__when_duplicate_acks_asked_for_it__then_a_retransmission(void **context)
{
	(void)context;
	/* clang-format off */
	static const struct tcp_case rows[] = {
		{ "two duplicates", { EST, A_IS_CLIENT, 1, 0, 3, 1000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, LEN, WIN, 30000 }, { B, ACK, 5001, 1101, 0, WIN, 31000 },
		    { A, ACK, 1201, 5001, LEN, WIN, 31010 }, { B, ACK, 5001, 1101, 0, WIN, 32000 },
		    { A, ACK, 1301, 5001, LEN, WIN, 32010 }, { B, ACK, 5001, 1101, 0, WIN, 33000 },
		    { A, ACK, 1101, 5001, LEN, WIN, 33100 } } },
		{ "five duplicates, the last long ago enough", { EST, A_IS_CLIENT, 1, 0, 3, 1000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, LEN, WIN, 30000 }, { B, ACK, 5001, 1101, 0, WIN, 31000 },
		    { A, ACK, 1201, 5001, LEN, WIN, 31010 }, { B, ACK, 5001, 1101, 0, WIN, 32000 }, { B, ACK, 5001, 1101, 0, WIN, 33000 },
		    { B, ACK, 5001, 1101, 0, WIN, 33010 }, { B, ACK, 5001, 1101, 0, WIN, 33020 }, { B, ACK, 5001, 1101, 0, WIN, 33030 },
		    { A, ACK, 1301, 5001, LEN, WIN, 45000 }, { A, ACK, 1101, 5001, LEN, WIN, 50000 } } },
		{ "more than 20 ms after the last", { EST, A_IS_CLIENT, 0, 1, 3, 1000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, LEN, WIN, 30000 }, { B, ACK, 5001, 1101, 0, WIN, 31000 },
		    { A, ACK, 1201, 5001, LEN, WIN, 31010 }, { B, ACK, 5001, 1101, 0, WIN, 32000 }, { B, ACK, 5001, 1101, 0, WIN, 33000 },
		    { A, ACK, 1301, 5001, LEN, WIN, 50000 }, { A, ACK, 1101, 5001, LEN, WIN, 55000 } } },
		{ "one duplicate", { EST, A_IS_CLIENT, 0, 1, 3, 1000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, LEN, WIN, 30000 }, { B, ACK, 5001, 1101, 0, WIN, 31000 },
		    { A, ACK, 1201, 5001, LEN, WIN, 31010 }, { B, ACK, 5001, 1101, 0, WIN, 32000 },
		    { A, ACK, 1101, 5001, LEN, WIN, 33100 } } },
		{ "another window is no duplicate", { EST, A_IS_CLIENT, 0, 1, 3, 1000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, LEN, WIN, 30000 }, { B, ACK, 5001, 1101, 0, WIN, 31000 },
		    { A, ACK, 1201, 5001, LEN, WIN, 31010 }, { B, ACK, 5001, 1101, 0, WIN + 1, 32000 },
		    { B, ACK, 5001, 1101, 0, WIN + 2, 33000 }, { A, ACK, 1101, 5001, LEN, WIN, 33100 } } },
		{ "window zero is no duplicate", { EST, A_IS_CLIENT, 0, 1, 3, 1000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, LEN, WIN, 30000 }, { B, ACK, 5001, 1101, 0, 0, 31000 },
		    { A, ACK, 1201, 5001, LEN, WIN, 31010 }, { B, ACK, 5001, 1101, 0, 0, 32000 },
		    { B, ACK, 5001, 1101, 0, 0, 33000 }, { A, ACK, 1101, 5001, LEN, WIN, 33100 } } },
		{ "data is no duplicate", { EST, A_IS_CLIENT, 0, 1, 3, 1000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, LEN, WIN, 30000 }, { B, ACK, 5001, 1101, 0, WIN, 31000 },
		    { A, ACK, 1201, 5001, LEN, WIN, 31010 }, { B, ACK, 5001, 1101, 10, WIN, 32000 },
		    { B, ACK, 5011, 1101, 10, WIN, 33000 }, { A, ACK, 1101, 5001, LEN, WIN, 33100 } } },
		{ "they asked for another one", { EST, A_IS_CLIENT, 0, 1, 3, 1000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, LEN, WIN, 30000 }, { B, ACK, 5001, 1101, 0, WIN, 31000 },
		    { A, ACK, 1301, 5001, LEN, WIN, 31010 }, { B, ACK, 5001, 1101, 0, WIN, 32000 },
		    { B, ACK, 5001, 1101, 0, WIN, 33000 }, { A, ACK, 1201, 5001, LEN, WIN, 33100 } } },
		{ "a new ACK starts the count anew", { EST, A_IS_CLIENT, 1, 1, 3, 1000, 0 },
		  { HANDSHAKE, { A, ACK, 1001, 5001, LEN, WIN, 30000 }, { B, ACK, 5001, 1101, 0, WIN, 31000 },
		    { A, ACK, 1201, 5001, LEN, WIN, 31010 }, { A, ACK, 1401, 5001, LEN, WIN, 31020 },
		    { B, ACK, 5001, 1101, 0, WIN, 32000 }, { B, ACK, 5001, 1101, 0, WIN, 33000 },
		    { A, ACK, 1101, 5001, LEN, WIN, 33100 }, { B, ACK, 5001, 1301, 0, WIN, 34000 },
		    { B, ACK, 5001, 1301, 0, WIN, 34010 }, { A, ACK, 1301, 5001, LEN, WIN, 34100 } } },
	};
	/* clang-format on */

	tcp_cases_check(rows, ROWS(rows));
}

/* The receiver sends nothing but ACKs, and the capture begins in the middle: its duplicates are duplicates all the same. */
static void loss__when_duplicate_acks_come_from_a_side_that_sent_no_byte__then_a_retransmission(void **context)
{
	(void)context;
	/* clang-format off */
	static const struct tcp_case rows[] = {
		{ "receiver without data", { EST, NO_CLIENT, 1, 0, 1, 1000, 0 },
		  { { A, ACK, 1001, 5001, LEN, WIN, 30000 }, { B, ACK, 5001, 1101, 0, WIN, 31000 },
		    { A, ACK, 1201, 5001, LEN, WIN, 31010 }, { B, ACK, 5001, 1101, 0, WIN, 32000 },
		    { A, ACK, 1301, 5001, LEN, WIN, 32010 }, { B, ACK, 5001, 1101, 0, WIN, 33000 },
		    { A, ACK, 1101, 5001, LEN, WIN, 33100 } } },
	};
	/* clang-format on */

	tcp_cases_check(rows, ROWS(rows));
}

/* A pure ACK carries the number of the next byte: what lies before it was sent, but not seen. What then comes is judged as by
 * tshark 4.0: early are only bytes in front of others. */
static void loss__when_only_an_empty_segment_told_of_the_bytes__then_as_tshark_says(void **context)
{
	(void)context;
	/* clang-format off */
	static const struct tcp_case rows[] = {
		{ "the ACK came before its data", { EST, A_IS_CLIENT, 1, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1101, 5001, 0, WIN, 30000 }, { A, PSH, 1001, 5001, LEN, WIN, 30500 },
		    { A, PSH, 1101, 5001, LEN, WIN, 31000 } } },
		{ "long before", { EST, A_IS_CLIENT, 1, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1101, 5001, 0, WIN, 30000 }, { A, PSH, 1001, 5001, LEN, WIN, 330500 } } },
		{ "before two segments: the first comes early", { EST, A_IS_CLIENT, 1, 1, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1201, 5001, 0, WIN, 30000 }, { A, PSH, 1001, 5001, LEN, WIN, 30500 },
		    { A, PSH, 1101, 5001, LEN, WIN, 31000 } } },
		{ "data never comes", { EST, A_IS_CLIENT, 0, 0, 3, 2000, 0 },
		  { HANDSHAKE, { A, ACK, 1101, 5001, 0, WIN, 30000 }, { A, PSH, 1101, 5001, LEN, WIN, 31000 },
		    { B, ACK, 5001, 1201, 0, WIN, 33000 } } },
		{ "it is the first of all", { EST, NO_CLIENT, 1, 0, 0, 0, 0 },
		  { { A, ACK, 1001, 5001, 0, WIN, 30000 }, { A, PSH, 901, 5001, LEN, WIN, 30500 }, { A, PSH, 1001, 5001, LEN, WIN, 30500 } } },
		{ "it is the first of all, data in order", { EST, NO_CLIENT, 0, 0, 1, 500, 0 },
		  { { A, ACK, 1001, 5001, 0, WIN, 30000 }, { A, PSH, 1001, 5001, LEN, WIN, 30500 }, { B, ACK, 5001, 1101, 0, WIN, 31000 } } },
		{ "an RST's number says nothing", { TCP_STATE_RESET, A_IS_CLIENT, 0, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, RST, 9000, 0, 0, 0, 30000 }, { A, PSH, 1001, 5001, LEN, WIN, 30500 } } },
		{ "SYN after its data", { EST, A_IS_CLIENT, 1, 1, 0, 0, 0 },
		  { { A, PSH, 1001, 5001, LEN, WIN, 0 }, { A, SYN, 1000, 0, 0, WIN, 100 }, { A, PSH, 1001, 5001, LEN, WIN, 200 } } },
	};
	/* clang-format on */

	tcp_cases_check(rows, ROWS(rows));
}

/* Sequence numbers come round after 4 GiB: what was never seen in the first turn was sent in the second. */
static void loss__when_the_numbers_came_round__then_old_holes_are_forgotten(void **context)
{
	(void)context;
	/* clang-format off */
	static const struct tcp_case rows[] = {
		{ "before the first segment", { EST, NO_CLIENT, 1, 0, 0, 0, 0 },
		  { { A, ACK, 1001, 5001, LEN, WIN, 30000 }, { A, ACK, 1101, 5001, GIGA, WIN, 31000 },
		    { A, ACK, 1101 + GIGA, 5001, GIGA, WIN, 32000 }, { A, ACK, 1101 + 2 * GIGA, 5001, GIGA, WIN, 33000 },
		    { A, ACK, 1101 + 3 * GIGA, 5001, GIGA / 2, WIN, 34000 },
		    { A, ACK, 1101 + 3 * GIGA, 5001, LEN, WIN, 34100 } } },
		{ "lost in the capture", { EST, A_IS_CLIENT, 1, 0, 2, 5000, 0 },
		  { HANDSHAKE, { A, ACK, 1201, 5001, LEN, WIN, 30000 }, { A, ACK, 1301, 5001, GIGA, WIN, 31000 },
		    { A, ACK, 1301 + GIGA, 5001, GIGA, WIN, 32000 }, { A, ACK, 1301 + 2 * GIGA, 5001, GIGA, WIN, 33000 },
		    { A, ACK, 1301 + 3 * GIGA, 5001, GIGA - 300, WIN, 34000 }, { A, ACK, 1001, 5001, 50, WIN, 34010 },
		    { A, ACK, 1051, 5001, 50, WIN, 34020 }, { A, ACK, 1051, 5001, 50, WIN, 34100 } } },
	};
	/* clang-format on */

	tcp_cases_check(rows, ROWS(rows));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loss__when_bytes_come_twice__then_a_retransmission),
		cmocka_unit_test(loss__when_a_probe__then_nothing),
		cmocka_unit_test(loss__when_a_hole_is_filled__then_by_the_time_it_took),
		cmocka_unit_test(loss__when_duplicate_acks_asked_for_it__then_a_retransmission),
		cmocka_unit_test(loss__when_duplicate_acks_come_from_a_side_that_sent_no_byte__then_a_retransmission),
		cmocka_unit_test(loss__when_only_an_empty_segment_told_of_the_bytes__then_as_tshark_says),
		cmocka_unit_test(loss__when_the_numbers_came_round__then_old_holes_are_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
