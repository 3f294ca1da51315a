/*
 * Writes one sorted file of an index ("static sorted table", SST) in the format that RocksDB calls block-based table, version 2, as its
 * readers since 2016 know it, with Snappy. RocksDB's own SstFileWriter makes the same, but copies each value three times, searches for what
 * could be the same, and, as distributions build it, has a CRC-32C without the CPU's help. Here values are compressed as they are
 * made: index_pack.h.
 *
 *   | block | block | ...                 entries: | shared 1 | rest of the key | bytes of the value | key ... | value ... |, ~16 KiB
 *   | properties | meta index | index     of those blocks: the last key of each and where it is
 *   | footer 53                           where meta index and index are, "version 2", the magic number
 *
 * One thread. Errors (disk full) are not logged, for several files are written at once; what comes behind the first is not written.
 */
#ifndef FLOWLANE_INDEX_SST_H
#define FLOWLANE_INDEX_SST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index_format.h"

struct index_sst;

/* RocksDB's numbers for kinds of entries. */
enum index_sst_kind {
	INDEX_SST_VALUE = 1, /* is the value of its key */
	INDEX_SST_MERGE = 2, /* is to be merged with what there is */
};

/* All entries of a file are of one kind. 0 or a negative errno. */
int index_sst_create(const char *path, enum index_sst_kind kind, struct index_sst **sst);

/* An entry, whose key is greater than the one before. Its value, of `bytes`, begins with the head; the rest is put behind it by who knows
 * how it becomes small. */
#define INDEX_SST_HEAD 4 /* bytes at most */
void index_sst_begin(struct index_sst *sst, const struct index_key *key, uint64_t bytes, const void *head, size_t head_bytes);
/* How many bytes lie before the next one, uncompressed, and one. What lies before `reach`, copies cannot reach. */
uint64_t index_sst_position(const struct index_sst *sst, uint64_t *reach);
/* Where elements of Snappy are to be put before the next call, at most INDEX_SST_ROOM bytes, that copy nothing but values. */
#define INDEX_SST_ROOM ((size_t)8 << 10)
uint8_t *index_sst_room(struct index_sst *sst);
/* They were put up to `end`, and stand for so many bytes of the value; they are at most twice as many. */
void index_sst_put(struct index_sst *sst, const uint8_t *end, size_t bytes);

/* Asks for room on the disk for a file of `bytes`, a piece of it in each call, which takes half a millisecond: for making room is most
 * of what writing costs, and may be done before. What is not used in the end is given back. True: there is more to do. False: there is
 * not, or the disk cannot. */
bool index_sst_reserve(struct index_sst *sst, uint64_t bytes);

int index_sst_error(const struct index_sst *sst); /* the first; 0: none so far */
/* Ends the file, which has an entry at least. 0 or the first error. */
int index_sst_finish(struct index_sst *sst);
void index_sst_destroy(struct index_sst *sst); /* accepts NULL; the file stays */

#endif
