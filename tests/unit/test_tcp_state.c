/* The TCP state machine, who the client is, and when a SYN means a new connection on an old flow. */
#include "flow_builder.h"

#define S_(name) TCP_STATE_##name

static void state__after_each_script__then_as_the_rules_say(void **context)
{
	(void)context;
	static const struct tcp_case rows[] = {
		{ "SYN", { S_(SYN_SENT), A_IS_CLIENT, 0, 0, 0, 0, 0 }, { { A, SYN, 1000, 0, 0, WIN, 0 } } },
		{ "SYN of B", { S_(SYN_SENT), B_IS_CLIENT, 0, 0, 0, 0, 0 }, { { B, SYN, 5000, 0, 0, WIN, 0 } } },
		{ "SYN with ECN bits", { S_(SYN_SENT), A_IS_CLIENT, 0, 0, 0, 0, 0 }, { { A, SYN | 0xc0, 1000, 0, 0, WIN, 0 } } },
		{ "SYN, SYN-ACK", { S_(SYN_ACK), A_IS_CLIENT, 0, 0, 1, 15000, 0 },
			{ { A, SYN, 1000, 0, 0, WIN, 0 }, { B, SYNACK, 5000, 1001, 0, WIN, 15000 } } },
		{ "handshake", { S_(ESTABLISHED), A_IS_CLIENT, 0, 0, 2, 5000, 0 }, { HANDSHAKE } },
		{ "SYN-ACK only: its receiver is the client", { S_(SYN_ACK), A_IS_CLIENT, 0, 0, 0, 0, 0 },
			{ { B, SYNACK, 5000, 1001, 0, WIN, 10 } } },
		{ "SYN-ACK of A only", { S_(SYN_ACK), B_IS_CLIENT, 0, 0, 0, 0, 0 }, { { A, SYNACK, 1000, 5001, 0, WIN, 10 } } },
		{ "SYN-ACK and ACK without SYN", { S_(ESTABLISHED), A_IS_CLIENT, 0, 0, 1, 40, 0 },
			{ { B, SYNACK, 5000, 1001, 0, WIN, 10 }, { A, ACK, 1001, 5001, 0, WIN, 50 } } },
		{ "pure ACK after SYN only", { S_(SYN_SENT), A_IS_CLIENT, 0, 0, 0, 0, 0 },
			{ { A, SYN, 1000, 0, 0, WIN, 0 }, { A, ACK, 1001, 5001, 0, WIN, 10 } } },
		{ "pure ACK of the server after SYN only", { S_(SYN_SENT), A_IS_CLIENT, 0, 0, 0, 0, 0 },
			{ { A, SYN, 1000, 0, 0, WIN, 0 }, { B, ACK, 5001, 900, 0, WIN, 10 } } },
		{ "data after SYN only", { S_(ESTABLISHED), A_IS_CLIENT, 0, 0, 0, 0, 0 },
			{ { A, SYN, 1000, 0, 0, WIN, 0 }, { A, PSH, 1001, 5001, 100, WIN, 10 } } },
		{ "ACK of the server after its SYN-ACK", { S_(SYN_ACK), A_IS_CLIENT, 0, 0, 1, 15000, 0 },
			{ { A, SYN, 1000, 0, 0, WIN, 0 }, { B, SYNACK, 5000, 1001, 0, WIN, 15000 },
				{ B, ACK, 5001, 1001, 0, WIN, 16000 } } },
		{ "data instead of the handshake's ACK", { S_(ESTABLISHED), A_IS_CLIENT, 0, 0, 2, 5000, 0 },
			{ { A, SYN, 1000, 0, 0, WIN, 0 }, { B, SYNACK, 5000, 1001, 0, WIN, 15000 },
				{ A, PSH, 1001, 5001, 10, WIN, 20000 } } },
		{ "data of the middle", { S_(ESTABLISHED), NO_CLIENT, 0, 0, 0, 0, 0 }, { { B, ACK, 5001, 1001, 100, WIN, 5 } } },
		{ "pure ACK of the middle", { S_(UNKNOWN), NO_CLIENT, 0, 0, 0, 0, 0 }, { { B, ACK, 5001, 1001, 0, WIN, 5 } } },
		{ "pure ACKs of both sides", { S_(UNKNOWN), NO_CLIENT, 0, 0, 0, 0, 0 },
			{ { B, ACK, 5001, 1001, 0, WIN, 5 }, { A, ACK, 1001, 5001, 0, WIN, 6 } } },
		{ "data without ACK", { S_(UNKNOWN), NO_CLIENT, 0, 0, 0, 0, 0 }, { { B, TCP_PSH, 5001, 0, 100, WIN, 5 } } },
		{ "no flags at all", { S_(UNKNOWN), NO_CLIENT, 0, 0, 0, 0, 0 }, { { B, NOFLAG, 5001, 0, 0, WIN, 5 } } },
		{ "SYN after an ACK of the middle", { S_(SYN_SENT), A_IS_CLIENT, 0, 0, 0, 0, 0 },
			{ { B, ACK, 5001, 1001, 0, WIN, 5 }, { A, SYN, 1000, 0, 0, WIN, 10 } } },
		{ "SYN again", { S_(SYN_SENT), A_IS_CLIENT, 1, 0, 0, 0, 0 },
			{ { A, SYN, 1000, 0, 0, WIN, 0 }, { A, SYN, 1000, 0, 0, WIN, 1000000 } } },
		{ "SYN-ACK again", { S_(SYN_ACK), A_IS_CLIENT, 1, 0, 1, 15000, 0 },
			{ { A, SYN, 1000, 0, 0, WIN, 0 }, { B, SYNACK, 5000, 1001, 0, WIN, 15000 },
				{ B, SYNACK, 5000, 1001, 0, WIN, 1015000 } } },
		{ "SYN again after SYN-ACK", { S_(SYN_ACK), A_IS_CLIENT, 1, 0, 1, 15000, 0 },
			{ { A, SYN, 1000, 0, 0, WIN, 0 }, { B, SYNACK, 5000, 1001, 0, WIN, 15000 },
				{ A, SYN, 1000, 0, 0, WIN, 1000000 } } },
		{ "both open", { S_(SYN_SENT), A_IS_CLIENT, 0, 0, 0, 0, 0 },
			{ { A, SYN, 1000, 0, 0, WIN, 0 }, { B, SYN, 5000, 0, 0, WIN, 100 } } },
		{ "old SYN while established", { S_(ESTABLISHED), A_IS_CLIENT, 1, 0, 2, 5000, 0 },
			{ HANDSHAKE, { A, SYN, 1000, 0, 0, WIN, 30000 } } },
		{ "old SYN-ACK while established", { S_(ESTABLISHED), A_IS_CLIENT, 1, 0, 2, 5000, 0 },
			{ HANDSHAKE, { B, SYNACK, 5000, 1001, 0, WIN, 30000 } } },
		{ "FIN of A", { S_(FIN_WAIT), A_IS_CLIENT, 0, 0, 2, 5000, 0 },
			{ HANDSHAKE, { A, FIN, 1001, 5001, 0, WIN, 30000 } } },
		{ "FIN of A again does not close", { S_(FIN_WAIT), A_IS_CLIENT, 1, 0, 2, 5000, 0 },
			{ HANDSHAKE, { A, FIN, 1001, 5001, 0, WIN, 30000 }, { A, FIN, 1001, 5001, 0, WIN, 300000 } } },
		{ "FIN of B again does not close", { S_(FIN_WAIT), A_IS_CLIENT, 2, 0, 2, 5000, 0 },
			{ HANDSHAKE, { B, FIN, 5001, 1001, 0, WIN, 30000 }, { B, FIN, 5001, 1001, 0, WIN, 300000 },
				{ B, FIN, 5001, 1001, 0, WIN, 900000 } } },
		{ "FIN of both", { S_(CLOSED), A_IS_CLIENT, 0, 0, 3, 10000, 0 },
			{ HANDSHAKE, { A, FIN, 1001, 5001, 0, WIN, 30000 }, { B, FIN, 5001, 1002, 0, WIN, 40000 } } },
		{ "FIN of both, all acknowledged", { S_(CLOSED), A_IS_CLIENT, 0, 0, 4, 2000, 0 },
			{ HANDSHAKE, { A, FIN, 1001, 5001, 0, WIN, 30000 }, { B, ACK, 5001, 1002, 0, WIN, 40000 },
				{ B, FIN, 5001, 1002, 0, WIN, 41000 }, { A, ACK, 1002, 5002, 0, WIN, 43000 } } },
		{ "FIN without ACK flag", { S_(FIN_WAIT), A_IS_CLIENT, 0, 0, 2, 5000, 0 },
			{ HANDSHAKE, { A, TCP_FIN, 1001, 0, 0, WIN, 30000 } } },
		{ "FIN after SYN", { S_(FIN_WAIT), A_IS_CLIENT, 0, 0, 0, 0, 0 },
			{ { A, SYN, 1000, 0, 0, WIN, 0 }, { A, FIN, 1001, 0, 0, WIN, 30 } } },
		{ "FIN is the first", { S_(FIN_WAIT), NO_CLIENT, 0, 0, 0, 0, 0 }, { { B, FIN, 5001, 1001, 0, WIN, 30 } } },
		{ "FIN of both is all there is", { S_(CLOSED), NO_CLIENT, 0, 0, 1, 60, 0 },
			{ { B, FIN, 5001, 1001, 0, WIN, 30 }, { A, FIN, 1001, 5002, 0, WIN, 90 } } },
		{ "half closed, the other side goes on", { S_(FIN_WAIT), A_IS_CLIENT, 0, 0, 3, 10000, 0 },
			{ HANDSHAKE, { A, FIN, 1001, 5001, 0, WIN, 30000 }, { B, PSH, 5001, 1002, 100, WIN, 40000 } } },
		{ "FIN again after closed", { S_(CLOSED), A_IS_CLIENT, 1, 0, 3, 10000, 0 },
			{ HANDSHAKE, { A, FIN, 1001, 5001, 0, WIN, 30000 }, { B, FIN, 5001, 1002, 0, WIN, 40000 },
				{ B, FIN, 5001, 1002, 0, WIN, 440000 } } },
		{ "ACK and data after closed", { S_(CLOSED), A_IS_CLIENT, 0, 0, 3, 10000, 0 },
			{ HANDSHAKE, { A, FIN, 1001, 5001, 0, WIN, 30000 }, { B, FIN, 5001, 1002, 0, WIN, 40000 },
				{ B, PSH, 5002, 1002, 10, WIN, 50000 } } },
		{ "RST of the server", { S_(RESET), A_IS_CLIENT, 0, 0, 1, 100, 0 },
			{ { A, SYN, 1000, 0, 0, WIN, 0 }, { B, RSTACK, 0, 1001, 0, 0, 100 } } },
		{ "RST while established", { S_(RESET), A_IS_CLIENT, 0, 0, 2, 5000, 0 },
			{ HANDSHAKE, { A, RST, 1001, 0, 0, 0, 30000 } } },
		{ "RST in fin_wait", { S_(RESET), A_IS_CLIENT, 0, 0, 2, 5000, 0 },
			{ HANDSHAKE, { A, FIN, 1001, 5001, 0, WIN, 30000 }, { B, RST, 5001, 0, 0, 0, 40000 } } },
		{ "RST after closed", { S_(CLOSED), A_IS_CLIENT, 0, 0, 3, 10000, 0 },
			{ HANDSHAKE, { A, FIN, 1001, 5001, 0, WIN, 30000 }, { B, FIN, 5001, 1002, 0, WIN, 40000 },
				{ A, RST, 1002, 0, 0, 0, 50000 } } },
		{ "RST is the first", { S_(RESET), NO_CLIENT, 0, 0, 0, 0, 0 }, { { B, RST, 5001, 0, 0, 0, 30 } } },
		{ "RST beats SYN and FIN", { S_(RESET), NO_CLIENT, 0, 0, 0, 0, 0 },
			{ { B, TCP_RST | TCP_SYN | TCP_FIN, 5001, 0, 0, 0, 30 } } },
		{ "FIN after RST", { S_(RESET), A_IS_CLIENT, 0, 0, 2, 5000, 0 },
			{ HANDSHAKE, { A, RST, 1001, 0, 0, 0, 30000 }, { B, FIN, 5001, 1001, 0, WIN, 40000 } } },
		{ "data after RST", { S_(RESET), A_IS_CLIENT, 0, 0, 2, 5000, 0 },
			{ HANDSHAKE, { A, RST, 1001, 0, 0, 0, 30000 }, { B, PSH, 5001, 1001, 50, WIN, 40000 } } },
		{ "SYN-ACK after RST", { S_(RESET), A_IS_CLIENT, 1, 0, 2, 5000, 0 },
			{ HANDSHAKE, { A, RST, 1001, 0, 0, 0, 30000 }, { B, SYNACK, 5000, 1001, 0, WIN, 40000 } } },
	};

	tcp_cases_check(rows, ROWS(rows));
}

/* clang-format off */
#define CLOSE_BOTH { A, FIN, 1001, 5001, 0, WIN, 30000 }, { B, FIN, 5001, 1002, 0, WIN, 40000 }
/* clang-format on */

static void reuse__when_over_and_other_isn__then_a_new_connection(void **context)
{
	(void)context;
	static const struct tcp_case rows[] = {
		{ "closed", { S_(SYN_SENT), A_IS_CLIENT, 0, 0, 0, 0, 1 },
			{ HANDSHAKE, CLOSE_BOTH, { A, SYN, 900, 0, 0, WIN, 50000 } } },
		{ "reset", { S_(SYN_SENT), A_IS_CLIENT, 0, 0, 0, 0, 1 },
			{ HANDSHAKE, { B, RST, 5001, 0, 0, 0, 30000 }, { A, SYN, 900, 0, 0, WIN, 50000 } } },
		{ "fin_wait", { S_(SYN_SENT), A_IS_CLIENT, 0, 0, 0, 0, 1 },
			{ HANDSHAKE, { A, FIN, 1001, 5001, 0, WIN, 30000 }, { A, SYN, 900000, 0, 0, WIN, 50000 } } },
		{ "the other side opens", { S_(SYN_SENT), B_IS_CLIENT, 0, 0, 0, 0, 1 },
			{ HANDSHAKE, CLOSE_BOTH, { B, SYN, 77, 0, 0, WIN, 50000 } } },
		{ "the other side, which never sent a byte, opens", { S_(SYN_SENT), B_IS_CLIENT, 0, 0, 0, 0, 1 },
			{ { A, SYN, 1000, 0, 0, WIN, 0 }, { B, RSTACK, 0, 1001, 0, 0, 100 }, { B, SYN, 5000, 0, 0, WIN, 50000 } } },
		{ "reset SYN, then the next attempt", { S_(SYN_SENT), A_IS_CLIENT, 0, 0, 0, 0, 1 },
			{ { A, SYN, 1000, 0, 0, WIN, 0 }, { B, RSTACK, 0, 1001, 0, 0, 100 }, { A, SYN, 2000, 0, 0, WIN, 50000 } } },
		{ "again and again", { S_(RESET), A_IS_CLIENT, 0, 0, 1, 7, 2 },
			{ { A, SYN, 1000, 0, 0, WIN, 0 }, { B, RSTACK, 0, 1001, 0, 0, 100 }, { A, SYN, 2000, 0, 0, WIN, 50000 },
				{ B, RSTACK, 0, 2001, 0, 0, 50100 }, { A, SYN, 3000, 0, 0, WIN, 60000 },
				{ B, RSTACK, 0, 3001, 0, 0, 60007 } } },
		{ "the new connection is complete", { S_(FIN_WAIT), A_IS_CLIENT, 0, 0, 2, 1000, 1 },
			{ HANDSHAKE, CLOSE_BOTH, { A, SYN, 900, 0, 0, WIN, 50000 }, { B, SYNACK, 100, 901, 0, WIN, 52000 },
				{ A, ACK, 901, 101, 0, WIN, 53000 }, { A, FIN, 901, 101, 0, WIN, 54000 } } },
		{ "middle of a connection, closed, new", { S_(SYN_SENT), A_IS_CLIENT, 0, 0, 0, 0, 1 },
			{ { A, FIN, 1001, 5001, 0, WIN, 30 }, { B, FIN, 5001, 1002, 0, WIN, 40 },
				{ A, SYN, 900, 0, 0, WIN, 50 } } },
		{ "with ECN bits", { S_(SYN_SENT), A_IS_CLIENT, 0, 0, 0, 0, 1 },
			{ HANDSHAKE, CLOSE_BOTH, { A, SYN | 0xc0, 900, 0, 0, WIN, 50000 } } },
	};

	tcp_cases_check(rows, ROWS(rows));
}

static void reuse__when_not_over_or_same_isn__then_the_same_flow(void **context)
{
	(void)context;
	static const struct tcp_case rows[] = {
		{ "old SYN after closed", { S_(CLOSED), A_IS_CLIENT, 1, 0, 3, 10000, 0 },
			{ HANDSHAKE, CLOSE_BOTH, { A, SYN, 1000, 0, 0, WIN, 50000 } } },
		{ "old SYN after RST", { S_(RESET), A_IS_CLIENT, 1, 0, 1, 100, 0 },
			{ { A, SYN, 1000, 0, 0, WIN, 0 }, { B, RSTACK, 0, 1001, 0, 0, 100 }, { A, SYN, 1000, 0, 0, WIN, 50000 } } },
		{ "old SYN in fin_wait", { S_(FIN_WAIT), A_IS_CLIENT, 1, 0, 2, 5000, 0 },
			{ HANDSHAKE, { B, FIN, 5001, 1001, 0, WIN, 30000 }, { A, SYN, 1000, 0, 0, WIN, 50000 } } },
		{ "old SYN of a connection whose beginning was missed", { S_(CLOSED), A_IS_CLIENT, 1, 0, 1, 10000, 0 },
			{ { A, FIN, 1001, 5001, 0, WIN, 30000 }, { B, FIN, 5001, 1002, 0, WIN, 40000 },
				{ A, SYN, 1000, 0, 0, WIN, 40500 } } },
		{ "other ISN while established", { S_(ESTABLISHED), A_IS_CLIENT, 0, 0, 2, 5000, 0 },
			{ HANDSHAKE, { A, SYN, 900, 0, 0, WIN, 50000 } } },
		{ "other ISN in syn_sent", { S_(SYN_SENT), A_IS_CLIENT, 0, 0, 0, 0, 0 },
			{ { A, SYN, 1000, 0, 0, WIN, 0 }, { A, SYN, 9000, 0, 0, WIN, 50000 } } },
		{ "other ISN in syn_ack", { S_(SYN_ACK), A_IS_CLIENT, 0, 0, 1, 15000, 0 },
			{ { A, SYN, 1000, 0, 0, WIN, 0 }, { B, SYNACK, 5000, 1001, 0, WIN, 15000 },
				{ A, SYN, 900, 0, 0, WIN, 50000 } } },
		{ "SYN-ACK with another ISN", { S_(CLOSED), A_IS_CLIENT, 0, 0, 3, 10000, 0 },
			{ HANDSHAKE, CLOSE_BOTH, { B, SYNACK, 77, 901, 0, WIN, 50000 } } },
		{ "SYN with FIN", { S_(CLOSED), A_IS_CLIENT, 0, 0, 3, 10000, 0 },
			{ HANDSHAKE, CLOSE_BOTH, { A, TCP_SYN | TCP_FIN, 77, 0, 0, WIN, 50000 } } },
		{ "SYN with RST", { S_(CLOSED), A_IS_CLIENT, 0, 0, 3, 10000, 0 },
			{ HANDSHAKE, CLOSE_BOTH, { A, TCP_SYN | TCP_RST, 7777, 0, 0, WIN, 50000 } } },
	};

	tcp_cases_check(rows, ROWS(rows));
}

static void flags__when_segments_pass__then_ored_by_direction(void **context)
{
	(void)context;
	static const struct tcp_step steps[TCP_STEPS] = { HANDSHAKE, { A, PSH, 1001, 5001, 10, WIN, 30000 },
		{ B, RST, 5001, 0, 0, 0, 31000 } };

	for (unsigned mirror = 0; mirror < 2; mirror++) {
		struct tcp_rig rig;
		tcp_rig_start(&rig, &tcp_settings[mirror]);
		tcp_play(&rig, steps);
		assert_int_equal(tcp_result(&rig).tcp_flags[mirror], TCP_SYN | TCP_ACK | TCP_PSH);
		assert_int_equal(tcp_result(&rig).tcp_flags[!mirror], TCP_SYN | TCP_ACK | TCP_RST);
	}
}

static void open__when_a_flow_begins_with_a_syn__then_as_any_segment(void **context)
{
	(void)context;
	static const struct tcp_step steps[] = { { A, SYN, 1000, 0, 0, WIN, 0 }, { B, SYN, 1000, 0, 100, WIN, 0 },
		{ A, SYN, UINT32_MAX, 0, 0, WIN, 17 } };

	for (unsigned i = 0; i < ROWS(steps) * ROWS(tcp_settings); i++) {
		struct tcp_rig any, opened;
		struct made made;
		tcp_rig_start(&any, &tcp_settings[i / ROWS(steps)]);
		opened = any;
		opened.tcp = tcp_flow_used(1);
		tcp_packet(&any, &steps[i % ROWS(steps)], &made);
		if (i % ROWS(steps) == 2)
			made.frame.wire_len = 200000; /* overhead that is carried at once */
		tcp_feed_packet(&any, &made.packet);
		flow_begin(&opened.tcp->flow, &made.packet, true);
		tcp_open(opened.tcp, &made.packet);
		assert_memory_equal(opened.tcp, any.tcp, sizeof(*any.tcp));
		assert_memory_equal(&tcp_cold(opened.tcp)->flow.first_ns, &tcp_cold(any.tcp)->flow.first_ns,
			offsetof(struct tcp_cold, spill) - offsetof(struct flow_cold, first_ns));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(state__after_each_script__then_as_the_rules_say),
		cmocka_unit_test(reuse__when_over_and_other_isn__then_a_new_connection),
		cmocka_unit_test(reuse__when_not_over_or_same_isn__then_the_same_flow),
		cmocka_unit_test(flags__when_segments_pass__then_ored_by_direction),
		cmocka_unit_test(open__when_a_flow_begins_with_a_syn__then_as_any_segment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
