#include "index_merge.h"

#include <stdlib.h>
#include <string.h>

#include "index_format.h"

/* --- flows ----------------------------------------------------------------------------------------------------------- */

static void value_add(struct index_flow *sum, const char *value, size_t bytes)
{
	struct index_flow flow;

	if (bytes != sizeof(flow))
		return; /* not ours: it cannot be added */
	memcpy(&flow, value, sizeof(flow));
	index_flow_add(sum, &flow);
}

static char *flows_sum(const char *old, size_t old_bytes, const char *const *values, const size_t *bytes, int n,
	unsigned char *success, size_t *sum_bytes)
{
	struct index_flow sum = { 0 };
	char *made = malloc(sizeof(sum));

	*success = made != NULL;
	if (!made)
		return NULL;
	if (old)
		value_add(&sum, old, old_bytes);
	for (int i = 0; i < n; i++)
		value_add(&sum, values[i], bytes[i]);
	memcpy(made, &sum, sizeof(sum));
	*sum_bytes = sizeof(sum);
	return made;
}

/* --- packets --------------------------------------------------------------------------------------------------------- */

static size_t packets_bytes(const char *value, size_t bytes)
{
	return value && bytes > INDEX_COUNT_BYTES ? bytes - INDEX_COUNT_BYTES : 0;
}

/* What does not fit any more is left out: better a value that ends early than a database that cannot be compacted. */
static size_t packets_copy(char *to, size_t at, const char *value, size_t bytes)
{
	const size_t most = (size_t)INDEX_COUNT_MAX * sizeof(struct index_packet);
	size_t more = packets_bytes(value, bytes);

	more = more < most - at ? more : most - at;
	if (more)
		memcpy(to + INDEX_COUNT_BYTES + at, value + INDEX_COUNT_BYTES, more);
	return at + more;
}

static char *packets_join(const char *old, size_t old_bytes, const char *const *values, const size_t *bytes, int n,
	unsigned char *success, size_t *joined_bytes)
{
	size_t room = packets_bytes(old, old_bytes), at = 0;

	for (int i = 0; i < n; i++)
		room += packets_bytes(values[i], bytes[i]);
	char *made = malloc(INDEX_COUNT_BYTES + room);
	*success = made != NULL;
	if (!made)
		return NULL;
	at = packets_copy(made, at, old, old_bytes);
	for (int i = 0; i < n; i++)
		at = packets_copy(made, at, values[i], bytes[i]);
	int32_t count = (int32_t)(at / sizeof(struct index_packet));
	memcpy(made, &count, sizeof(count));
	*joined_bytes = INDEX_COUNT_BYTES + at;
	return made;
}

/* --- as RocksDB calls them -------------------------------------------------------------------------------------------- */

static char *flows_full(void *state, const char *key, size_t key_bytes, const char *old, size_t old_bytes,
	const char *const *values, const size_t *bytes, int n, unsigned char *success, size_t *made_bytes)
{
	(void)state, (void)key, (void)key_bytes;
	return flows_sum(old, old_bytes, values, bytes, n, success, made_bytes);
}

static char *flows_partial(void *state, const char *key, size_t key_bytes, const char *const *values, const size_t *bytes, int n,
	unsigned char *success, size_t *made_bytes)
{
	(void)state, (void)key, (void)key_bytes;
	return flows_sum(NULL, 0, values, bytes, n, success, made_bytes);
}

static char *packets_full(void *state, const char *key, size_t key_bytes, const char *old, size_t old_bytes,
	const char *const *values, const size_t *bytes, int n, unsigned char *success, size_t *made_bytes)
{
	(void)state, (void)key, (void)key_bytes;
	return packets_join(old, old_bytes, values, bytes, n, success, made_bytes);
}

static char *packets_partial(void *state, const char *key, size_t key_bytes, const char *const *values, const size_t *bytes, int n,
	unsigned char *success, size_t *made_bytes)
{
	(void)state, (void)key, (void)key_bytes;
	return packets_join(NULL, 0, values, bytes, n, success, made_bytes);
}

static void value_free(void *state, const char *value, size_t bytes)
{
	(void)state, (void)bytes;
	free((void *)value);
}

static void state_free(void *state)
{
	(void)state;
}

static const char *flows_name(void *state)
{
	(void)state;
	return "flowlane.flows";
}

static const char *packets_name(void *state)
{
	(void)state;
	return "flowlane.packets";
}

rocksdb_mergeoperator_t *index_merge_flows(void)
{
	return rocksdb_mergeoperator_create(NULL, state_free, flows_full, flows_partial, value_free, flows_name);
}

rocksdb_mergeoperator_t *index_merge_packets(void)
{
	return rocksdb_mergeoperator_create(NULL, state_free, packets_full, packets_partial, value_free, packets_name);
}
