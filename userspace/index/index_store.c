#include "index_store.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
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

/* A round of many flows is made in two parts at once: for that is the time when the lanes are done, or wait. */
#define PARTS           2
#define PARTS_COUNT_MIN 10000

static const char *const new_files[2 * PARTS] = { "packets.0.new", "flows.0.new", "packets.1.new", "flows.1.new" };

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
	free(store->path);
	free(store);
}

/* --- rounds ---------------------------------------------------------------------------------------------------------- */

/* A file for each family, to which the same keys are added. */
struct pair {
	char packets[PATH_MAX], flows[PATH_MAX];
	rocksdb_sstfilewriter_t *packets_writer, *flows_writer;
	bool merge;
	char *error; /* RocksDB's */
};

static int pair_open(struct pair *pair, struct index_store *store, unsigned number)
{
	memset(pair, 0, sizeof(*pair));
	if (!file_path(pair->packets, store->path, new_files[2 * number]) ||
		!file_path(pair->flows, store->path, new_files[2 * number + 1]))
		return -ENAMETOOLONG;
	pair->merge = store->rounds > 0;
	pair->packets_writer = rocksdb_sstfilewriter_create(store->env, store->db.options[FAMILY_PACKETS]);
	pair->flows_writer = rocksdb_sstfilewriter_create(store->env, store->db.options[FAMILY_FLOWS]);
	rocksdb_sstfilewriter_open(pair->packets_writer, pair->packets, &pair->error);
	if (!pair->error)
		rocksdb_sstfilewriter_open(pair->flows_writer, pair->flows, &pair->error);
	return 0;
}

static void pair_put(
	struct pair *pair, const struct index_key *key, const struct index_flow *record, const char *value, size_t bytes)
{
	void (*put)(rocksdb_sstfilewriter_t *, const char *, size_t, const char *, size_t, char **) =
		pair->merge ? rocksdb_sstfilewriter_merge : rocksdb_sstfilewriter_put;

	if (!pair->error)
		put(pair->packets_writer, (const char *)key, sizeof(*key), value, bytes, &pair->error);
	if (!pair->error)
		put(pair->flows_writer, (const char *)key, sizeof(*key), (const char *)record, sizeof(*record), &pair->error);
}

/* `error`: 0, or why the files are of no use. Returns it, or what RocksDB found. */
static int pair_close(struct pair *pair, const struct index_store *store, int error)
{
	if (!error && !pair->error)
		rocksdb_sstfilewriter_finish(pair->packets_writer, &pair->error);
	if (!error && !pair->error)
		rocksdb_sstfilewriter_finish(pair->flows_writer, &pair->error);
	rocksdb_sstfilewriter_destroy(pair->packets_writer);
	rocksdb_sstfilewriter_destroy(pair->flows_writer);
	if (pair->error)
		error = index_db_error("cannot write to", store->path, &pair->error);
	return error;
}

/* A part of the round, of neighbouring keys, which a thread makes into a pair of files. */
struct part {
	struct index_store *store;
	const struct index_table *table;
	uint64_t from, to;
	struct pair pair;
	char *value; /* of one key, as long as needed */
	size_t value_room;
	int error;
};

/* The packets of a flow as the database has them. False: no memory. */
static bool part_value(struct part *part, const struct index_round_flow *flow, const char **value, size_t *bytes)
{
	size_t wanted = INDEX_COUNT_BYTES + (size_t)flow->record.packets * sizeof(struct index_packet);
	const size_t skew = sizeof(uint64_t) - INDEX_COUNT_BYTES; /* so that the packets, behind the count, are aligned */

	if (wanted + skew > part->value_room) {
		char *more = realloc(part->value, 2 * wanted + skew);
		if (!more)
			return false;
		part->value = more;
		part->value_room = 2 * wanted + skew;
	}
	int32_t count = (int32_t)flow->record.packets;
	memcpy(part->value + skew, &count, sizeof(count));
	index_round_packets(part->table, flow, (struct index_packet *)(void *)(part->value + skew + INDEX_COUNT_BYTES));
	*value = part->value + skew;
	*bytes = wanted;
	return true;
}

static int part_fill(struct part *part)
{
	for (uint64_t i = part->from; i < part->to && !part->pair.error; i++) {
		struct index_round_flow flow;
		const char *value;
		size_t bytes;
		index_round_flow(part->table, i, &flow);
		if (!part_value(part, &flow, &value, &bytes)) {
			log_error("index: no memory for a flow of %u packets", flow.record.packets);
			return -ENOMEM;
		}
		pair_put(&part->pair, flow.key, &flow.record, value, bytes);
	}
	return 0;
}

static void *part_make(void *argument)
{
	struct part *part = argument;

	part->error = pair_close(&part->pair, part->store, part_fill(part));
	free(part->value);
	return NULL;
}

static int parts_ingest(struct index_store *store, enum index_family family, const char *const *paths, unsigned n)
{
	char *error = NULL;

	rocksdb_ingest_external_file_cf(store->db.db, store->db.family[family], paths, n, store->ingest, &error);
	return index_db_error("cannot write to", store->path, &error);
}

/* Part 0 on this thread. */
static int parts_make(struct part *parts, unsigned n)
{
	pthread_t thread;
	bool helped = n > 1 && pthread_create(&thread, NULL, part_make, &parts[1]) == 0;

	part_make(&parts[0]);
	if (helped)
		pthread_join(thread, NULL);
	else if (n > 1)
		part_make(&parts[1]);
	return parts[0].error ? parts[0].error : parts[n - 1].error;
}

/* Into the database; after an error the files go. */
static int pairs_ingest(struct index_store *store, struct pair *const *pairs, unsigned n, int error)
{
	const char *packets[PARTS], *flows[PARTS];

	for (unsigned i = 0; i < n; i++) {
		packets[i] = pairs[i]->packets;
		flows[i] = pairs[i]->flows;
	}
	if (!error)
		error = parts_ingest(store, FAMILY_PACKETS, packets, n);
	if (!error)
		error = parts_ingest(store, FAMILY_FLOWS, flows, n);
	for (unsigned i = 0; error && i < n; i++) {
		unlink(packets[i]);
		unlink(flows[i]);
	}
	store->rounds += !error;
	return error;
}

int index_store_write(struct index_store *store, const struct index_table *table, uint64_t count)
{
	unsigned n = count < PARTS_COUNT_MIN ? 1 : PARTS;
	struct part *parts = count ? calloc(PARTS, sizeof(*parts)) : NULL;
	struct pair *pairs[PARTS];
	int error = 0;

	if (count == 0)
		return 0;
	if (!parts)
		return -ENOMEM;
	for (unsigned i = 0; i < n && !error; i++) {
		parts[i] = (struct part){ .store = store, .table = table, .from = count * i / n, .to = count * (i + 1) / n };
		pairs[i] = &parts[i].pair;
		error = pair_open(pairs[i], store, i);
	}
	if (!error)
		error = pairs_ingest(store, pairs, n, parts_make(parts, n));
	free(parts);
	return error;
}

int index_store_write_runs(struct index_store *store, struct index_runs *runs)
{
	struct pair pair, *pairs[1] = { &pair };
	struct index_key key;
	struct index_flow record;
	const char *value;
	size_t bytes;
	int more = 1, error = pair_open(&pair, store, 0);

	if (error)
		return error;
	while (!pair.error && (more = index_runs_next(runs, &key, &record, &value, &bytes)) > 0)
		pair_put(&pair, &key, &record, value, bytes);
	return pairs_ingest(store, pairs, 1, pair_close(&pair, store, more < 0 ? more : 0));
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
