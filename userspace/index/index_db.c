#include "index_db.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "index_merge.h"
#include "log.h"

#define CHECKSUM_CRC32C    1
#define TABLE_FORMAT       2          /* readers of 2017 know it */
#define BLOCK_BYTES        (16 << 10) /* as in index_sst.c */
#define LOG_WARN           2          /* RocksDB's own LOG file */
#define MANIFEST_BYTES     (64 << 10)
#define COMPACTION_THREADS 2

static const char *const family_names[INDEX_FAMILIES] = { "default", INDEX_FAMILY_FLOWS, INDEX_FAMILY_PACKETS };

int index_db_error(const char *what, const char *path, char **error)
{
	static const struct {
		const char *text;
		int error;
		const char *advice;
	} known[] = {
		{ "Corruption", -EBADMSG, "it is damaged; make it again from the capture: flowlane -r FILE --export-rocksdb DIR" },
		{ "No space left", -ENOSPC, "free some space, or choose another disk" },
		{ "Disk quota", -EDQUOT, "free some space, or choose another disk" },
		{ "lock ", -EBUSY, "another process is writing it; wait for that one, or choose another place" },
		{ "Permission denied", -EACCES, "choose a place where you may write" },
		{ "Read-only", -EROFS, "choose a place where you may write" },
		{ "No such file", -ENOENT, "it is not there, or a part of it is missing" },
		{ "does not exist", -ENOENT, "it is not there, or is no index" },
	};
	const char *advice = "check the disk";
	int result = -EIO;

	if (!*error)
		return 0;
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!strstr(*error, known[i].text))
			continue;
		result = known[i].error;
		advice = known[i].advice;
		break;
	}
	log_error("index: %s \"%s\": %s; %s", what, path, *error, advice);
	rocksdb_free(*error);
	*error = NULL;
	return result;
}

/* What foreign readers, old ones too, can open: Snappy, CRC32c, the table format of their time. */
static rocksdb_options_t *options_make(void)
{
	rocksdb_options_t *options = rocksdb_options_create();
	rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();

	rocksdb_block_based_options_set_block_size(table, BLOCK_BYTES);
	rocksdb_block_based_options_set_format_version(table, TABLE_FORMAT);
	rocksdb_block_based_options_set_checksum(table, CHECKSUM_CRC32C);
	rocksdb_options_set_block_based_table_factory(options, table);
	rocksdb_block_based_options_destroy(table);
	rocksdb_options_set_compression(options, rocksdb_snappy_compression);
	rocksdb_options_set_info_log_level(options, LOG_WARN);
	rocksdb_options_set_keep_log_file_num(options, 1);
	rocksdb_options_set_manifest_preallocation_size(options, MANIFEST_BYTES);
	rocksdb_options_set_max_subcompactions(options, COMPACTION_THREADS);
	rocksdb_options_set_max_file_opening_threads(
		options, 1); /* there are few files, and 16 threads at each opening cost more */
	return options;
}

static void options_make_all(struct index_db *db, bool merges)
{
	for (unsigned i = 0; i < INDEX_FAMILIES; i++)
		db->options[i] = options_make();
	if (merges) {
		rocksdb_options_set_merge_operator(db->options[FAMILY_FLOWS], index_merge_flows());
		rocksdb_options_set_merge_operator(db->options[FAMILY_PACKETS], index_merge_packets());
	}
}

int index_db_create(struct index_db *db, const char *path, bool merges)
{
	char *error = NULL;

	memset(db, 0, sizeof(*db));
	options_make_all(db, merges);
	rocksdb_options_t *options = db->options[FAMILY_DEFAULT];
	rocksdb_options_set_create_if_missing(options, 1);
	rocksdb_options_set_create_missing_column_families(options, 1);
	for (unsigned i = 0; i < INDEX_FAMILIES; i++)
		rocksdb_options_set_disable_auto_compactions(db->options[i], !merges);
	db->db = rocksdb_open_column_families(
		options, path, INDEX_FAMILIES, family_names, (const rocksdb_options_t *const *)db->options, db->family, &error);
	int result = index_db_error("cannot create", path, &error);
	if (result)
		index_db_close(db);
	return result;
}

/* How many families `path` has, and how many of them are those of an index. 0 or a negative errno, logged. */
static int families_count(const char *path, const rocksdb_options_t *options, unsigned *all, unsigned *ours)
{
	char *error = NULL;
	size_t n = 0;
	char **names = rocksdb_list_column_families(options, path, &n, &error);

	*all = (unsigned)n;
	*ours = 0;
	for (size_t i = 0; i < n; i++) {
		for (unsigned family = 0; family < INDEX_FAMILIES; family++)
			*ours += !strcmp(names[i], family_names[family]);
	}
	rocksdb_list_column_families_destroy(names, n); /* there is an empty list also after an error */
	return index_db_error("cannot open", path, &error);
}

/* A database without our families says so in a way of its own. */
static int families_check(const char *path, const rocksdb_options_t *options)
{
	unsigned all, ours;
	int error = families_count(path, options, &all, &ours);

	if (error || ours == INDEX_FAMILIES)
		return error;
	log_error("index: \"%s\" is a RocksDB database of another kind: an index has the column families %s and %s", path,
		INDEX_FAMILY_FLOWS, INDEX_FAMILY_PACKETS);
	return -EBADMSG;
}

bool index_db_is_begun(const char *path)
{
	char current[PATH_MAX];
	unsigned all, ours;

	if (snprintf(current, sizeof(current), "%s/CURRENT", path) >= PATH_MAX)
		return false;
	if (access(current, F_OK) < 0)
		return errno == ENOENT;
	rocksdb_options_t *options = options_make();
	int error = families_count(path, options, &all, &ours);
	rocksdb_options_destroy(options);
	return !error && all == ours && ours < INDEX_FAMILIES;
}

int index_db_open(struct index_db *db, const char *path, bool read_only, bool merges)
{
	char *error = NULL;

	memset(db, 0, sizeof(*db));
	options_make_all(db, merges);
	const rocksdb_options_t *const *options = (const rocksdb_options_t *const *)db->options;
	int result = families_check(path, options[0]);
	if (!result && read_only)
		db->db = rocksdb_open_for_read_only_column_families(
			options[0], path, INDEX_FAMILIES, family_names, options, db->family, 0, &error);
	else if (!result)
		db->db = rocksdb_open_column_families(options[0], path, INDEX_FAMILIES, family_names, options, db->family, &error);
	if (!result)
		result = index_db_error("cannot open", path, &error);
	if (result)
		index_db_close(db);
	return result;
}

void index_db_close(struct index_db *db)
{
	for (unsigned i = 0; i < INDEX_FAMILIES && db->db; i++)
		rocksdb_column_family_handle_destroy(db->family[i]);
	if (db->db)
		rocksdb_close(db->db);
	for (unsigned i = 0; i < INDEX_FAMILIES; i++) {
		if (db->options[i])
			rocksdb_options_destroy(db->options[i]);
	}
	memset(db, 0, sizeof(*db));
}

int index_db_remove(const char *path)
{
	rocksdb_options_t *options = rocksdb_options_create();
	char *error = NULL;

	rocksdb_destroy_db(options, path, &error);
	rocksdb_options_destroy(options);
	int result = index_db_error("cannot remove the old", path, &error);
	if (!result)
		rmdir(path); /* may hold what others put there */
	return result;
}
