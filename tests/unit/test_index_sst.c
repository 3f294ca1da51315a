/* Sorted files of an index: RocksDB takes them in, checks their checksums, and finds what was put there. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "index_db.h"
#include "index_folder.h"
#include "index_snappy.h"
#include "index_sst.h"

#define PIECE_MAX 4096

static struct index_key key_of(uint32_t n)
{
	uint32_t be = __builtin_bswap32(n * 3 + 1);
	struct index_key key = { .protocol = 6, .family = INDEX_FAMILY_IPV4, .source_port = 80 };

	memcpy(key.source, &be, sizeof(be));
	return key;
}

static uint8_t byte_of(uint32_t n, uint64_t at)
{
	return (uint8_t)(n * 31 + at * 7 + (at >> 8));
}

/* Entries 0 ... count - 1, their values `bytes` each, in pieces of `piece`. */
static void sst_make(enum index_sst_kind kind, uint32_t count, uint64_t bytes, size_t piece)
{
	static uint8_t data[PIECE_MAX + INDEX_SNAPPY_SLACK];
	struct index_sst *sst;

	assert_int_equal(index_sst_create(file_path, kind, &sst), 0);
	for (uint32_t n = 0; n < count; n++) {
		struct index_key key = key_of(n);
		index_sst_begin(sst, &key, bytes, NULL, 0);
		for (uint64_t at = 0; at < bytes; at += piece) {
			size_t now = piece < bytes - at ? piece : (size_t)(bytes - at);
			for (size_t i = 0; i < now; i++)
				data[i] = byte_of(n, at + i);
			index_sst_put(sst, index_snappy_literal(index_sst_room(sst), data, now), now);
		}
	}
	assert_int_equal(index_sst_finish(sst), 0);
	index_sst_destroy(sst);
}

static void entry_look(const struct index_db *db, rocksdb_readoptions_t *options, uint32_t n, uint64_t bytes)
{
	struct index_key key = key_of(n);
	size_t found = 0;
	char *error = NULL;
	char *value = rocksdb_get_cf(db->db, options, db->family[FAMILY_PACKETS], (const char *)&key, sizeof(key), &found, &error);

	assert_null(error);
	assert_non_null(value);
	assert_int_equal(found, bytes);
	for (uint64_t at = 0; at < bytes; at++)
		assert_int_equal((uint8_t)value[at], byte_of(n, at));
	rocksdb_free(value);
	key.source_port++; /* one that is not there */
	value = rocksdb_get_cf(db->db, options, db->family[FAMILY_PACKETS], (const char *)&key, sizeof(key), &found, &error);
	assert_null(value);
}

static void db_look(uint32_t count, uint64_t bytes)
{
	rocksdb_readoptions_t *options = rocksdb_readoptions_create();
	struct index_db db;
	char *error = NULL;
	uint32_t n = 0;

	rocksdb_readoptions_set_verify_checksums(options, 1);
	assert_int_equal(index_db_open(&db, db_path, true, false), 0);
	rocksdb_iterator_t *at = rocksdb_create_iterator_cf(db.db, options, db.family[FAMILY_PACKETS]);
	for (rocksdb_iter_seek_to_first(at); rocksdb_iter_valid(at); rocksdb_iter_next(at), n++) {
		struct index_key key = key_of(n);
		size_t found;
		const char *got = rocksdb_iter_key(at, &found);
		assert_int_equal(found, sizeof(key));
		assert_memory_equal(got, &key, sizeof(key));
		rocksdb_iter_value(at, &found);
		assert_int_equal(found, bytes);
	}
	rocksdb_iter_get_error(at, &error);
	assert_null(error);
	assert_int_equal(n, count);
	rocksdb_iter_destroy(at);
	for (n = 0; n < count; n += 1 + count / 50)
		entry_look(&db, options, n, bytes);
	entry_look(&db, options, count - 1, bytes);
	rocksdb_readoptions_destroy(options);
	index_db_close(&db);
}

static void sst_ingest(bool create)
{
	rocksdb_ingestexternalfileoptions_t *options = rocksdb_ingestexternalfileoptions_create();
	const char *const paths[] = { file_path };
	struct index_db db;
	char *error = NULL;

	rocksdb_ingestexternalfileoptions_set_move_files(options, 1);
	assert_int_equal(create ? index_db_create(&db, db_path, true) : index_db_open(&db, db_path, false, true), 0);
	rocksdb_ingest_external_file_cf(db.db, db.family[FAMILY_PACKETS], paths, 1, options, &error);
	assert_null(error);
	rocksdb_ingestexternalfileoptions_destroy(options);
	index_db_close(&db);
}

static void values__when_of_any_size_and_number__then_rocksdb_finds_them(void **context)
{
	(void)context;
	static const struct {
		uint32_t count;
		uint64_t bytes;
		size_t piece;
	} rows[] = {
		{ 1, 0, 1 }, { 1, 60, 60 }, { 16, 40, 40 }, /* one restart, and two */
		{ 17, 40, 40 }, { 20000, 40, 40 },          /* blocks with many entries, an index with many blocks */
		{ 3000, 564, 56 },                          /* values that lie across buffers */
		{ 20, 16336, 4096 },                        /* as large as a block */
		{ 3, 1000003, 4096 },                       /* larger than the buffer */
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		sst_make(INDEX_SST_VALUE, rows[i].count, rows[i].bytes, rows[i].piece);
		sst_ingest(true);
		db_look(rows[i].count, rows[i].bytes);
		assert_int_equal(index_db_remove(db_path), 0);
	}
}

/* The second file must get a sequence number of its own from RocksDB, in the place that we left for it. */
static void merges__when_taken_in_after_values__then_appended(void **context)
{
	(void)context;
	struct index_db db;
	struct index_key key = key_of(7);
	size_t found = 0;
	char *error = NULL;
	rocksdb_readoptions_t *options = rocksdb_readoptions_create();

	sst_make(INDEX_SST_VALUE, 100, INDEX_COUNT_BYTES + 2 * sizeof(struct index_packet), 58);
	sst_ingest(true);
	sst_make(INDEX_SST_MERGE, 50, INDEX_COUNT_BYTES + 3 * sizeof(struct index_packet), 58);
	sst_ingest(false);
	assert_int_equal(index_db_open(&db, db_path, true, true), 0);
	char *value = rocksdb_get_cf(db.db, options, db.family[FAMILY_PACKETS], (const char *)&key, sizeof(key), &found, &error);
	assert_null(error);
	assert_int_equal(found, INDEX_COUNT_BYTES + 5 * sizeof(struct index_packet));
	for (size_t at = INDEX_COUNT_BYTES; at < found; at++) {
		size_t first = 2 * sizeof(struct index_packet) + INDEX_COUNT_BYTES;
		assert_int_equal((uint8_t)value[at], byte_of(7, at < first ? at : at - first + INDEX_COUNT_BYTES));
	}
	rocksdb_free(value);
	key = key_of(60); /* only in the first */
	value = rocksdb_get_cf(db.db, options, db.family[FAMILY_PACKETS], (const char *)&key, sizeof(key), &found, &error);
	assert_int_equal(found, INDEX_COUNT_BYTES + 2 * sizeof(struct index_packet));
	rocksdb_free(value);
	rocksdb_readoptions_destroy(options);
	index_db_close(&db);
	assert_int_equal(index_db_remove(db_path), 0);
}

static void room__when_reserved_and_not_used__then_given_back(void **context)
{
	(void)context;
	static const uint64_t rows[] = { 0, 1 << 20, 5 << 20, 64 << 20 };
	struct stat status;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct index_sst *sst;
		assert_int_equal(index_sst_create(file_path, INDEX_SST_VALUE, &sst), 0);
		while (index_sst_reserve(sst, rows[i]))
			;
		for (uint32_t n = 0; n < 100000; n++) {
			struct index_key key = key_of(n);
			index_sst_begin(sst, &key, 60, NULL, 0);
			for (unsigned at = 0; at < 60; at++) {
				uint8_t byte[1 + INDEX_SNAPPY_SLACK] = { byte_of(n, at) };
				index_sst_put(sst, index_snappy_literal(index_sst_room(sst), byte, 1), 1);
			}
		}
		assert_int_equal(index_sst_finish(sst), 0);
		index_sst_destroy(sst);
		assert_int_equal(stat(file_path, &status), 0);
		assert_true((uint64_t)status.st_blocks * 512 < (uint64_t)status.st_size + (1 << 20));
		sst_ingest(true);
		db_look(100000, 60);
		assert_int_equal(index_db_remove(db_path), 0);
	}
}

static void disk__when_full__then_the_error_and_no_crash(void **context)
{
	(void)context;
	static const uint8_t data[60 + INDEX_SNAPPY_SLACK];
	struct index_sst *sst;

	assert_int_equal(index_sst_create("/nowhere/at/all", INDEX_SST_VALUE, &sst), -ENOENT);
	assert_int_equal(index_sst_create("/dev/full", INDEX_SST_VALUE, &sst), 0);
	for (uint32_t n = 0; n < 100000; n++) {
		struct index_key key = key_of(n);
		index_sst_begin(sst, &key, 60, NULL, 0);
		index_sst_put(sst, index_snappy_literal(index_sst_room(sst), data, 60), 60);
	}
	assert_int_equal(index_sst_error(sst), -ENOSPC);
	assert_int_equal(index_sst_finish(sst), -ENOSPC);
	index_sst_destroy(sst);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values__when_of_any_size_and_number__then_rocksdb_finds_them),
		cmocka_unit_test(merges__when_taken_in_after_values__then_appended),
		cmocka_unit_test(room__when_reserved_and_not_used__then_given_back),
		cmocka_unit_test(disk__when_full__then_the_error_and_no_crash),
	};

	return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
