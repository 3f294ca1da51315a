/* Records as Snappy: RocksDB reads what was written, whatever the records are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "index_db.h"
#include "index_folder.h"
#include "index_pack.h"
#include "index_sst.h"

#define SMALL_MAX 64 /* packets that are put at once */

static uint64_t state;

/* xorshift64: the same numbers each time. */
static uint64_t number(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* --- what is written, and as it is to be read ------------------------------------------------------------------------------ */

struct text {
	uint8_t *bytes;
	size_t count, room;
};

static void text_add(struct text *text, const void *bytes, size_t count)
{
	while (text->count + count > text->room) {
		text->room = text->room ? 2 * text->room : 1 << 16;
		text->bytes = realloc(text->bytes, text->room);
		assert_non_null(text->bytes);
	}
	memcpy(text->bytes + text->count, bytes, count);
	text->count += count;
}

/* What RocksDB finds, one entry after the other, is `text`. */
static void text_look(const struct text *text)
{
	rocksdb_ingestexternalfileoptions_t *ingest = rocksdb_ingestexternalfileoptions_create();
	rocksdb_readoptions_t *options = rocksdb_readoptions_create();
	const char *const paths[] = { file_path };
	struct index_db db;
	char *error = NULL;
	size_t at = 0, n;

	rocksdb_ingestexternalfileoptions_set_move_files(ingest, 1);
	assert_int_equal(index_db_create(&db, db_path, false), 0);
	rocksdb_ingest_external_file_cf(db.db, db.family[FAMILY_PACKETS], paths, 1, ingest, &error);
	assert_null(error);
	rocksdb_ingestexternalfileoptions_destroy(ingest);
	rocksdb_readoptions_set_verify_checksums(options, 1);
	rocksdb_iterator_t *it = rocksdb_create_iterator_cf(db.db, options, db.family[FAMILY_PACKETS]);
	for (rocksdb_iter_seek_to_first(it); rocksdb_iter_valid(it); rocksdb_iter_next(it)) {
		const char *key = rocksdb_iter_key(it, &n);
		assert_true(at + n <= text->count);
		assert_memory_equal(key, text->bytes + at, n);
		at += n;
		const char *value = rocksdb_iter_value(it, &n);
		assert_true(at + n <= text->count);
		assert_memory_equal(value, text->bytes + at, n);
		at += n;
	}
	rocksdb_iter_get_error(it, &error);
	assert_null(error);
	assert_int_equal(at, text->count);
	rocksdb_iter_destroy(it);
	rocksdb_readoptions_destroy(options);
	index_db_close(&db);
	assert_int_equal(index_db_remove(db_path), 0);
	free(text->bytes);
}

/* Greater than the one before. `kind`: IPv4 with one source or many, or any bytes. */
static struct index_key key_next(uint32_t n, unsigned kind)
{
	uint32_t be = __builtin_bswap32(n);
	struct index_key key = { .protocol = 6, .family = INDEX_FAMILY_IPV4, .source_port = (uint16_t)number() };

	if (kind == 2) {
		for (size_t i = 0; i < sizeof(key); i += sizeof(uint64_t)) {
			uint64_t any = number() & (n % 3 ? 0xff0000ff00ffff00 : UINT64_MAX);
			memcpy((uint8_t *)&key + i, &any, sizeof(any));
		}
		key.protocol = 6;
	}
	memcpy(kind == 1 ? key.destination : key.source, &be, sizeof(be));
	return key;
}

/* --- packets --------------------------------------------------------------------------------------------------------------- */

struct row {
	const char *name;
	uint32_t keys, packets; /* packets: of each key at most */
	unsigned key_kind;
	unsigned shapes;  /* how many different ones there are; 0: all differ */
	uint64_t time_ms; /* from one to the next */
	unsigned rare;    /* one in so many packets has another shape than the first; 0: all have any */
};

static struct index_item item_make(const struct row *row, uint64_t *time_ms, uint32_t n)
{
	uint64_t shape = row->shapes ? number() % row->shapes : number(), offset = row->shapes ? (uint64_t)n * 76 + 40 : number();

	if (row->rare && number() % row->rare)
		shape = 0;
	uint32_t count = row->shapes ? 40 + (uint32_t)shape / 4 * 7 : (uint32_t)(number() >> (number() % 60));
	*time_ms += row->time_ms ? number() % row->time_ms : 0;
	return (struct index_item){
		.number = n + 1,
		.offset_low = (uint32_t)offset,
		.offset_high = (uint16_t)(offset >> 32),
		.time_low = (uint32_t)*time_ms,
		.time_high = (uint16_t)(*time_ms >> 32),
		.length = row->shapes ? count + 14 : (uint32_t)number(),
		.network_count = count,
		.network = 14,
		.transport = shape % 5 ? 34 : 0,
		.payload = (uint16_t)(42 + shape * shape * 977),
	};
}

static void value_put(struct index_sst *sst, struct index_pack *pack, struct text *text, const struct row *row, uint64_t *time_ms,
	uint32_t packets)
{
	static uint32_t n;

	for (uint32_t at = 0; at < packets;) {
		struct index_item items[SMALL_MAX];
		unsigned now = 1 + (unsigned)number() % SMALL_MAX;
		uint64_t reach, position = index_sst_position(sst, &reach);
		now = now < packets - at ? now : packets - at;
		for (unsigned i = 0; i < now; i++) {
			struct index_packet packet;
			items[i] = item_make(row, time_ms, n++);
			index_item_expand(&items[i], &packet);
			text_add(text, &packet, sizeof(packet));
		}
		uint8_t *to = index_sst_room(sst), *end = index_pack_packets(pack, to, items, now, position, reach);
		assert_true((size_t)(end - to) <= now * INDEX_PACK_PACKET_MAX);
		index_sst_put(sst, end, now * sizeof(struct index_packet));
		at += now;
	}
}

static void row_look(const struct row *row)
{
	struct index_pack *pack = calloc(1, sizeof(*pack)); /* where ASan sees what lies beside it */
	struct text text = { 0 };
	struct index_sst *sst;
	uint64_t time_ms = 0x18a00fffff0; /* soon after it, the third byte and then the fourth changes */

	state = 88172645463325252u;
	assert_non_null(pack);
	assert_int_equal(index_sst_create(file_path, INDEX_SST_VALUE, &sst), 0);
	for (uint32_t i = 0; i < row->keys; i++) {
		struct index_key key = key_next(i, row->key_kind);
		uint32_t packets = 1 + (uint32_t)number() % row->packets;
		int32_t count = (int32_t)packets;
		text_add(&text, &key, sizeof(key));
		text_add(&text, &count, sizeof(count));
		index_sst_begin(sst, &key, sizeof(count) + packets * sizeof(struct index_packet), &count, sizeof(count));
		value_put(sst, pack, &text, row, &time_ms, packets);
	}
	assert_int_equal(index_sst_finish(sst), 0);
	index_sst_destroy(sst);
	text_look(&text);
	free(pack);
}

static void packets__when_alike_or_not_at_all__then_rocksdb_finds_them(void **context)
{
	(void)context;
	static const struct row rows[] = {
		{ "few packets, one shape", 20000, 8, 0, 1, 3, 0 },
		{ "two shapes", 20000, 8, 0, 2, 3, 0 },
		{ "one source", 20000, 8, 1, 3, 3, 0 },
		{ "more shapes than are kept", 3000, 90, 0, 500, 70000, 0 },
		{ "nothing in common", 3000, 40, 2, 0, UINT64_MAX, 0 },
		{ "keys alone have nothing in common", 20000, 2, 2, 1, 0, 0 },
		{ "values about as large as a block", 300, 600, 0, 3, 1000, 0 },
		{ "values larger than the buffer", 5, 100000, 0, 7, 20, 0 },
		{ "a shape that comes back too late", 5, 100000, 0, 4, 1, 3000 },
		{ "large ones with nothing in common", 5, 100000, 2, 0, UINT64_MAX, 0 },
		{ "one packet", 1, 1, 0, 1, 0, 0 },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		print_message("%s\n", rows[i].name);
		row_look(&rows[i]);
	}
}

/* The usual capture: 23 bytes a packet, and 26 a key. */
static void packets__when_alike__then_less_than_half(void **context)
{
	(void)context;
	static const struct row row = { "", 1, 10, 0, 2, 3, 0 };
	struct index_pack *pack = calloc(1, sizeof(*pack));
	struct index_item items[SMALL_MAX];
	uint8_t to[SMALL_MAX * (INDEX_PACK_PACKET_MAX + INDEX_SNAPPY_SLACK)];
	uint64_t time_ms = 1700000000000;

	state = 1;
	for (unsigned i = 0; i < SMALL_MAX; i++)
		items[i] = item_make(&row, &time_ms, i);
	index_pack_packets(pack, to, items, 2, 1, 1);
	assert_true(
		index_pack_packets(pack, to, items, SMALL_MAX, 1 + 2 * sizeof(struct index_packet), 1) <= to + 23 * SMALL_MAX + 34);
	free(pack);
}

/* --- flows ----------------------------------------------------------------------------------------------------------------- */

static void flows__when_alike_or_not_at_all__then_rocksdb_finds_them(void **context)
{
	(void)context;

	for (unsigned kind = 0; kind < 3; kind++) {
		struct index_pack *pack = calloc(1, sizeof(*pack));
		struct text text = { 0 };
		struct index_sst *sst;
		state = 1234567 + kind;
		assert_int_equal(index_sst_create(file_path, INDEX_SST_VALUE, &sst), 0);
		for (uint32_t i = 0; i < 50000; i++) {
			struct index_key key = key_next(i, kind);
			uint64_t any = kind ? UINT64_MAX >> number() % 64 : 0xffff, reach;
			struct index_flow flow = {
				.octets = number() & any,
				.packets = (uint32_t)(number() & any),
				.first_ms = number() & any,
				.last_ms = (number() & any) + 0xfffff0,
				.blocks = kind ? number() % 3 == 0 : 1,
				.application = number() % 1000 == 0,
			};
			text_add(&text, &key, sizeof(key));
			text_add(&text, &flow, sizeof(flow));
			index_sst_begin(sst, &key, sizeof(flow), NULL, 0);
			uint64_t position = index_sst_position(sst, &reach);
			uint8_t *to = index_sst_room(sst), *end = index_pack_flow(pack, to, &flow, position, reach);
			assert_true((size_t)(end - to) <= INDEX_PACK_FLOW_MAX);
			index_sst_put(sst, end, sizeof(flow));
		}
		assert_int_equal(index_sst_finish(sst), 0);
		index_sst_destroy(sst);
		text_look(&text);
		free(pack);
	}
}

/* --- any bytes ------------------------------------------------------------------------------------------------------------- */

/* Records of 8 to 56 bytes of which each byte is that of the one before with some probability: runs of all lengths, anywhere. */
static void bytes__when_compared_with_those_before__then_rocksdb_finds_them(void **context)
{
	(void)context;
	struct text text = { 0 };
	struct index_sst *sst;

	state = 42;
	assert_int_equal(index_sst_create(file_path, INDEX_SST_VALUE, &sst), 0);
	for (uint32_t n = 0; n < 20000; n++) {
		struct index_key key = key_next(n, n & 1 ? 2 : 0);
		size_t bytes = 8 * (1 + number() % 7), distance = 56 + (n % 2 ? number() % 301 : 0);
		uint8_t first[356 + INDEX_SNAPPY_COMPARED + INDEX_SNAPPY_SLACK], *second = first + distance;
		for (size_t i = 0; i < distance; i++)
			first[i] = (uint8_t)number();
		for (size_t i = 0, likely = number() % 64; i < bytes; i++)
			second[i] = number() % 64 < likely ? (uint8_t)number() : second[i - distance];
		key.protocol = 6;
		text_add(&text, &key, sizeof(key));
		text_add(&text, first, distance + bytes);
		index_sst_begin(sst, &key, distance + bytes, NULL, 0);
		index_sst_put(sst, index_snappy_literal(index_sst_room(sst), first, distance), distance);
		uint8_t *to = index_sst_room(sst), *end = index_snappy_beside(to, second, first, bytes, distance);
		assert_true((size_t)(end - to) <= bytes + 1);
		index_sst_put(sst, end, bytes);
	}
	assert_int_equal(index_sst_finish(sst), 0);
	index_sst_destroy(sst);
	text_look(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets__when_alike_or_not_at_all__then_rocksdb_finds_them),
		cmocka_unit_test(packets__when_alike__then_less_than_half),
		cmocka_unit_test(flows__when_alike_or_not_at_all__then_rocksdb_finds_them),
		cmocka_unit_test(bytes__when_compared_with_those_before__then_rocksdb_finds_them),
	};

	return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
