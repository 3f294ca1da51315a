#include "index_sst.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "bytes.h"
#include "crc32c.h"

#define BLOCK_BYTES  (16 << 10)          /* a quarter of the blocks that RocksDB's 4 KiB make, and one is still read at once */
#define BUFFER_BYTES ((size_t)256 << 10) /* stays in the L2 cache, from where the kernel copies it */
#define SYNC_BYTES   (4 << 20)           /* the disk is asked to begin with so many, for RocksDB waits for all of them */
#define RESERVE      (2 << 20)           /* bytes at once: half a millisecond of a tmpfs */
#define SPARE        8                   /* of what the disk has, this part is left to others */
#define RESTART      16                  /* entries: the first of so many has its key in full */
#define RESTARTS_MAX 64                  /* of blocks of at least 44 bytes per entry there are 24 */

#define TRAILER_BYTES 5  /* of a block: its compression, its checksum */
#define FOOTER_BYTES  53 /* checksum's kind 1, two places padded to 40, version 4, magic number 8 */
#define CHECKSUM_CRC  1
#define VERSION       2
#define MAGIC         0x88e241b785f4cff7u
#define MASK          0xa282ead8u /* checksums are turned and masked: a checksum of checksums would be weak */
#define VARINT_MAX    10
#define NO_FAMILY     0x7fffffff /* a file for whichever family takes it in */

/* A key as RocksDB orders it: ours, then sequence number 0 and the kind of the entry. */
struct inner_key {
	struct index_key key;
	uint64_t kind;
};
_Static_assert(sizeof(struct inner_key) == 48, "written as it is");

struct place {
	uint64_t offset, bytes; /* without the trailer */
};

/* A block that is kept until the end of the file: each entry has its key in full. */
struct kept {
	uint8_t *data;
	size_t bytes, room;
	uint32_t *restarts;
	size_t count, restarts_room;
};

struct index_sst {
	int fd;
	int error;
	enum index_sst_kind kind;

	uint8_t *buffer;
	size_t used, summed; /* of the buffer; what lies behind `summed` is not in the checksum yet */
	uint64_t written;    /* of the file, before the buffer */
	uint64_t asked;      /* of the file, on their way to the disk */
	uint64_t reserved;   /* of the file; UINT64_MAX: no more */

	uint64_t block; /* where the one at hand begins */
	uint32_t crc;
	uint64_t left; /* of the value at hand */
	uint32_t restarts[RESTARTS_MAX];
	unsigned restarts_count, entries; /* of the block */
	struct inner_key last;

	struct kept index;
	uint64_t entries_count, blocks_count, value_bytes;
};

/* --- the file -------------------------------------------------------------------------------------------------------- */

static void sst_fail(struct index_sst *sst, int error)
{
	sst->error = sst->error ? sst->error : error;
}

static void sst_sum(struct index_sst *sst)
{
	sst->crc = crc32c(sst->crc, sst->buffer + sst->summed, sst->used - sst->summed);
	sst->summed = sst->used;
}

static void sst_flush(struct index_sst *sst)
{
	size_t at = 0;

	sst_sum(sst);
	while (at < sst->used && !sst->error) {
		ssize_t n = write(sst->fd, sst->buffer + at, sst->used - at);
		if (n > 0)
			at += (size_t)n;
		else if (n == 0 || errno != EINTR)
			sst_fail(sst, n == 0 ? -EIO : -errno);
	}
	sst->written += sst->used;
	sst->used = sst->summed = 0;
	if (sst->written - sst->asked >= SYNC_BYTES) {
		sync_file_range(sst->fd, (off_t)sst->asked, (off_t)(sst->written - sst->asked), SYNC_FILE_RANGE_WRITE);
		sst->asked = sst->written;
	}
}

/* A disk that is nearly full is not taken from those who write to it now. */
static bool disk_has(int fd, uint64_t bytes)
{
	struct statvfs disk;

	return fstatvfs(fd, &disk) == 0 && disk.f_bavail * disk.f_frsize > disk.f_blocks * disk.f_frsize / SPARE + bytes;
}

bool index_sst_reserve(struct index_sst *sst, uint64_t bytes)
{
	if (sst->reserved >= bytes || bytes - sst->reserved < RESERVE)
		return false;
	if (!disk_has(sst->fd, RESERVE) || fallocate(sst->fd, FALLOC_FL_KEEP_SIZE, (off_t)sst->reserved, RESERVE) < 0) {
		sst->reserved = UINT64_MAX;
		return false;
	}
	sst->reserved += RESERVE;
	return true;
}

/* What was too much goes back: a file is cut where it ends. */
static void sst_give_back(struct index_sst *sst)
{
	if (sst->reserved > sst->written && !sst->error && ftruncate(sst->fd, (off_t)sst->written) < 0)
		sst_fail(sst, -errno);
}

static inline uint8_t *sst_room(struct index_sst *sst, size_t bytes)
{
	if (__builtin_expect(sst->used + bytes > BUFFER_BYTES, 0))
		sst_flush(sst);
	uint8_t *room = sst->buffer + sst->used;
	sst->used += bytes;
	return room;
}

static void sst_append(struct index_sst *sst, const uint8_t *data, size_t bytes)
{
	while (bytes > 0) {
		size_t n = bytes < INDEX_SST_ROOM ? bytes : INDEX_SST_ROOM;
		memcpy(sst_room(sst, n), data, n);
		data += n;
		bytes -= n;
	}
}

static uint64_t sst_at(const struct index_sst *sst)
{
	return sst->written + sst->used;
}

static void block_begin(struct index_sst *sst)
{
	sst->block = sst_at(sst);
	sst->crc = 0;
	sst->summed = sst->used;
}

/* Its restarts, and the trailer. */
static struct place block_end(struct index_sst *sst, const uint32_t *restarts, size_t count)
{
	static const uint8_t uncompressed = 0;
	uint32_t n = (uint32_t)count;

	sst_append(sst, (const uint8_t *)restarts, count * sizeof(*restarts));
	sst_append(sst, (const uint8_t *)&n, sizeof(n));
	struct place place = { .offset = sst->block, .bytes = sst_at(sst) - sst->block };
	sst_append(sst, &uncompressed, sizeof(uncompressed));
	sst_sum(sst);
	uint32_t crc = (sst->crc >> 15 | sst->crc << 17) + MASK;
	sst_append(sst, (const uint8_t *)&crc, sizeof(crc));
	return place;
}

/* --- kept blocks ----------------------------------------------------------------------------------------------------- */

static size_t varint_put(uint8_t *to, uint64_t value)
{
	size_t n = 0;

	for (; value >= 128; value >>= 7)
		to[n++] = (uint8_t)(value | 128);
	to[n++] = (uint8_t)value;
	return n;
}

static bool kept_grow(struct kept *kept, size_t bytes)
{
	if (kept->bytes + bytes > kept->room) {
		size_t room = 2 * (kept->bytes + bytes);
		uint8_t *more = realloc(kept->data, room);
		if (!more)
			return false;
		kept->data = more;
		kept->room = room;
	}
	if (kept->count == kept->restarts_room) {
		size_t room = kept->count ? 2 * kept->count : 64;
		uint32_t *more = realloc(kept->restarts, room * sizeof(*more));
		if (!more)
			return false;
		kept->restarts = more;
		kept->restarts_room = room;
	}
	return true;
}

static void kept_add(
	struct index_sst *sst, struct kept *kept, const void *key, size_t key_bytes, const void *value, size_t value_bytes)
{
	if (!kept_grow(kept, 3 * VARINT_MAX + key_bytes + value_bytes)) {
		sst_fail(sst, -ENOMEM);
		return;
	}
	kept->restarts[kept->count++] = (uint32_t)kept->bytes;
	uint8_t *to = kept->data + kept->bytes;
	*to++ = 0; /* nothing shared */
	to += varint_put(to, key_bytes);
	to += varint_put(to, value_bytes);
	memcpy(to, key, key_bytes);
	memcpy(to + key_bytes, value, value_bytes);
	kept->bytes = (size_t)(to + key_bytes + value_bytes - kept->data);
}

static size_t place_put(uint8_t to[2 * VARINT_MAX], const struct place *place)
{
	size_t n = varint_put(to, place->offset);

	return n + varint_put(to + n, place->bytes);
}

static void kept_add_place(struct index_sst *sst, struct kept *kept, const void *key, size_t key_bytes, const struct place *place)
{
	uint8_t value[2 * VARINT_MAX];

	kept_add(sst, kept, key, key_bytes, value, place_put(value, place));
}

static struct place kept_write(struct index_sst *sst, const struct kept *kept)
{
	block_begin(sst);
	sst_append(sst, kept->data, kept->bytes);
	return block_end(sst, kept->restarts, kept->count);
}

static void kept_free(struct kept *kept)
{
	free(kept->data);
	free(kept->restarts);
}

/* --- entries --------------------------------------------------------------------------------------------------------- */

static void data_block_end(struct index_sst *sst)
{
	struct place place = block_end(sst, sst->restarts, sst->restarts_count);

	kept_add_place(sst, &sst->index, &sst->last, sizeof(sst->last), &place);
	sst->blocks_count++;
	sst->entries = sst->restarts_count = 0;
}

static unsigned shared_bytes(const struct index_key *x, const struct index_key *y)
{
	const uint8_t *a = (const uint8_t *)x, *b = (const uint8_t *)y;

	for (unsigned at = 0; at < sizeof(*x); at += sizeof(uint64_t)) {
		uint64_t differ = load_le64(a + at) ^ load_le64(b + at);
		if (differ)
			return at + (unsigned)__builtin_ctzll(differ) / 8;
	}
	return sizeof(*x);
}

void index_sst_begin(struct index_sst *sst, const struct index_key *key, uint64_t bytes)
{
	uint64_t wanted = sizeof(struct inner_key) + bytes;

	if (sst->entries && (sst_at(sst) - sst->block + wanted > BLOCK_BYTES || sst->restarts_count == RESTARTS_MAX))
		data_block_end(sst);
	if (sst->entries == 0)
		block_begin(sst);
	unsigned shared = sst->entries % RESTART ? shared_bytes(key, &sst->last.key) : 0;
	if (sst->entries % RESTART == 0)
		sst->restarts[sst->restarts_count++] = (uint32_t)(sst_at(sst) - sst->block);
	sst->last = (struct inner_key){ .key = *key, .kind = sst->kind };
	uint8_t *begin = sst_room(sst, 2 + VARINT_MAX + sizeof(sst->last)), *to = begin;
	*to++ = (uint8_t)shared;
	*to++ = (uint8_t)(sizeof(sst->last) - shared);
	to += varint_put(to, bytes);
	memcpy(to, (const uint8_t *)&sst->last + shared, sizeof(sst->last) - shared);
	to += sizeof(sst->last) - shared;
	sst->used -= 2 + VARINT_MAX + sizeof(sst->last) - (size_t)(to - begin);
	sst->entries++;
	sst->entries_count++;
	sst->value_bytes += bytes;
}

void *index_sst_room(struct index_sst *sst, size_t bytes)
{
	return sst_room(sst, bytes);
}

/* --- the end --------------------------------------------------------------------------------------------------------- */

/* What a reader wants to know before it reads. In the order of their names. */
static struct place properties_write(struct index_sst *sst)
{
	const uint64_t keys = sst->entries_count * sizeof(struct inner_key);
	const struct {
		const char *name;
		const char *text; /* or: */
		unsigned fixed;   /* bytes of the number; 0: as varint */
		uint64_t number;
	} rows[] = {
		{ "rocksdb.block.based.table.index.type", NULL, 4, 0 }, /* searched by halves */
		{ "rocksdb.block.based.table.prefix.filtering", "0", 0, 0 },
		{ "rocksdb.block.based.table.whole.key.filtering", "1", 0, 0 },
		{ "rocksdb.column.family.id", NULL, 0, NO_FAMILY },
		{ "rocksdb.comparator", "leveldb.BytewiseComparator", 0, 0 },
		{ "rocksdb.compression", "NoCompression", 0, 0 },
		{ "rocksdb.data.size", NULL, 0, sst_at(sst) },
		{ "rocksdb.deleted.keys", NULL, 0, 0 },
		{ "rocksdb.external_sst_file.global_seqno", NULL, 8, 0 }, /* RocksDB puts it in here */
		{ "rocksdb.external_sst_file.version", NULL, 4, 2 },
		{ "rocksdb.filter.size", NULL, 0, 0 },
		{ "rocksdb.fixed.key.length", NULL, 0, 0 },
		{ "rocksdb.format.version", NULL, 0, 0 },
		{ "rocksdb.index.size", NULL, 0, sst->index.bytes + (sst->index.count + 1) * sizeof(uint32_t) },
		{ "rocksdb.merge.operands", NULL, 0, sst->kind == INDEX_SST_MERGE ? sst->entries_count : 0 },
		{ "rocksdb.num.data.blocks", NULL, 0, sst->blocks_count },
		{ "rocksdb.num.entries", NULL, 0, sst->entries_count },
		{ "rocksdb.num.range-deletions", NULL, 0, 0 },
		{ "rocksdb.raw.key.size", NULL, 0, keys },
		{ "rocksdb.raw.value.size", NULL, 0, sst->value_bytes },
	};
	struct kept kept = { 0 };

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t number[VARINT_MAX];
		size_t bytes = rows[i].fixed ? rows[i].fixed : varint_put(number, rows[i].number);
		if (rows[i].fixed)
			memcpy(number, &rows[i].number, bytes);
		kept_add(sst, &kept, rows[i].name, strlen(rows[i].name), rows[i].text ? (const void *)rows[i].text : number,
			rows[i].text ? strlen(rows[i].text) : bytes);
	}
	struct place place = kept_write(sst, &kept);
	kept_free(&kept);
	return place;
}

static void footer_write(struct index_sst *sst, const struct place *meta, const struct place *index)
{
	uint8_t footer[FOOTER_BYTES] = { CHECKSUM_CRC };
	const uint32_t version = VERSION;
	const uint64_t magic = MAGIC;
	size_t n = 1 + place_put(footer + 1, meta);

	place_put(footer + n, index);
	memcpy(footer + FOOTER_BYTES - sizeof(magic) - sizeof(version), &version, sizeof(version));
	memcpy(footer + FOOTER_BYTES - sizeof(magic), &magic, sizeof(magic));
	sst_append(sst, footer, sizeof(footer));
}

int index_sst_finish(struct index_sst *sst)
{
	static const char properties_name[] = "rocksdb.properties";
	struct kept meta = { 0 };

	data_block_end(sst);
	struct place properties = properties_write(sst);
	kept_add_place(sst, &meta, properties_name, strlen(properties_name), &properties);
	struct place meta_place = kept_write(sst, &meta), index_place = kept_write(sst, &sst->index);
	kept_free(&meta);
	footer_write(sst, &meta_place, &index_place);
	sst_flush(sst);
	sst_give_back(sst);
	return sst->error;
}

int index_sst_error(const struct index_sst *sst)
{
	return sst->error;
}

/* --- create and destroy ---------------------------------------------------------------------------------------------- */

int index_sst_create(const char *path, enum index_sst_kind kind, struct index_sst **sst)
{
	struct index_sst *made = calloc(1, sizeof(*made));

	int error = -ENOMEM;

	if (made) {
		made->kind = kind;
		made->fd = -1;
		made->buffer = malloc(BUFFER_BYTES);
	}
	if (made && made->buffer) {
		made->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		error = made->fd < 0 ? -errno : 0;
	}
	if (error)
		index_sst_destroy(made);
	else
		*sst = made;
	return error;
}

void index_sst_destroy(struct index_sst *sst)
{
	if (!sst)
		return;
	if (sst->fd >= 0)
		close(sst->fd);
	kept_free(&sst->index);
	free(sst->buffer);
	free(sst);
}
