#include "index_sst.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "index_snappy.h"
#include "index_sst_file.h"

#define BLOCK_BYTES  (16 << 10) /* a quarter of the blocks that RocksDB's 4 KiB make, and one is still read at once */
#define RESTART      16         /* entries: the first of so many has its key in full */
#define RESTARTS_MAX 64         /* of blocks of at least 44 bytes per entry there are 24 */

#define TRAILER_BYTES 5  /* of a block: its compression, its checksum */
#define FOOTER_BYTES  53 /* checksum's kind 1, two places padded to 40, version 4, magic number 8 */
#define CHECKSUM_CRC  1
#define VERSION       2
#define MAGIC         0x88e241b785f4cff7u
#define MASK          0xa282ead8u /* checksums are turned and masked: a checksum of checksums would be weak */
#define VARINT_MAX    10
#define LENGTH_MAX    5          /* bytes of a value's length: it has less than 4 GiB */
#define NO_FAMILY     0x7fffffff /* a file for whichever family takes it in */

enum compression { COMPRESSION_NONE = 0, COMPRESSION_SNAPPY = 1 };

/* A key as RocksDB orders it: ours, then sequence number 0 and the kind of the entry. */
struct inner_key {
	struct index_key key;
	uint64_t kind;
};
_Static_assert(sizeof(struct inner_key) == 48, "written as it is");

#define HEAD_MAX (2 + LENGTH_MAX + sizeof(struct inner_key))

/* What is the same in most entries: the key, and the first bytes of the value. */
struct entry_head {
	struct inner_key key;
	uint8_t value[INDEX_SST_HEAD];
	size_t value_bytes;
	uint8_t slack[INDEX_SNAPPY_SLACK];
};
_Static_assert(offsetof(struct entry_head, value) == sizeof(struct inner_key), "as in the block");

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

/* The block of entries at hand. Only what it becomes is kept, in the file's buffer. */
struct block {
	uint64_t begin;    /* in the file */
	size_t preamble;   /* bytes that are left for it there */
	uint64_t position; /* of its first byte: bytes before it, uncompressed, and one */
	uint64_t key_end;  /* position of the end of the last key */
	unsigned shared;   /* bytes of the last key that are not in the block */
	uint32_t restarts[RESTARTS_MAX];
	unsigned restarts_count, entries;
};

struct index_sst {
	struct sst_file file;
	enum index_sst_kind kind;
	struct block block;
	uint64_t position;          /* where the next byte goes */
	struct entry_head heads[2]; /* of the last entry and of the one before, in turns */
	struct kept index;
	uint64_t entries_count, blocks_count, value_bytes;
};

/* --- blocks in the file ---------------------------------------------------------------------------------------------- */

/* What lies behind `offset`, and its trailer. */
static struct place place_end(struct index_sst *sst, uint64_t offset, enum compression compression)
{
	struct place place = { .offset = offset, .bytes = sst_at(&sst->file) - offset };
	const uint8_t kind = (uint8_t)compression;

	sst_append(&sst->file, &kind, sizeof(kind));
	sst_sum(&sst->file);
	uint32_t crc = (sst->file.crc >> 15 | sst->file.crc << 17) + MASK;
	sst_append(&sst->file, &crc, sizeof(crc));
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
		sst_fail(&sst->file, -ENOMEM);
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
	uint64_t offset = sst_at(&sst->file);
	const uint32_t count = (uint32_t)kept->count;

	sst_sum_begin(&sst->file);
	sst_append(&sst->file, kept->data, kept->bytes);
	sst_append(&sst->file, kept->restarts, kept->count * sizeof(*kept->restarts));
	sst_append(&sst->file, &count, sizeof(count));
	return place_end(sst, offset, COMPRESSION_NONE);
}

static void kept_free(struct kept *kept)
{
	free(kept->data);
	free(kept->restarts);
}

/* --- entries --------------------------------------------------------------------------------------------------------- */

/* Of a block of several entries nothing leaves the buffer before it ends: nothing becomes more than twice of what it is. */
#define ENCODED_MAX (2 * BLOCK_BYTES + INDEX_SST_ROOM)
_Static_assert(ENCODED_MAX <= SST_ROOM, "the file's buffer has room for it");
_Static_assert(BLOCK_BYTES <= INDEX_SNAPPY_DISTANCE, "copies reach as far");

static inline struct entry_head *head_last(struct index_sst *sst)
{
	return &sst->heads[sst->entries_count % 2];
}

/* Of an entry whose value has so many bytes. If that is large, there will be no other. */
static void block_begin(struct index_sst *sst, uint64_t bytes)
{
	uint8_t varint[VARINT_MAX];
	uint64_t alone = 2 + varint_put(varint, bytes) + sizeof(struct inner_key) + bytes + 2 * sizeof(uint32_t);
	struct block *block = &sst->block;
	uint8_t *to = sst_room(&sst->file, ENCODED_MAX);

	sst_sum_begin(&sst->file);
	block->begin = sst_at(&sst->file);
	block->preamble = (size_t)(index_snappy_preamble(to, (uint32_t)(alone < BLOCK_BYTES ? BLOCK_BYTES - 1 : alone)) - to);
	sst->file.used += block->preamble;
	block->position = sst->position;
}

/* Its length is put before it. What was left for that is too much if it has very few bytes. */
static void preamble_put(struct index_sst *sst)
{
	const struct block *block = &sst->block;
	uint64_t bytes = sst->position - block->position;
	uint8_t preamble[INDEX_SNAPPY_PREAMBLE];
	size_t n = (size_t)(index_snappy_preamble(preamble, (uint32_t)bytes) - preamble);

	if (bytes >= BLOCK_BYTES)
		return; /* there it is */
	size_t encoded = (size_t)(sst_at(&sst->file) - block->begin);
	uint8_t *begin = sst->file.buffer + sst->file.used - encoded;
	if (n < block->preamble) {
		memmove(begin + n, begin + block->preamble, encoded - block->preamble);
		sst->file.used -= block->preamble - n;
	}
	memcpy(begin, preamble, n);
}

static void block_end(struct index_sst *sst)
{
	struct block *block = &sst->block;
	uint32_t restarts[RESTARTS_MAX + 1 + INDEX_SNAPPY_SLACK / sizeof(uint32_t)];
	uint32_t count = block->restarts_count;
	size_t bytes = (count + 1) * sizeof(count);

	memcpy(restarts, block->restarts, count * sizeof(count));
	restarts[count] = count;
	uint8_t *to = index_sst_room(sst);
	index_sst_put(sst, index_snappy_literal(to, (const uint8_t *)restarts, bytes), bytes);
	preamble_put(sst);
	struct place place = place_end(sst, block->begin, COMPRESSION_SNAPPY);
	kept_add_place(sst, &sst->index, &head_last(sst)->key, sizeof(struct inner_key), &place);
	sst->blocks_count++;
	block->entries = block->restarts_count = 0;
}

/* Bytes of an entry's key and head that are the same as those of the entry before; `key_equal` are those of our keys. */
static uint64_t head_equal(const struct entry_head *head, const struct entry_head *last, uint64_t key_equal)
{
	uint64_t equal = key_equal | 255ull << sizeof(struct index_key); /* the kind is the same */

	if (head->value_bytes == last->value_bytes && !memcmp(head->value, last->value, sizeof(head->value)))
		equal |= ((1ull << head->value_bytes) - 1) << sizeof(struct inner_key);
	return equal;
}

/* An entry's lengths, the rest of its key, its head. `equal`: which bytes of these two are in the block as those of the entry before. */
static void head_put(struct index_sst *sst, const struct entry_head *entry, unsigned shared, uint64_t bytes, uint64_t equal)
{
	struct block *block = &sst->block;
	const uint8_t *head = (const uint8_t *)entry;
	unsigned done = shared, end = sizeof(struct inner_key) + (unsigned)entry->value_bytes;
	uint8_t *room = sst_room(&sst->file, INDEX_SST_ROOM), *tag = room, *to = tag + 1;

	*to++ = (uint8_t)shared;
	*to++ = (uint8_t)(sizeof(struct inner_key) - shared);
	to += varint_put(to, bytes);
	uint64_t key_end = sst->position + (uint64_t)(to - room) - 1 + sizeof(struct inner_key) - shared;
	uint64_t runs = index_snappy_runs(equal);
	while (done < end) {
		unsigned from = end, next = end;
		if (runs)
			next = index_snappy_run(equal, &runs, &from);
		if (!tag && done < from)
			tag = to++;
		memcpy(to, head + done, INDEX_SNAPPY_SLACK);
		if (from - done > INDEX_SNAPPY_SLACK)
			memcpy(to + INDEX_SNAPPY_SLACK, head + done + INDEX_SNAPPY_SLACK, INDEX_SNAPPY_SLACK);
		to += from - done;
		if (tag)
			*tag = (uint8_t)((to - tag - 2) << 2);
		if (from < next)
			to = index_snappy_copy(to, key_end - block->key_end, next - from);
		tag = NULL;
		done = next;
	}
	block->key_end = key_end;
	block->shared = shared;
	index_sst_put(sst, to, key_end - sst->position + entry->value_bytes);
}

void index_sst_begin(struct index_sst *sst, const struct index_key *key, uint64_t bytes, const void *value, size_t value_bytes)
{
	struct block *block = &sst->block;
	const struct entry_head *last = head_last(sst);

	if (block->entries && (sst->position - block->position + HEAD_MAX + bytes + sizeof(block->restarts) >= BLOCK_BYTES ||
				      block->restarts_count == RESTARTS_MAX))
		block_end(sst);
	if (block->entries == 0)
		block_begin(sst, bytes);
	uint64_t equal = index_snappy_equal((const uint8_t *)key, (const uint8_t *)&last->key, sizeof(*key)), there = 0;
	unsigned shared = 0;
	if (block->entries % RESTART == 0)
		block->restarts[block->restarts_count++] = (uint32_t)(sst->position - block->position);
	else
		shared = (unsigned)__builtin_ctzll(~equal);
	if (block->entries)
		there = ~0ull << (shared > block->shared ? shared : block->shared);
	sst->entries_count++;
	struct entry_head *head = head_last(sst);
	head->key = (struct inner_key){ .key = *key, .kind = sst->kind };
	head->value_bytes = value_bytes;
	if (value_bytes)
		memcpy(head->value, value, value_bytes);
	head_put(sst, head, shared, bytes, head_equal(head, last, equal) & there);
	block->entries++;
	sst->value_bytes += bytes;
}

uint64_t index_sst_position(const struct index_sst *sst, uint64_t *reach)
{
	*reach = sst->block.position;
	return sst->position;
}

uint8_t *index_sst_room(struct index_sst *sst)
{
	return sst_room(&sst->file, INDEX_SST_ROOM);
}

void index_sst_put(struct index_sst *sst, const uint8_t *end, size_t bytes)
{
	sst->file.used = (size_t)(end - sst->file.buffer);
	sst->position += bytes;
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
		{ "rocksdb.compression", "Snappy", 0, 0 },
		{ "rocksdb.data.size", NULL, 0, sst_at(&sst->file) },
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
	sst_append(&sst->file, footer, sizeof(footer));
}

int index_sst_finish(struct index_sst *sst)
{
	static const char properties_name[] = "rocksdb.properties";
	struct kept meta = { 0 };

	block_end(sst);
	struct place properties = properties_write(sst);
	kept_add_place(sst, &meta, properties_name, strlen(properties_name), &properties);
	struct place meta_place = kept_write(sst, &meta), index_place = kept_write(sst, &sst->index);
	kept_free(&meta);
	footer_write(sst, &meta_place, &index_place);
	return sst_end(&sst->file);
}

bool index_sst_reserve(struct index_sst *sst, uint64_t bytes)
{
	return sst_reserve(&sst->file, bytes);
}

int index_sst_error(const struct index_sst *sst)
{
	return sst->file.error;
}

/* --- create and destroy ---------------------------------------------------------------------------------------------- */

int index_sst_create(const char *path, enum index_sst_kind kind, struct index_sst **sst)
{
	struct index_sst *made = calloc(1, sizeof(*made));

	if (!made)
		return -ENOMEM;
	made->kind = kind;
	made->position = 1;
	int error = sst_open(&made->file, path);
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
	sst_close(&sst->file);
	kept_free(&sst->index);
	free(sst);
}
