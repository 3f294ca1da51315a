#include "index_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "index_capture.h"
#include "index_db.h"
#include "index_info.h"
#include "log.h"

struct index_reader {
	char *path;
	struct index_db db; /* not open: there are no flows */
	bool described;     /* info is valid; else another program made the index */
	struct index_info info;
	rocksdb_readoptions_t *options;
};

/* Its writer was killed before there was a whole database: an index without flows. */
static bool reader_is_new(const struct index_reader *reader)
{
	return reader->described && reader->info.state == INDEX_WRITING && index_db_is_begun(reader->path);
}

/* RocksDB takes a list of files that was cut off for a shorter one. */
static int reader_check(const struct index_reader *reader)
{
	bool wanted = reader->described && reader->info.state == INDEX_COMPLETE && reader->info.packets > 0;

	for (unsigned i = FAMILY_FLOWS; i < INDEX_FAMILIES && wanted; i++) {
		uint64_t keys = 0;
		rocksdb_property_int_cf(reader->db.db, reader->db.family[i], "rocksdb.estimate-num-keys", &keys);
		if (keys)
			continue;
		log_error("extract: index \"%s\" has lost its flows: it is damaged; make it again from the capture: "
			  "flowlane -r FILE --export-rocksdb DIR",
			reader->path);
		return -EBADMSG;
	}
	return 0;
}

int index_reader_open(const char *path, struct index_reader **reader)
{
	struct stat status;

	if (stat(path, &status) < 0 || !S_ISDIR(status.st_mode)) {
		log_error("extract: \"%s\" is no index: %s", path,
			errno == ENOENT ? "there is no such directory" : "it is no directory");
		return -ENOENT;
	}
	struct index_reader *made = calloc(1, sizeof(*made));
	if (made)
		made->path = strdup(path);
	if (!made || !made->path) {
		log_error("extract: no memory");
		free(made);
		return -ENOMEM;
	}
	int error = index_info_read(path, &made->info);
	made->described = !error;
	if (!error && made->info.state == INDEX_INCOMPLETE)
		log_warning("extract: index \"%s\" is incomplete: %" PRIu64 " packets of the capture are not in it", path,
			made->info.lost);
	if (!error && made->info.state == INDEX_WRITING)
		log_warning(
			"extract: index \"%s\" is still being written, or its writer was killed: the last packets are not in it",
			path);
	if (reader_is_new(made))
		error = 0;
	else if (!error || error == -ENOENT || error == -EBADMSG)
		error = index_db_open(&made->db, path, true, true);
	if (!error)
		error = reader_check(made);
	if (error) {
		index_reader_close(made);
		return error;
	}
	made->options = rocksdb_readoptions_create();
	*reader = made;
	return 0;
}

void index_reader_close(struct index_reader *reader)
{
	if (!reader)
		return;
	if (reader->options)
		rocksdb_readoptions_destroy(reader->options);
	index_db_close(&reader->db);
	free(reader->path);
	free(reader);
}

const char *index_reader_path(const struct index_reader *reader)
{
	return reader->path;
}

uint64_t index_reader_first_ns(const struct index_reader *reader)
{
	return reader->info.first_ns;
}

/* --- finding --------------------------------------------------------------------------------------------------------- */

static int value_refuse(const struct index_reader *reader, const char *what)
{
	log_error("extract: \"%s\" is no index that flowlane knows, or it is damaged: %s", reader->path, what);
	return -EBADMSG;
}

/* A value of the database as long as it is looked at; not found: data is NULL. */
static int value_get(struct index_reader *reader, enum index_family family, const struct index_key *key,
	rocksdb_pinnableslice_t **slice, const char **data, size_t *bytes)
{
	char *error = NULL;

	*data = NULL;
	*slice = rocksdb_get_pinned_cf(
		reader->db.db, reader->options, reader->db.family[family], (const char *)key, sizeof(*key), &error);
	if (error)
		return index_db_error("cannot read", reader->path, &error);
	if (*slice)
		*data = rocksdb_pinnableslice_value(*slice, bytes);
	return 0;
}

static int packets_found(struct index_reader *reader, const struct index_key *key, const struct index_flow *record,
	index_found_fn *found, void *owner)
{
	rocksdb_pinnableslice_t *slice;
	const char *data;
	size_t bytes;
	int32_t count;
	int error = value_get(reader, FAMILY_PACKETS, key, &slice, &data, &bytes);

	if (error)
		return error;
	if (!data)
		return value_refuse(reader, "a flow has no packets");
	if (bytes >= sizeof(count))
		memcpy(&count, data, sizeof(count));
	if (bytes < sizeof(count) || count < 0 || bytes != sizeof(count) + (size_t)count * sizeof(struct index_packet))
		error = value_refuse(reader, "the packets of a flow are not as many as it says");
	/* The value may lie anywhere, and a struct wants to be aligned. */
	struct index_packet *packets = error ? NULL : malloc(bytes);
	if (!error && !packets) {
		log_error("extract: no memory for a flow of %" PRId32 " packets", count);
		error = -ENOMEM;
	}
	if (!error) {
		memcpy(packets, data + sizeof(count), bytes - sizeof(count));
		error = found(owner, key, record, packets, (uint32_t)count);
	}
	free(packets);
	rocksdb_pinnableslice_destroy(slice);
	return error;
}

static int record_found(struct index_reader *reader, const struct query *query, const struct index_key *key, const char *data,
	size_t bytes, bool packets, index_found_fn *found, void *owner)
{
	struct index_flow record;

	if (bytes != sizeof(record))
		return value_refuse(reader, "a flow's record has another size than 40 bytes");
	memcpy(&record, data, sizeof(record));
	if (!query_match_time(query, &record))
		return 0;
	return packets ? packets_found(reader, key, &record, found, owner) : found(owner, key, &record, NULL, 0);
}

static int find_keys(struct index_reader *reader, const struct query *query, bool packets, index_found_fn *found, void *owner)
{
	int error = 0;

	for (unsigned i = 0; i < query->flows_count && !error; i++) {
		rocksdb_pinnableslice_t *slice;
		const char *data;
		size_t bytes;
		if (!query_match(query, &query->flows[i]))
			continue;
		error = value_get(reader, FAMILY_FLOWS, &query->flows[i], &slice, &data, &bytes);
		if (error || !data)
			continue;
		error = record_found(reader, query, &query->flows[i], data, bytes, packets, found, owner);
		rocksdb_pinnableslice_destroy(slice);
	}
	return error;
}

static int find_all(struct index_reader *reader, const struct query *query, bool packets, index_found_fn *found, void *owner)
{
	rocksdb_iterator_t *at = rocksdb_create_iterator_cf(reader->db.db, reader->options, reader->db.family[FAMILY_FLOWS]);
	char *failed = NULL;
	int error = 0;

	for (rocksdb_iter_seek_to_first(at); rocksdb_iter_valid(at) && !error; rocksdb_iter_next(at)) {
		struct index_key key;
		size_t key_bytes, bytes;
		const char *key_data = rocksdb_iter_key(at, &key_bytes), *data = rocksdb_iter_value(at, &bytes);
		if (key_bytes != sizeof(key)) {
			error = value_refuse(reader, "a key has another size than 40 bytes");
			break;
		}
		memcpy(&key, key_data, sizeof(key));
		if (query_match(query, &key))
			error = record_found(reader, query, &key, data, bytes, packets, found, owner);
	}
	if (!error) {
		rocksdb_iter_get_error(at, &failed);
		error = index_db_error("cannot read", reader->path, &failed);
	}
	rocksdb_iter_destroy(at);
	return error;
}

int index_reader_find(struct index_reader *reader, const struct query *query, bool packets, index_found_fn *found, void *owner)
{
	if (!reader->db.db)
		return 0;
	return query->flows_count ? find_keys(reader, query, packets, found, owner)
				  : find_all(reader, query, packets, found, owner);
}

/* --- the capture ----------------------------------------------------------------------------------------------------- */

/* "dir/cap.pcap.rdb" -> "dir/cap.pcap": where flowlane puts it, also after both were moved. */
static bool capture_beside(const char *path, char capture[PATH_MAX])
{
	size_t bytes = strlen(path), suffix = strlen(INDEX_SUFFIX);

	while (bytes > 1 && path[bytes - 1] == '/')
		bytes--;
	if (bytes <= suffix || bytes >= PATH_MAX || strncmp(path + bytes - suffix, INDEX_SUFFIX, suffix) != 0)
		return false;
	memcpy(capture, path, bytes - suffix);
	capture[bytes - suffix] = '\0';
	return access(capture, F_OK) == 0;
}

static int capture_check(const struct index_reader *reader, const char *path)
{
	const struct index_info *info = &reader->info;
	struct stat status;
	uint64_t first_ns;

	if (stat(path, &status) < 0) {
		int error = -errno;
		log_error("extract: the capture \"%s\" of index \"%s\": %s; if it is somewhere else, name it with --pcap FILE",
			path, reader->path, strerror(errno));
		return error;
	}
	if (!reader->described || info->state == INDEX_WRITING)
		return 0;
	if ((uint64_t)status.st_size < info->capture_bytes ||
		(info->state == INDEX_COMPLETE && (uint64_t)status.st_size != info->capture_bytes)) {
		log_error("extract: \"%s\" is not the capture of index \"%s\": it has %" PRIu64
			  " bytes, and the indexed one had %" PRIu64 " (%" PRIu64 " frames)",
			path, reader->path, (uint64_t)status.st_size, info->capture_bytes, info->frames);
		return -EBADMSG;
	}
	int error = index_capture_first(path, &first_ns);
	if (error || first_ns == info->first_ns)
		return error;
	log_error("extract: \"%s\" is not the capture of index \"%s\": its first frame has another time stamp", path, reader->path);
	return -EBADMSG;
}

int index_reader_capture(const struct index_reader *reader, const char *given, char path[PATH_MAX])
{
	if (given) {
		snprintf(path, PATH_MAX, "%s", given);
	} else if (!capture_beside(reader->path, path)) {
		if (!reader->described) {
			log_error(
				"extract: index \"%s\" does not say what capture it is of; name it with --pcap FILE", reader->path);
			return -ENOENT;
		}
		snprintf(path, PATH_MAX, "%s", reader->info.capture);
	}
	return capture_check(reader, path);
}
