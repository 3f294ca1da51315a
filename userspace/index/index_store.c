#include "index_store.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "index_db.h"
#include "index_info.h"
#include "log.h"

#define BOTTOM_FORCE 3 /* of RocksDB's BottommostLevelCompaction: also the files that nothing overlaps, but none twice */

struct index_store {
	char *path;
	struct index_db db;
	rocksdb_envoptions_t *env;
	rocksdb_ingestexternalfileoptions_t *ingest;
	uint64_t rounds;
	char *value; /* of one key, as long as needed */
	size_t value_room;
};

/* --- the directory --------------------------------------------------------------------------------------------------- */

static bool directory_empty(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	bool empty = directory != NULL;

	while (empty && (entry = readdir(directory)))
		empty = !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..");
	if (directory)
		closedir(directory);
	return empty;
}

int index_store_check(const char *path)
{
	struct stat status;
	int error = 0;

	if (stat(path, &status) < 0)
		error = errno == ENOENT ? 0 : -errno;
	else if (!S_ISDIR(status.st_mode))
		error = -ENOTDIR;
	else if (access(path, W_OK | X_OK) < 0)
		error = -errno;
	if (error) {
		log_error("index: cannot write \"%s\": %s; name a directory for it", path, strerror(-error));
		return error;
	}
	if (access(path, F_OK) < 0 || index_info_exists(path) || directory_empty(path))
		return 0;
	log_error("index: \"%s\" is there already, and is no index that flowlane made; name another directory, or remove this one",
		path);
	return -EEXIST;
}

static const char *const new_files[] = { "packets.new", "flows.new" };

static bool file_path(char path[PATH_MAX], const char *directory, const char *name)
{
	return snprintf(path, PATH_MAX, "%s/%s", directory, name) < PATH_MAX;
}

int index_store_remove(const char *path)
{
	char file[PATH_MAX];

	if (!index_info_exists(path))
		return 0;
	/* What RocksDB does not know stays in the directory unless we remove it; and it is the sign that the index is ours: last. */
	for (unsigned i = 0; i < sizeof(new_files) / sizeof(new_files[0]); i++) {
		if (file_path(file, path, new_files[i]))
			unlink(file);
	}
	int error = index_db_remove(path);
	if (error)
		return error;
	index_info_remove(path);
	rmdir(path);
	return 0;
}

uint64_t index_store_bytes(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	struct stat status;
	uint64_t bytes = 0;

	while (directory && (entry = readdir(directory))) {
		if (fstatat(dirfd(directory), entry->d_name, &status, 0) == 0 && S_ISREG(status.st_mode))
			bytes += (uint64_t)status.st_size;
	}
	if (directory)
		closedir(directory);
	return bytes;
}

/* --- open and close -------------------------------------------------------------------------------------------------- */

int index_store_create(const char *path, bool compacts, struct index_store **store)
{
	int error = index_store_check(path);

	if (!error)
		error = index_store_remove(path);
	if (error)
		return error;
	if (mkdir(path, 0777) < 0 && errno != EEXIST) {
		error = -errno;
		log_error("index: cannot create \"%s\": %s; create the directory that it is to be in first", path, strerror(errno));
		return error;
	}
	struct index_store *made = calloc(1, sizeof(*made));
	if (made)
		made->path = strdup(path);
	if (!made || !made->path) {
		log_error("index: no memory for \"%s\"", path);
		index_store_close(made);
		return -ENOMEM;
	}
	made->env = rocksdb_envoptions_create();
	made->ingest = rocksdb_ingestexternalfileoptions_create();
	rocksdb_ingestexternalfileoptions_set_move_files(made->ingest, 1);
	rocksdb_ingestexternalfileoptions_set_snapshot_consistency(made->ingest, 0);
	error = index_db_create(&made->db, path, compacts);
	if (error)
		index_store_close(made);
	else
		*store = made;
	return error;
}

void index_store_close(struct index_store *store)
{
	if (!store)
		return;
	index_db_close(&store->db);
	if (store->env)
		rocksdb_envoptions_destroy(store->env);
	if (store->ingest)
		rocksdb_ingestexternalfileoptions_destroy(store->ingest);
	free(store->value);
	free(store->path);
	free(store);
}

/* --- rounds ---------------------------------------------------------------------------------------------------------- */

/* One key and its value in the file at hand. */
typedef bool value_fn(struct index_store *store, const struct index_table *table, const struct index_round_flow *flow,
	const char **value, size_t *bytes);

static bool packets_value(struct index_store *store, const struct index_table *table, const struct index_round_flow *flow,
	const char **value, size_t *bytes)
{
	size_t wanted = INDEX_COUNT_BYTES + (size_t)flow->record.packets * sizeof(struct index_packet);
	const size_t skew = sizeof(uint64_t) - INDEX_COUNT_BYTES; /* so that the packets, behind the count, are aligned */

	if (wanted + skew > store->value_room) {
		char *more = realloc(store->value, 2 * wanted + skew);
		if (!more)
			return false;
		store->value = more;
		store->value_room = 2 * wanted + skew;
	}
	int32_t count = (int32_t)flow->record.packets;
	memcpy(store->value + skew, &count, sizeof(count));
	index_round_packets(table, flow, (struct index_packet *)(void *)(store->value + skew + INDEX_COUNT_BYTES));
	*value = store->value + skew;
	*bytes = wanted;
	return true;
}

static bool flows_value(struct index_store *store, const struct index_table *table, const struct index_round_flow *flow,
	const char **value, size_t *bytes)
{
	(void)store, (void)table;
	*value = (const char *)&flow->record;
	*bytes = sizeof(flow->record);
	return true;
}

static int file_fill(struct index_store *store, rocksdb_sstfilewriter_t *writer, const struct index_table *table, uint64_t count,
	value_fn *value_of, char **error)
{
	for (uint64_t i = 0; i < count && !*error; i++) {
		struct index_round_flow flow;
		const char *value;
		size_t bytes;
		index_round_flow(table, i, &flow);
		if (!value_of(store, table, &flow, &value, &bytes)) {
			log_error("index: no memory for a flow of %u packets", flow.record.packets);
			return -ENOMEM;
		}
		if (store->rounds == 0)
			rocksdb_sstfilewriter_put(writer, (const char *)flow.key, sizeof(*flow.key), value, bytes, error);
		else
			rocksdb_sstfilewriter_merge(writer, (const char *)flow.key, sizeof(*flow.key), value, bytes, error);
	}
	return 0;
}

static int file_make(struct index_store *store, enum index_family family, const char *path, const struct index_table *table,
	uint64_t count, value_fn *value_of)
{
	rocksdb_sstfilewriter_t *writer = rocksdb_sstfilewriter_create(store->env, store->db.options[family]);
	char *error = NULL;
	int result = 0;

	rocksdb_sstfilewriter_open(writer, path, &error);
	if (!error)
		result = file_fill(store, writer, table, count, value_of, &error);
	if (!error && !result)
		rocksdb_sstfilewriter_finish(writer, &error);
	rocksdb_sstfilewriter_destroy(writer);
	return result ? result : index_db_error("cannot write to", store->path, &error);
}

static int file_ingest(struct index_store *store, enum index_family family, const char *path)
{
	char *error = NULL;

	rocksdb_ingest_external_file_cf(store->db.db, store->db.family[family], &path, 1, store->ingest, &error);
	return index_db_error("cannot write to", store->path, &error);
}

int index_store_write(struct index_store *store, const struct index_table *table, uint64_t count)
{
	char packets[PATH_MAX], flows[PATH_MAX];

	if (count == 0)
		return 0;
	if (!file_path(packets, store->path, new_files[0]) || !file_path(flows, store->path, new_files[1]))
		return -ENAMETOOLONG;
	int error = file_make(store, FAMILY_PACKETS, packets, table, count, packets_value);
	if (!error)
		error = file_make(store, FAMILY_FLOWS, flows, table, count, flows_value);
	if (!error)
		error = file_ingest(store, FAMILY_PACKETS, packets);
	if (!error)
		error = file_ingest(store, FAMILY_FLOWS, flows);
	if (error) {
		unlink(packets);
		unlink(flows);
		return error;
	}
	store->rounds++;
	return 0;
}

uint64_t index_store_rounds(const struct index_store *store)
{
	return store->rounds;
}

/* --- the end --------------------------------------------------------------------------------------------------------- */

static int family_compact(struct index_store *store, enum index_family family, rocksdb_compactoptions_t *how)
{
	char *error = NULL;

	rocksdb_compact_range_cf_opt(store->db.db, store->db.family[family], how, NULL, 0, NULL, 0);
	/* It says nothing of errors: whether all went well is seen when the database is opened anew. */
	rocksdb_flushoptions_t *flush = rocksdb_flushoptions_create();
	rocksdb_flush_cf(store->db.db, flush, store->db.family[family], &error);
	rocksdb_flushoptions_destroy(flush);
	return index_db_error("cannot compact", store->path, &error);
}

int index_store_finish(struct index_store *store)
{
	int error = 0;

	if (store->rounds > 1) {
		rocksdb_compactoptions_t *how = rocksdb_compactoptions_create();
		rocksdb_compactoptions_set_bottommost_level_compaction(how, BOTTOM_FORCE);
		error = family_compact(store, FAMILY_PACKETS, how);
		if (!error)
			error = family_compact(store, FAMILY_FLOWS, how);
		rocksdb_compactoptions_destroy(how);
	}
	/* RocksDB keeps the names of the merge operators with the options, and other readers do not know them: they go. */
	index_db_close(&store->db);
	if (!error)
		error = index_db_open(&store->db, store->path, false, false);
	index_db_close(&store->db);
	return error;
}
