#include "index_store.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "index_both.h"
#include "index_db.h"
#include "index_info.h"
#include "index_pack.h"
#include "index_sst.h"
#include "log.h"

#define BOTTOM_FORCE 3 /* of RocksDB's BottommostLevelCompaction: also the files that nothing overlaps, but none twice */

/* A round of many flows is made in two parts at once: for that is the time when the lanes are done, or wait. */
#define PARTS           2
#define PARTS_COUNT_MIN 10000

static const char *const new_files[2 * PARTS] = { "packets.0.new", "flows.0.new", "packets.1.new", "flows.1.new" };

/* A file for each family, to which the same keys are added. */
struct pair {
	char packets_path[PATH_MAX], flows_path[PATH_MAX];
	struct index_sst *packets, *flows;
	struct index_pack pack;
};

struct index_store {
	char *path;
	struct index_db db;
	rocksdb_ingestexternalfileoptions_t *ingest;
	bool merges;
	uint64_t rounds;
	struct pair pairs[PARTS]; /* that are open */
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

/* --- files of a round -------------------------------------------------------------------------------------------------- */

static void pair_close(struct pair *pair)
{
	index_sst_destroy(pair->packets);
	index_sst_destroy(pair->flows);
	pair->packets = pair->flows = NULL;
}

static int pair_open(struct index_store *store, unsigned number)
{
	enum index_sst_kind kind = store->rounds > 0 ? INDEX_SST_MERGE : INDEX_SST_VALUE;
	struct pair *pair = &store->pairs[number];

	if (!file_path(pair->packets_path, store->path, new_files[2 * number]) ||
		!file_path(pair->flows_path, store->path, new_files[2 * number + 1]))
		return -ENAMETOOLONG;
	/* Where room was reserved, it is open already. */
	int error = pair->packets ? 0 : index_sst_create(pair->packets_path, kind, &pair->packets);
	memset(&pair->pack, 0, sizeof(pair->pack));
	return error || pair->flows ? error : index_sst_create(pair->flows_path, kind, &pair->flows);
}

/* Those from `first` are closed, and their files removed. */
static void pairs_drop(struct index_store *store, unsigned first)
{
	for (unsigned i = first; i < PARTS; i++) {
		struct pair *pair = &store->pairs[i];
		pair_close(pair);
		unlink(pair->packets_path);
		unlink(pair->flows_path);
	}
}

/* --- open and close -------------------------------------------------------------------------------------------------- */

int index_store_prepare(const char *path)
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
	return 0;
}

int index_store_create(const char *path, bool merges, struct index_store **store)
{
	struct index_store *made = calloc(1, sizeof(*made));
	if (made)
		made->path = strdup(path);
	if (!made || !made->path) {
		log_error("index: no memory for \"%s\"", path);
		index_store_close(made);
		return -ENOMEM;
	}
	made->ingest = rocksdb_ingestexternalfileoptions_create();
	rocksdb_ingestexternalfileoptions_set_move_files(made->ingest, 1);
	rocksdb_ingestexternalfileoptions_set_snapshot_consistency(made->ingest, 0);
	int error = index_db_create(&made->db, path, merges);
	made->merges = merges;
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
	pairs_drop(store, 0);
	index_db_close(&store->db);
	if (store->ingest)
		rocksdb_ingestexternalfileoptions_destroy(store->ingest);
	free(store->path);
	free(store);
}

/* --- rounds ---------------------------------------------------------------------------------------------------------- */

static int store_fail(const struct index_store *store, int error)
{
	if (error == -ENOMEM)
		log_error("index: no memory to write \"%s\"; lower --index-memory-mb", store->path);
	else
		log_error("index: cannot write to \"%s\": %s; free some space, or choose another disk", store->path,
			strerror(-error));
	return error;
}

static int pair_error(const struct pair *pair)
{
	int error = index_sst_error(pair->packets);

	return error ? error : index_sst_error(pair->flows);
}

static int pair_finish(struct pair *pair)
{
	int error = index_sst_finish(pair->packets), flows_error = index_sst_finish(pair->flows);

	return error ? error : flows_error;
}

/* The flow's record, and the count of its packets, which follow. */
static void pair_begin(struct pair *pair, const struct index_key *key, const struct index_flow *record, uint64_t packets)
{
	int32_t count = (int32_t)packets;
	uint64_t reach;

	index_sst_begin(pair->flows, key, sizeof(*record), NULL, 0);
	uint8_t *to = index_sst_room(pair->flows);
	uint64_t position = index_sst_position(pair->flows, &reach);
	index_sst_put(pair->flows, index_pack_flow(&pair->pack, to, record, position, reach), sizeof(*record));
	index_sst_begin(pair->packets, key, sizeof(count) + packets * sizeof(struct index_packet), &count, sizeof(count));
}

/* At most PIECE_MAX. */
#define PIECE_MAX (INDEX_SST_ROOM / (INDEX_PACK_PACKET_MAX + INDEX_SNAPPY_SLACK))

static inline void pair_packets(struct pair *pair, const struct index_item *items, unsigned n)
{
	uint8_t *to = index_sst_room(pair->packets);
	uint64_t reach, position = index_sst_position(pair->packets, &reach);

	index_sst_put(
		pair->packets, index_pack_packets(&pair->pack, to, items, n, position, reach), n * sizeof(struct index_packet));
}

/* A part of the round, of neighbouring keys, which a thread makes into a pair of files. */
struct part {
	const struct index_table *table;
	uint64_t from, to;
	struct pair *pair;
	int error;
};

static void *part_make(void *argument)
{
	struct part *part = argument;
	const struct index_item *items;
	struct index_round_flow flow;
	struct index_round_walk walk;
	unsigned n;

	for (uint64_t i = part->from; i < part->to && !pair_error(part->pair); i++) {
		index_round_flow(part->table, i, &flow);
		index_round_walk(part->table, &flow, &walk);
		pair_begin(part->pair, flow.key, &flow.record, flow.record.packets);
		while ((items = index_round_walk_next(&walk, &n)))
			pair_packets(part->pair, items, n);
	}
	part->error = pair_finish(part->pair);
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
	if (n > 1)
		index_both(part_make, &parts[0], &parts[1]);
	else
		part_make(&parts[0]);
	return parts[0].error ? parts[0].error : parts[n - 1].error;
}

/* The first `n` pairs into the database; after an error the files go. */
static int pairs_ingest(struct index_store *store, unsigned n, int error)
{
	const char *packets[PARTS], *flows[PARTS];

	for (unsigned i = 0; i < n; i++) {
		packets[i] = store->pairs[i].packets_path;
		flows[i] = store->pairs[i].flows_path;
		pair_close(&store->pairs[i]);
	}
	if (error)
		store_fail(store, error);
	if (!error)
		error = parts_ingest(store, FAMILY_PACKETS, packets, n);
	if (!error)
		error = parts_ingest(store, FAMILY_FLOWS, flows, n);
	pairs_drop(store, error ? 0 : n);
	store->rounds += !error;
	return error;
}

int index_store_write(struct index_store *store, const struct index_table *table, uint64_t count)
{
	unsigned n = count < PARTS_COUNT_MIN ? 1 : PARTS;
	struct part parts[PARTS];
	int error = 0;

	if (count == 0)
		return 0;
	for (unsigned i = 0; i < n && !error; i++) {
		parts[i] =
			(struct part){ .table = table, .from = count * i / n, .to = count * (i + 1) / n, .pair = &store->pairs[i] };
		error = pair_open(store, i);
	}
	return pairs_ingest(store, n, error ? error : parts_make(parts, n));
}

/* All keys of the runs. */
static int runs_copy(struct index_runs *runs, struct pair *pair)
{
	struct index_item items[PIECE_MAX];
	struct index_flow record;
	struct index_key key;
	int more;

	while ((more = index_runs_next(runs, &key, &record)) > 0 && !pair_error(pair)) {
		pair_begin(pair, &key, &record, record.packets < INDEX_COUNT_MAX ? record.packets : INDEX_COUNT_MAX);
		while ((more = index_runs_items(runs, items, PIECE_MAX)) > 0)
			pair_packets(pair, items, (unsigned)more);
		if (more < 0)
			return more;
	}
	return more < 0 ? more : pair_finish(pair);
}

int index_store_write_runs(struct index_store *store, struct index_runs *runs)
{
	int error = pair_open(store, 0);

	return pairs_ingest(store, 1, error ? error : runs_copy(runs, &store->pairs[0]));
}

/* Less than they will take: keys are cut short, parts are not the same, and what is too much costs, too. */
#define BYTES_PER_PACKET 20
#define PACKETS_PER_FLOW 24
#define FLOWS_PER_FLOW   30

bool index_store_reserve(struct index_store *store, uint64_t flows, uint64_t packets)
{
	bool more = false;

	if (flows < PARTS_COUNT_MIN || store->rounds > 0)
		return false;
	for (unsigned i = 0; i < PARTS && !more && pair_open(store, i) == 0; i++) {
		more = index_sst_reserve(store->pairs[i].packets, (packets * BYTES_PER_PACKET + flows * PACKETS_PER_FLOW) / PARTS);
		more = more || index_sst_reserve(store->pairs[i].flows, flows * FLOWS_PER_FLOW / PARTS);
	}
	return more;
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
	if (!error && store->merges)
		error = index_db_open(&store->db, store->path, false, false);
	index_db_close(&store->db);
	return error;
}
