/*
 * A flood of SYNs from as many sources and a scan of as many ports and hosts, each far larger than the flow table, beside connections
 * that go on: both are found, the connections keep their records, and with --populate no memory is taken meanwhile.
 */
#include <unistd.h>

#include "anomaly_rig.h"
#include "arena.h"

#define FLOWS_MAX   65536
#define CONNECTIONS 2000
#define SOURCES     300000
#define PROBES      200000
#define STEP_NS     ((uint64_t)10000)
#define VICTIM_IP   "203.0.113.1"
#define SCANNER_IP  "198.51.100.9"

struct attack {
	struct core *core;
	struct anomaly *anomaly;
	struct alert_log log;
	uint64_t ts_ns;
	unsigned sent[CONNECTIONS]; /* packets of each connection */
	unsigned kept;              /* records of connections, with all their packets, not evicted */
	unsigned evicted;           /* flows of the attack */
};

/* Connections are from 10.1.0.0/16, by the client's number. */
static void attack_records(void *context, const struct flow_record *records, unsigned n)
{
	struct attack *attack = context;

	for (unsigned i = 0; i < n; i++) {
		const struct flow_record *record = &records[i];
		const uint8_t *ip = record->key.a_ip + FLOW_KEY_V4_OFFSET;
		if (ip[0] != 10) {
			attack->evicted += record->end == FLOW_END_EVICTION;
			continue;
		}
		unsigned connection = (unsigned)ip[2] << 8 | ip[3];
		assert_in_range(connection, 0, CONNECTIONS - 1);
		assert_int_equal(record->end, FLOW_ALIVE);
		assert_int_equal(record->packets[0] + record->packets[1], attack->sent[connection]);
		attack->kept++;
	}
}

/* Sends the trace, and empties it. */
static void attack_send(struct attack *attack, struct trace *trace)
{
	core_run(attack->core, trace->frames, trace->count);
	trace_free(trace);
	*trace = (struct trace){ 0 };
}

static void attack_add(struct attack *attack, struct trace *trace, struct host src, struct host dst, uint8_t flags, uint32_t seq)
{
	add_tcp(trace, attack->ts_ns += STEP_NS, src, dst, flags, seq, flags == SYN ? 0 : 1, flags == PSH ? 10 : 0);
	if (trace->count == FLOWLANE_BATCH)
		attack_send(attack, trace);
}

static struct host client_of(char ip[32], unsigned connection)
{
	snprintf(ip, 32, "10.1.%u.%u", connection >> 8, connection & 255);
	return (struct host){ ip, 5000 };
}

static const struct host server = { "192.0.2.1", 443 };

static void connections_open(struct attack *attack)
{
	struct trace trace = { 0 };
	char ip[32];

	for (unsigned i = 0; i < CONNECTIONS; i++) {
		struct host client = client_of(ip, i);
		attack_add(attack, &trace, client, server, SYN, 0);
		attack_add(attack, &trace, server, client, SYNACK, 0);
		attack_add(attack, &trace, client, server, ACK, 1);
		attack->sent[i] = 3;
	}
	attack_send(attack, &trace);
}

/* One packet of four is a connection's, of each in turn. */
static void attack_run(struct attack *attack)
{
	uint64_t random = 5;
	struct trace trace = { 0 };
	char ip[32];

	for (unsigned i = 0; i < SOURCES + PROBES; i++) {
		if (i < SOURCES) {
			snprintf(ip, sizeof(ip), "100.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
			attack_add(attack, &trace, (struct host){ ip, 999 }, (struct host){ VICTIM_IP, 80 }, SYN, 0);
		} else {
			unsigned host = random_below(&random, 65536);
			snprintf(ip, sizeof(ip), "172.16.%u.%u", host >> 8, host & 255);
			attack_add(attack, &trace, (struct host){ SCANNER_IP, 4000 },
				(struct host){ ip, (uint16_t)random_below(&random, 65536) }, SYN, 0);
		}
		if (i % 3 == 2) {
			unsigned connection = i / 3 % CONNECTIONS;
			attack_add(attack, &trace, client_of(ip, connection), server, PSH, attack->sent[connection]++ * 10);
		}
	}
	attack_send(attack, &trace);
}

static uint64_t rss_bytes(void)
{
	unsigned long long total, resident = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%llu %llu", &total, &resident), 2);
	fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void attack__beside_connections__found__they_keep_their_records__memory_does_not_grow(void **state)
{
	static struct attack attack = { .ts_ns = T0 };
	struct config config = anomaly_config();
	const struct anomaly_options options = {
		.config = &config, .lanes = 1, .seed = HASH_SEED_FIXED, .on_alerts = alert_log_add, .context = &attack.log
	};

	(void)state;
	arena_back_all();
	attack.log.text = calloc(1, 1);
	assert_int_equal(anomaly_create(&options, &attack.anomaly), 0);
	const struct core_options core_options = { .seed = HASH_SEED_FIXED,
		.max_flows = FLOWS_MAX,
		.flow_timeout_ns = 60 * SEC,
		.lanes = 1,
		.on_records = attack_records,
		.tap = anomaly_tap(attack.anomaly, 0),
		.context = &attack };
	assert_int_equal(core_create(&core_options, &attack.core), 0);
	connections_open(&attack);
	uint64_t before = rss_bytes();
	attack_run(&attack);
	uint64_t after = rss_bytes();
	core_drain(attack.core);
	anomaly_finish(attack.anomaly);

	assert_int_equal(attack.kept, CONNECTIONS);
	assert_true(attack.evicted > (SOURCES + PROBES) / 2);
	assert_true(attack.log.of_kind[ALERT_SYN_FLOOD] > 0);
	assert_true(attack.log.of_kind[ALERT_PORT_SCAN] > 0);
#ifndef __SANITIZE_ADDRESS__ /* it keeps what was freed for a while */
	assert_true(after < before + (1 << 20));
#else
	(void)before;
	(void)after;
#endif
	core_destroy(attack.core);
	anomaly_destroy(attack.anomaly);
	free(attack.log.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attack__beside_connections__found__they_keep_their_records__memory_does_not_grow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
