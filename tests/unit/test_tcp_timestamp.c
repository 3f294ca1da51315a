/* RTT from the timestamp option, where sequence numbers give none; and that nothing in a TCP header is read beyond what was captured. */
#include "flow_builder.h"
#include "rtt.h"

#define MAX_US ((int64_t)(RTT_MAX_NS / 1000))

struct ts_step {
	struct tcp_step tcp;
	uint32_t value; /* TSval and TSecr; both 0: no option */
	uint32_t echo;
};

struct ts_case {
	const char *name;
	struct {
		uint32_t seq_ack; /* samples, without the handshake's */
		uint32_t timestamp;
		uint32_t last_us;
	} want;
	struct ts_step steps[20];
};

static void ts_feed(struct tcp_rig *rig, const struct ts_step *step)
{
	/* Two NOPs and the option, as stacks send it. */
	uint8_t options[12] = { 1, 1, 8, 10 };
	uint32_t value = __builtin_bswap32(step->value), echo = __builtin_bswap32(step->echo);

	memcpy(options + 4, &value, sizeof(value));
	memcpy(options + 8, &echo, sizeof(echo));
	tcp_feed_options(rig, &step->tcp, options, step->value || step->echo ? sizeof(options) : 0);
}

static bool ts_case_holds(const struct ts_case *row, unsigned setting)
{
	static const struct tcp_step handshake[TCP_STEPS] = { HANDSHAKE };
	struct tcp_rig rig;

	tcp_rig_start(&rig, &tcp_settings[setting]);
	tcp_play(&rig, handshake);
	for (unsigned i = 0; i < ROWS(row->steps) && row->steps[i].tcp.flags; i++)
		ts_feed(&rig, &row->steps[i]);
	bool good = tcp_same(row->name, setting, "seq_ack samples", rig.ledger.rtt_samples[RTT_SEQ_ACK], row->want.seq_ack);
	good &= tcp_same(row->name, setting, "timestamp samples", rig.ledger.rtt_samples[RTT_TIMESTAMP], row->want.timestamp);
	good &= tcp_same(row->name, setting, "samples of the flow", tcp_result(&rig).rtt.samples,
		2 + row->want.seq_ack + row->want.timestamp);
	good &= tcp_same(row->name, setting, "last RTT (8 ns)", tcp_result(&rig).rtt.last, TICKS_US(row->want.last_us));
	return good;
}

static void ts_cases_check(const struct ts_case *rows, size_t n)
{
	unsigned wrong = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned setting = 0;
		while (setting < ROWS(tcp_settings) && ts_case_holds(&rows[i], setting))
			setting++;
		wrong += setting < ROWS(tcp_settings);
	}
	if (wrong)
		fail_msg("%u of %zu scripts played wrong", wrong, n);
}

/* clang-format off */
/* [1001, 1101) is sent with TSval 10, and again with 20: ambiguous, so 20 is the floor. */
#define FLOOR_20 \
	{ { A, ACK, 1001, 5001, 100, WIN, 30000 }, 10, 1 }, { { A, ACK, 1001, 5001, 100, WIN, 330000 }, 20, 1 }
/* [1101, 1201) is sent with 30: above the floor, so it is timed from 340 ms on; and again with 40, so that SEQ/ACK says nothing. */
#define TIMED_30 \
	FLOOR_20, { { A, ACK, 1101, 5001, 100, WIN, 340000 }, 30, 1 }, { { A, ACK, 1101, 5001, 100, WIN, 640000 }, 40, 1 }
/* clang-format on */

static void sample__after_each_script__then_as_the_rules_say(void **context)
{
	(void)context;
	/* clang-format off */
	static const struct ts_case rows[] = {
		{ "SEQ/ACK is enough", { 1, 0, 9000 },
		  { { { A, ACK, 1001, 5001, 100, WIN, 30000 }, 10, 1 }, { { B, ACK, 5001, 1101, 0, WIN, 39000 }, 2, 10 } } },
		{ "the first copy is answered", { 0, 1, 305000 }, { TIMED_30, { { B, ACK, 5001, 1201, 0, WIN, 645000 }, 2, 30 } } },
		{ "an ACK in the middle of a segment", { 0, 1, 305000 },
		  { TIMED_30, { { B, ACK, 5001, 1150, 0, WIN, 645000 }, 2, 30 } } },
		{ "data that echoes", { 0, 1, 305000 }, { TIMED_30, { { B, PSH, 5001, 1201, 50, WIN, 645000 }, 2, 30 } } },
		{ "both say it: one sample", { 1, 0, 7000 },
		  { FLOOR_20, { { A, ACK, 1101, 5001, 100, WIN, 340000 }, 30, 1 }, { { B, ACK, 5001, 1201, 0, WIN, 347000 }, 2, 30 } } },
		{ "an echo gives one sample", { 0, 1, 305000 },
		  { TIMED_30, { { B, ACK, 5001, 1201, 0, WIN, 645000 }, 2, 30 }, { { B, ACK, 5001, 1201, 0, WIN, 646000 }, 3, 30 } } },
		{ "an earlier echo: goes on waiting", { 0, 1, 310000 },
		  { TIMED_30, { { B, ACK, 5001, 1101, 0, WIN, 645000 }, 2, 20 }, { { B, ACK, 5001, 1201, 0, WIN, 650000 }, 3, 30 } } },
		{ "echo of the later copy: passed", { 0, 0, 5000 },
		  { TIMED_30, { { B, ACK, 5001, 1201, 0, WIN, 645000 }, 2, 40 } } },
		{ "once passed it is gone", { 0, 0, 5000 },
		  { TIMED_30, { { B, ACK, 5001, 1150, 0, WIN, 645000 }, 2, 35 }, { { B, ACK, 5001, 1201, 0, WIN, 646000 }, 3, 30 } } },
		{ "the ambiguous one's own value is not timed", { 0, 0, 5000 },
		  { FLOOR_20, { { B, ACK, 5001, 1101, 0, WIN, 339000 }, 2, 20 } } },
		{ "nor its first value", { 0, 0, 5000 }, { FLOOR_20, { { B, ACK, 5001, 1101, 0, WIN, 339000 }, 2, 10 } } },
		{ "the floor's value again is not timed", { 0, 0, 5000 },
		  { FLOOR_20, { { A, ACK, 1101, 5001, 100, WIN, 331000 }, 20, 1 }, { { A, ACK, 1101, 5001, 100, WIN, 640000 }, 20, 1 },
		    { { B, ACK, 5001, 1201, 0, WIN, 645000 }, 2, 20 } } },
		{ "a lower value is not timed", { 0, 0, 5000 },
		  { FLOOR_20, { { A, ACK, 1101, 5001, 100, WIN, 331000 }, 15, 1 }, { { A, ACK, 1101, 5001, 100, WIN, 640000 }, 16, 1 },
		    { { B, ACK, 5001, 1201, 0, WIN, 645000 }, 2, 15 } } },
		{ "a later value does not take the place", { 0, 1, 305000 },
		  { TIMED_30, { { A, ACK, 1201, 5001, 100, WIN, 641000 }, 50, 1 }, { { A, ACK, 1301, 5001, 100, WIN, 642000 }, 60, 1 },
		    { { B, ACK, 5001, 1150, 0, WIN, 645000 }, 2, 30 } } },
		{ "a retransmission can be the timed one", { 0, 1, 15000 },
		  { FLOOR_20, { { A, ACK, 1001, 5001, 100, WIN, 630000 }, 40, 1 }, { { B, ACK, 5001, 1101, 0, WIN, 645000 }, 2, 40 } } },
		{ "values wrap", { 0, 1, 15000 },
		  { { { A, ACK, 1001, 5001, 100, WIN, 30000 }, 0xfffffff0, 1 }, { { A, ACK, 1001, 5001, 100, WIN, 330000 }, 0xfffffff8, 1 },
		    { { A, ACK, 1001, 5001, 100, WIN, 630000 }, 5, 1 }, { { B, ACK, 5001, 1101, 0, WIN, 640000 }, 2, 0xfffffff8 },
		    { { B, ACK, 5001, 1101, 0, WIN, 645000 }, 2, 5 } } },
		{ "timed again after the answer", { 0, 2, 4000 },
		  { TIMED_30, { { B, ACK, 5001, 1101, 0, WIN, 645000 }, 2, 30 }, { { A, ACK, 1101, 5001, 100, WIN, 946000 }, 70, 1 },
		    { { A, ACK, 1201, 5001, 100, WIN, 947000 }, 71, 1 }, { { B, ACK, 5001, 1150, 0, WIN, 951000 }, 3, 71 } } },
		{ "the ninth in flight sets the floor, the tenth is timed", { 0, 1, 9000 },
		  { { { A, ACK, 1001, 5001, 1, WIN, 30001 }, 10, 1 }, { { A, ACK, 1002, 5001, 1, WIN, 30002 }, 11, 1 },
		    { { A, ACK, 1003, 5001, 1, WIN, 30003 }, 12, 1 }, { { A, ACK, 1004, 5001, 1, WIN, 30004 }, 13, 1 },
		    { { A, ACK, 1005, 5001, 1, WIN, 30005 }, 14, 1 }, { { A, ACK, 1006, 5001, 1, WIN, 30006 }, 15, 1 },
		    { { A, ACK, 1007, 5001, 1, WIN, 30007 }, 16, 1 }, { { A, ACK, 1008, 5001, 1, WIN, 30008 }, 17, 1 },
		    { { A, ACK, 1009, 5001, 1, WIN, 30009 }, 18, 1 }, { { A, ACK, 1010, 5001, 1, WIN, 31000 }, 19, 1 },
		    { { B, ACK, 5001, 1011, 0, WIN, 40000 }, 2, 19 } } },
		{ "no option on the answer: goes on waiting", { 0, 1, 310000 },
		  { TIMED_30, { { B, ACK, 5001, 1150, 0, WIN, 645000 }, 0, 0 }, { { B, ACK, 5001, 1201, 0, WIN, 650000 }, 3, 30 } } },
		{ "no option on the segments", { 0, 0, 5000 },
		  { { { A, ACK, 1001, 5001, 100, WIN, 30000 }, 0, 0 }, { { A, ACK, 1001, 5001, 100, WIN, 330000 }, 0, 0 },
		    { { A, ACK, 1101, 5001, 100, WIN, 340000 }, 0, 0 }, { { B, ACK, 5001, 1150, 0, WIN, 345000 }, 0, 0 } } },
		{ "one's own echo", { 0, 0, 5000 }, { TIMED_30, { { A, ACK, 1201, 5001, 10, WIN, 645000 }, 50, 30 } } },
		{ "both directions at once", { 0, 2, 2000 },
		  { TIMED_30, { { B, ACK, 5001, 1001, 100, WIN, 641000 }, 100, 1 }, { { B, ACK, 5001, 1001, 100, WIN, 642000 }, 110, 1 },
		    { { B, ACK, 5101, 1001, 100, WIN, 643000 }, 120, 1 }, { { B, ACK, 5201, 1150, 0, WIN, 644000 }, 130, 30 },
		    { { A, ACK, 1201, 5150, 0, WIN, 645000 }, 140, 120 } } },
		{ "just not too old", { 0, 1, MAX_US }, { TIMED_30, { { A, ACK, 1201, 5001, 10, WIN, 10000000 }, 90, 1 },
		    { { B, ACK, 5001, 1150, 0, WIN, 340000 + MAX_US }, 2, 30 } } },
		{ "too old by 1 us", { 0, 0, 5000 }, { TIMED_30, { { A, ACK, 1201, 5001, 10, WIN, 10000000 }, 90, 1 },
		    { { B, ACK, 5001, 1150, 0, WIN, 340001 + MAX_US }, 2, 30 } } },
		{ "silence ends the waiting", { 0, 0, 5000 }, { TIMED_30, { { B, ACK, 5001, 1150, 0, WIN, 36000000 }, 2, 30 } } },
		{ "silence ends the floor", { 1, 0, 500 },
		  { FLOOR_20, { { A, ACK, 1101, 5001, 100, WIN, 40000000 }, 30, 1 }, { { A, ACK, 1101, 5001, 100, WIN, 40200000 }, 40, 1 },
		    { { B, ACK, 5001, 1150, 0, WIN, 40200100 }, 2, 30 }, { { A, ACK, 1201, 5001, 100, WIN, 40300000 }, 50, 1 },
		    { { B, ACK, 5001, 1301, 0, WIN, 40300500 }, 2, 30 } } },
	};
	/* clang-format on */

	ts_cases_check(rows, ROWS(rows));
}

/* An echo tells the time of the first segment that carried the value, and that may be one without data. */
static void sample__when_a_pure_ack_carried_the_value_first__then_not_from_the_data(void **context)
{
	(void)context;
	struct tcp_rig rig;
	/* clang-format off */
	static const struct ts_step steps[] = { FLOOR_20,
		{ { A, ACK, 1101, 5001, 0, WIN, 340000 }, 30, 1 },   /* 30 for the first time */
		{ { A, ACK, 1101, 5001, 100, WIN, 340900 }, 30, 1 },
		{ { B, ACK, 5001, 1101, 0, WIN, 341000 }, 2, 30 },   /* the answer to the pure ACK, 1 ms later */
	};
	/* clang-format on */

	tcp_rig_start(&rig, &tcp_settings[0]);
	for (unsigned i = 0; i < ROWS(steps); i++)
		ts_feed(&rig, &steps[i]);
	if (rig.ledger.rtt_samples[RTT_TIMESTAMP])
		assert_int_equal(tcp_result(&rig).rtt.last, TICKS_US(1000));
}

static void sample__when_the_client_is_known__then_on_its_leg(void **context)
{
	(void)context;
	static const struct tcp_step handshake[TCP_STEPS] = { HANDSHAKE };
	static const struct ts_step steps[] = { TIMED_30, { { B, ACK, 5001, 1201, 0, WIN, 645000 }, 2, 30 } };

	for (unsigned setting = 0; setting < ROWS(tcp_settings); setting++) {
		struct tcp_rig rig;
		tcp_rig_start(&rig, &tcp_settings[setting]);
		tcp_play(&rig, handshake);
		for (unsigned i = 0; i < ROWS(steps); i++)
			ts_feed(&rig, &steps[i]);
		assert_int_equal(tcp_result(&rig).leg[RTT_TO_SERVER].samples, 2);
		assert_int_equal(tcp_result(&rig).leg[RTT_TO_CLIENT].samples, 1);
		assert_int_equal(tcp_result(&rig).leg[RTT_TO_SERVER].ewma, rtt_ewma(TICKS_US(15000), TICKS_US(305000)));
	}
}

/* The option as the bytes say: found, with the value 77, or not. */
static void option__when_it_is_somewhere_or_broken__then_found_or_not(void **context)
{
	(void)context;
	/* clang-format off */
#define TS 8, 10, 0, 0, 0, 77, 0, 0, 0, 1
	static const struct {
		const char *name;
		uint8_t bytes[40];
		uint8_t n;
		bool found;
	} rows[] = {
		{ "none", { 0 }, 0, false },
		{ "alone", { TS }, 10, true },
		{ "two NOPs before", { 1, 1, TS }, 12, true },
		{ "two NOPs behind", { TS, 1, 1 }, 12, true },
		{ "after MSS, SACK permitted", { 2, 4, 5, 180, 4, 2, TS }, 16, true },
		{ "after SACK blocks", { 1, 1, 5, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1, TS }, 24, true },
		{ "at the very end of 40", { [30] = 8, 10, 0, 0, 0, 77, 0, 0, 0, 1, [0] = 254, 30 }, 40, true },
		{ "30 NOPs before", { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, TS }, 40, true },
		{ "40 NOPs", { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
			       1, 1, 1, 1, 1, 1, 1, 1, 1, 1 }, 40, false },
		{ "cut: one byte short", { 8, 10, 0, 0, 0, 77, 0, 0, 0 }, 9, false },
		{ "cut behind the kind", { 1, 1, 8 }, 3, false },
		{ "cut behind the length", { 1, 1, 8, 10 }, 4, false },
		{ "after the end of options", { 0, TS }, 11, false },
		{ "of length 8", { 8, 8, 0, 0, 0, 77, 0, 0, 1, 1, 1, 1 }, 12, false },
		{ "of length 12", { 8, 12, 0, 0, 0, 77, 0, 0, 0, 1, 1, 1 }, 12, false },
		{ "after an option of length 0", { 2, 0, TS }, 12, false },
		{ "after an option of length 1", { 2, 1, TS }, 12, false },
		{ "after an option that is longer than all", { 2, 200, TS }, 12, false },
		{ "after an option of unknown kind", { 253, 3, 0, TS }, 13, true },
	};
	/* clang-format on */

	for (unsigned i = 0; i < ROWS(rows); i++) {
		/* If it is found when the segment is sent again, it is the floor, and the next higher value is timed. */
		for (uint32_t value = 77; value < 79; value++) {
			static const struct tcp_step first = { A, ACK, 1001, 5001, 100, WIN, 30000 };
			const struct ts_step next = { { A, ACK, 1101, 5001, 100, WIN, 31000 }, value, 1 };
			const struct ts_step answer = { { B, ACK, 5001, 1150, 0, WIN, 33000 }, 1, value };
			struct tcp_rig rig;
			tcp_rig_start(&rig, &tcp_settings[0]);
			tcp_feed(&rig, &first);
			tcp_feed_options(&rig, &first, rows[i].bytes, rows[i].n);
			ts_feed(&rig, &next);
			ts_feed(&rig, &answer);
			if (tcp_result(&rig).rtt.samples != (rows[i].found && value > 77))
				fail_msg("%s, then value %u: %u samples", rows[i].name, value, tcp_result(&rig).rtt.samples);
		}
	}
}

/* With a sanitizer: never beyond the captured bytes. */
static void option__when_bytes_are_random__then_nothing_else_is_read(void **context)
{
	(void)context;
	uint64_t random = 7;

	for (unsigned round = 0; round < 20000; round++) {
		struct tcp_rig rig;
		tcp_rig_start(&rig, &tcp_settings[round & 1]);
		for (unsigned i = 0; i < 6; i++) {
			struct tcp_step step = { (uint8_t)(random_u64(&random) & 1), ACK, 1001 + 100 * random_below(&random, 3),
				1001 + 100 * random_below(&random, 4), 100 * random_below(&random, 2), WIN, i * 1000 };
			uint8_t options[40];
			uint32_t n = random_below(&random, 41);
			for (unsigned k = 0; k < n; k++)
				options[k] = (uint8_t)(random_below(&random, 3) ? random_below(&random, 12) : random_u64(&random));
			tcp_feed_options(&rig, &step, options, n);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sample__after_each_script__then_as_the_rules_say),
		cmocka_unit_test(sample__when_a_pure_ack_carried_the_value_first__then_not_from_the_data),
		cmocka_unit_test(sample__when_the_client_is_known__then_on_its_leg),
		cmocka_unit_test(option__when_it_is_somewhere_or_broken__then_found_or_not),
		cmocka_unit_test(option__when_bytes_are_random__then_nothing_else_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
