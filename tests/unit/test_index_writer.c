/* From entries to the database and back: in one round, in several, merged by RocksDB, and after a kill -9. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "index_db.h"
#include "index_info.h"
#include "index_reader.h"
#include "index_store.h"
#include "index_writer.h"
#include "log.h"

#define FLOWS   700
#define PACKETS 60000
#define MIB     ((uint64_t)1 << 20)

static char folder[] = "/tmp/flowlane-index-XXXXXX";
static char path[64];

static int folder_make(void **context)
{
	(void)context;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/x.rdb", folder);
	log_set_quiet(1);
	return 0;
}

static int folder_remove(void **context)
{
	(void)context;
	index_store_remove(path);
	return rmdir(folder);
}

static struct index_entry entry_of(uint32_t n, uint64_t step_ms)
{
	uint32_t flow = (uint32_t)(n * 2654435761u) % FLOWS;
	struct index_entry entry = { .key = { .protocol = 17, .family = INDEX_FAMILY_IPV4, .source_port = (uint16_t)flow } };

	memcpy(entry.key.source, &flow, sizeof(flow));
	entry.item = (struct index_item){ .number = n + 1,
		.offset_low = 40 + 100 * (uint64_t)n,
		.length = 84,
		.time_low = (uint32_t)(1000000 + n * step_ms),
		.network = 14,
		.network_count = 70,
		.transport = 34,
		.payload = 42 };
	return entry;
}

/* `step_ms`: between packets. Ends the index unless it is to be killed. */
static void index_make(bool live, uint64_t memory, uint64_t step_ms, bool killed)
{
	struct index_writer_options options = { .live = live, .memory = memory, .idle_ms = 1000, .active_ms = 5000 };
	struct index_report report = { 0 };
	struct index_writer *writer;

	assert_int_equal(index_writer_create(&options, &writer), 0);
	assert_int_equal(index_writer_begin(writer, path, "/nowhere/x.pcap"), 0);
	for (uint32_t n = 0; n < PACKETS; n += 50) {
		struct index_entry entries[50];
		for (uint32_t i = 0; i < 50; i++)
			entries[i] = entry_of(n + i, step_ms);
		index_writer_add(writer, entries, 50);
	}
	if (killed)
		raise(SIGKILL);
	index_writer_end(writer, 40 + 100 * (uint64_t)PACKETS, PACKETS, 1000000, true, &report);
	assert_int_equal(report.error, 0);
	assert_int_equal(report.packets, PACKETS);
	assert_int_equal(report.lost, 0);
	index_writer_destroy(writer);
}

struct seen {
	uint64_t flows, packets, blocks;
};

/* Each flow has its packets, in order and without a gap from its first one on. */
static int look(void *owner, const struct index_key *key, const struct index_flow *record, const struct index_packet *packets,
	uint32_t count)
{
	struct seen *seen = owner;
	uint32_t flow, next = 0;

	memcpy(&flow, key->source, sizeof(flow));
	assert_int_equal(record->packets, count);
	assert_int_equal(record->octets, 84 * (uint64_t)count);
	for (uint32_t i = 0; i < count; i++, next++) {
		while ((uint32_t)(next * 2654435761u) % FLOWS != flow)
			next++;
		assert_int_equal(packets[i].number, next + 1);
		assert_int_equal(packets[i].offset, 40 + 100 * (uint64_t)next);
		assert_int_equal(packets[i].transport.count, 50);
	}
	assert_int_equal(record->first_ms, packets[0].time_ms);
	assert_int_equal(record->last_ms, packets[count - 1].time_ms);
	seen->flows++;
	seen->packets += count;
	seen->blocks += record->blocks;
	return 0;
}

static struct seen index_look(void)
{
	struct query *query = malloc(sizeof(*query));
	struct index_reader *reader;
	struct seen seen = { 0 };

	query_begin(query);
	assert_int_equal(index_reader_open(path, &reader), 0);
	assert_int_equal(index_reader_find(reader, query, true, look, &seen), 0);
	index_reader_close(reader);
	free(query);
	return seen;
}

static void rounds__when_memory_is_large_or_small__then_the_same_packets(void **context)
{
	(void)context;
	for (unsigned i = 0; i < 2; i++) {
		index_make(false, i ? 1 : 64 * MIB, 0, false);
		struct seen seen = index_look();
		assert_int_equal(seen.flows, FLOWS);
		assert_int_equal(seen.packets, PACKETS);
		assert_true(i ? seen.blocks > FLOWS : seen.blocks == FLOWS);
	}
}

static void live__when_merged__then_whole_without_the_merge_operator(void **context)
{
	(void)context;
	struct index_db db;
	uint64_t entries = 0;

	index_make(true, 64 * MIB, 7, false); /* seven minutes: seven rounds */
	struct seen seen = index_look();
	assert_int_equal(seen.flows, FLOWS);
	assert_int_equal(seen.packets, PACKETS);
	/* As other readers open it. */
	assert_int_equal(index_db_open(&db, path, true, false), 0);
	rocksdb_readoptions_t *options = rocksdb_readoptions_create();
	rocksdb_iterator_t *at = rocksdb_create_iterator_cf(db.db, options, db.family[FAMILY_PACKETS]);
	for (rocksdb_iter_seek_to_first(at); rocksdb_iter_valid(at); rocksdb_iter_next(at))
		entries++;
	char *error = NULL;
	rocksdb_iter_get_error(at, &error);
	assert_null(error);
	assert_int_equal(entries, FLOWS);
	rocksdb_iter_destroy(at);
	rocksdb_readoptions_destroy(options);
	index_db_close(&db);
}

static void live__when_killed__then_what_was_written_is_whole(void **context)
{
	(void)context;
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		index_make(true, 64 * MIB, 7, true);
		_exit(1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	struct index_info info;
	assert_int_equal(index_info_read(path, &info), 0);
	assert_int_equal(info.state, INDEX_WRITING);
	struct seen seen = index_look();
	assert_int_equal(seen.flows, FLOWS);
	assert_true(seen.packets > PACKETS / 2 && seen.packets < PACKETS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rounds__when_memory_is_large_or_small__then_the_same_packets),
		cmocka_unit_test(live__when_merged__then_whole_without_the_merge_operator),
		cmocka_unit_test(live__when_killed__then_what_was_written_is_whole),
	};

	return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
