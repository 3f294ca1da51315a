#include "cutoff_table.h"

#include <errno.h>
#include <stdlib.h>

#include "arena.h"
#include "cutoff.bpf.h"

/*
 * Open addressing within eight places. A flow that finds none is not cut off: its packets go on, so its totals stay right. A place is
 * free again when its flow has been silent for the idle timeout, unless it was cut off: its record may be yet to be written. That
 * depends on nothing but the packets, so all lanes do the same.
 */
#define PLACES      (1u << 21)
#define PROBES      8
#define TCP_RST_FIN 0x05

struct place {
	struct cutoff_key key; /* ip_version 0: free */
	uint64_t seen_bytes;
	uint64_t last_ns;
	struct cutoff_counts counts;
	struct cutoff_counts before; /* of the flow before it under this key, whose record is yet to be written */
	bool cut;                    /* it has had its bytes */
	bool over;                   /* FIN or RST was seen: a SYN begins another connection */
	uint8_t unused[6];
};
_Static_assert(sizeof(struct place) == 192, "three lines");

struct cutoff_table {
	struct place *places;
	uint64_t cutoff_bytes, idle_ns;
	bool key_vlan;
};

int cutoff_table_create(uint64_t cutoff_bytes, uint64_t idle_ns, bool key_vlan, struct cutoff_table **result)
{
	struct cutoff_table *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	*table = (struct cutoff_table){ .cutoff_bytes = cutoff_bytes, .idle_ns = idle_ns, .key_vlan = key_vlan };
	table->places = arena_map((size_t)PLACES * sizeof(struct place));
	if (!table->places) {
		cutoff_table_destroy(table);
		return -ENOMEM;
	}
	*result = table;
	return 0;
}

void cutoff_table_destroy(struct cutoff_table *table)
{
	if (!table)
		return;
	arena_unmap(table->places, (size_t)PLACES * sizeof(struct place));
	free(table);
}

#include "poison.h"

static uint32_t key_place(const struct cutoff_key *key)
{
	uint64_t words[5], hash = 0;

	memcpy(words, key, sizeof(words));
	for (unsigned i = 0; i < 5; i++) {
		hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15u;
		hash ^= hash >> 32;
	}
	return (uint32_t)hash & (PLACES - 1);
}

static bool is_over(const struct cutoff_table *table, const struct place *place, uint64_t now_ns)
{
	return now_ns > place->last_ns && now_ns - place->last_ns > table->idle_ns;
}

static struct place *place_find(const struct cutoff_table *table, const struct cutoff_key *key)
{
	uint32_t first = key_place(key);

	for (uint32_t i = 0; i < PROBES; i++) {
		struct place *place = &table->places[(first + i) & (PLACES - 1)];
		if (memcmp(&place->key, key, sizeof(*key)) == 0)
			return place;
	}
	return NULL;
}

/* NULL: no room. */
static struct place *place_make(const struct cutoff_table *table, const struct cutoff_key *key, uint64_t now_ns)
{
	uint32_t first = key_place(key);

	for (uint32_t i = 0; i < PROBES; i++) {
		struct place *place = &table->places[(first + i) & (PLACES - 1)];
		if (place->key.ip_version && (place->cut || !is_over(table, place, now_ns)))
			continue;
		memset(place, 0, sizeof(*place));
		place->key = *key;
		place->last_ns = now_ns;
		return place;
	}
	return NULL;
}

static bool has_packets(const struct cutoff_counts *counts)
{
	return counts->packets[0] || counts->packets[1];
}

/*
 * A new flow under an old key has its bytes again. What was counted of the old one is put aside until that one's record is written: a
 * batch is selected as a whole before the flow table sees its first packet.
 */
static void place_begin(struct place *place)
{
	struct cutoff_counts *before = &place->before;

	for (unsigned dir = 0; dir < 2; dir++) {
		before->packets[dir] += place->counts.packets[dir];
		before->bytes[dir] += place->counts.bytes[dir];
		before->l3_bytes[dir] += place->counts.l3_bytes[dir];
		if (place->counts.last_ns[dir] > before->last_ns[dir])
			before->last_ns[dir] = place->counts.last_ns[dir];
	}
	memset(&place->counts, 0, sizeof(place->counts));
	place->seen_bytes = 0;
	place->cut = false;
	place->over = false;
}

bool cutoff_table_cuts(struct cutoff_table *table, const struct frame *frame)
{
	struct cutoff_packet packet;

	if (frame->link != LINK_ETHERNET || frame->vlan_tpid ||
		!cutoff_parse(&packet, frame->data, frame->data + frame->cap_len, frame->wire_len, table->key_vlan))
		return false;
	struct place *place = place_find(table, &packet.key);
	if (!place)
		place = place_make(table, &packet.key, frame->ts_ns);
	if (!place)
		return false;
	bool syn = (packet.tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	if (is_over(table, place, frame->ts_ns) || (syn && place->over))
		place_begin(place);
	place->last_ns = frame->ts_ns > place->last_ns ? frame->ts_ns : place->last_ns;
	place->over |= (packet.tcp_flags & TCP_RST_FIN) != 0;
	if (packet.tcp_flags & CUTOFF_TCP_FLAGS || !place->cut) {
		place->seen_bytes += frame->wire_len;
		place->cut |= place->seen_bytes >= table->cutoff_bytes && !(packet.tcp_flags & CUTOFF_TCP_FLAGS);
		return false;
	}
	place->counts.packets[packet.dir]++;
	place->counts.bytes[packet.dir] += frame->wire_len;
	place->counts.l3_bytes[packet.dir] += packet.l3_len;
	if (frame->ts_ns > place->counts.last_ns[packet.dir])
		place->counts.last_ns[packet.dir] = frame->ts_ns;
	return true;
}

bool cutoff_table_get(void *context, const struct flow_key *key, bool take, struct cutoff_counts *counts)
{
	struct cutoff_key cut = cutoff_key_of(key);
	struct place *place = key->tunnel ? NULL : place_find(context, &cut);

	if (!place)
		return false;
	struct cutoff_counts *found = has_packets(&place->before) ? &place->before : &place->counts;
	if (!has_packets(found))
		return false;
	*counts = *found;
	if (take)
		memset(found, 0, sizeof(*found));
	return true;
}
