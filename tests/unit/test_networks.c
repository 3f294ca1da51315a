/* RTT and loss against their own past, to the sample: what is enough, what is warm, what rests. */
#include "flow_builder.h"
#include "networks.h"

#define SEC ((uint64_t)NS_PER_SEC)
#define MS  (SEC / 1000)

static struct networks *networks_make(void)
{
	const struct networks_options options = {
		.capacity = 16,
		.rtt = true,
		.loss = true,
		.rtt_shift = { .threshold = 100, .second = 20, .window_ns = 10 * SEC, .cooldown_ns = 60 * SEC },
		.loss_shift = { .threshold = 5, .second = 1000, .window_ns = 10 * SEC, .cooldown_ns = 60 * SEC },
	};
	struct networks *networks;

	assert_int_equal(networks_create(&options, &networks), 0);
	return networks;
}

struct found {
	unsigned rtt, loss;
	struct network_shift last_rtt, last_loss;
};

/* Events of the pane that begins at pane * 10 s: of so many packets, of which so many were sent again. */
static void pane_add(struct networks *networks, unsigned pane, unsigned events, uint64_t rtt_us, uint32_t packets, uint32_t again,
	struct found *found)
{
	for (unsigned i = 0; i < events; i++) {
		struct anomaly_event event = { .dst = { [12] = 192, 0, 2, 1 },
			.ip_version = 4,
			.rtt_ticks = (uint32_t)(rtt_us * 1000 / RTT_TICK_NS),
			.packets = packets,
			.retransmissions = again };
		struct network_shift rtt = { 0 }, loss = { 0 };
		networks_add(networks, 77, &event, pane * 10 * SEC + i * MS, &rtt, &loss);
		found->rtt += rtt.found;
		found->loss += loss.found;
		found->last_rtt = rtt.found ? rtt : found->last_rtt;
		found->last_loss = loss.found ? loss : found->last_loss;
	}
}

static void rtt__at_each_limit__found_or_not(void **state)
{
	static const struct {
		const char *name;
		unsigned panes; /* before */
		uint64_t usual_us;
		unsigned samples;
		uint64_t now_us;
		unsigned found;
	} cases[] = {
		{ "twice the usual", 4, 20000, 20, 40000, 1 },
		{ "a little less", 4, 20000, 20, 39999, 0 },
		{ "a sample less", 4, 20000, 19, 40000, 0 },
		{ "a pane less", 3, 20000, 20, 40000, 0 },
		{ "10 ms more", 4, 5000, 20, 15000, 1 },
		{ "twice, but less than 10 ms more", 4, 5000, 20, 14999, 0 },
	};

	(void)state;
	for (unsigned k = 0; k < ROWS(cases); k++) {
		struct networks *networks = networks_make();
		struct found found = { 0 };
		for (unsigned i = 0; i < cases[k].panes; i++)
			pane_add(networks, 10 + i, 20, cases[k].usual_us, 0, 0, &found);
		pane_add(networks, 10 + cases[k].panes, cases[k].samples, cases[k].now_us, 0, 0, &found);
		if (found.rtt != cases[k].found)
			fail_msg("%s: found %u times", cases[k].name, found.rtt);
		if (found.rtt) {
			assert_int_equal(found.last_rtt.now, cases[k].now_us);
			assert_int_equal(found.last_rtt.usual, cases[k].usual_us);
			assert_int_equal(found.last_rtt.count, 20);
		}
		networks_destroy(networks);
	}
}

/* A pane of too few samples does not become part of what is usual. */
static void rtt__pane_with_too_few_samples__is_no_past(void **state)
{
	struct networks *networks = networks_make();
	struct found found = { 0 };

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		pane_add(networks, 10 + i, 19, 20000, 0, 0, &found);
	pane_add(networks, 14, 20, 80000, 0, 0, &found);
	assert_int_equal(found.rtt, 0);
	networks_destroy(networks);
}

static void loss__at_each_limit__found_or_not(void **state)
{
	static const struct {
		const char *name;
		unsigned panes;
		uint32_t usual; /* sent again, of 1000 */
		unsigned packets, now;
		unsigned found;
	} cases[] = {
		{ "5 percent", 4, 0, 1000, 50, 1 },
		{ "one packet less sent again", 4, 0, 1000, 49, 0 },
		{ "one packet less of all", 4, 0, 999, 50, 0 },
		{ "a pane less", 3, 0, 1000, 50, 0 },
		{ "three times the usual", 4, 20, 1000, 60, 1 },
		{ "less than that", 4, 20, 1000, 59, 0 },
	};

	(void)state;
	for (unsigned k = 0; k < ROWS(cases); k++) {
		struct networks *networks = networks_make();
		struct found found = { 0 };
		for (unsigned i = 0; i < cases[k].panes; i++)
			pane_add(networks, 10 + i, 1, 0, 1000, cases[k].usual, &found);
		pane_add(networks, 10 + cases[k].panes, 1, 0, cases[k].packets, cases[k].now, &found);
		if (found.loss != cases[k].found)
			fail_msg("%s: found %u times", cases[k].name, found.loss);
		if (found.loss)
			assert_int_equal(found.last_loss.now, cases[k].now * 100); /* thousandths of a percent */
		networks_destroy(networks);
	}
}

/* The cooldown of 60 s from the alert on: nothing until just before, one again from then on. */
static void both__shift_goes_on__one_alert_per_cooldown(void **state)
{
	struct networks *networks = networks_make();
	struct found found = { 0 };

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		pane_add(networks, 10 + i, 50, 20000, 20, 0, &found);
	pane_add(networks, 14, 50, 500000, 20, 2, &found); /* RTT at its 20th event, 140.019 s; loss at its 50th, 140.049 s */
	assert_int_equal(found.rtt, 1);
	assert_int_equal(found.loss, 1);
	/* Much worse still, up to 20 and 50 ms into the pane 60 s later: what is usual is higher by now. */
	pane_add(networks, 20, 19, 5000000, 60, 30, &found);
	assert_int_equal(found.rtt, 1);
	assert_int_equal(found.loss, 1);
	pane_add(networks, 20, 50, 5000000, 60, 30, &found);
	assert_int_equal(found.rtt, 2);
	assert_int_equal(found.loss, 2);
	networks_destroy(networks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rtt__at_each_limit__found_or_not),
		cmocka_unit_test(rtt__pane_with_too_few_samples__is_no_past),
		cmocka_unit_test(loss__at_each_limit__found_or_not),
		cmocka_unit_test(both__shift_goes_on__one_alert_per_cooldown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
