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
	uint32_t round; /* in which a packet was let pass that may begin another flow */
	bool cut;       /* it has had its bytes */
	bool over;      /* FIN or RST was seen: a SYN begins another connection */
	uint8_t unused[2];
};
_Static_assert(sizeof(struct place) == 128, "two lines");

struct cutoff_table {
	struct place *places;
	uint64_t cutoff_bytes, idle_ns;
	uint64_t newest_ns; /* of all frames: what the lane's timers go by */
	uint32_t round;
	bool key_vlan;
};

int cutoff_table_create(uint64_t cutoff_bytes, uint64_t idle_ns, bool key_vlan, struct cutoff_table **result)
{
	struct cutoff_table *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	*table = (struct cutoff_table){ .cutoff_bytes = cutoff_bytes, .idle_ns = idle_ns, .round = 1, .key_vlan = key_vlan };
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
	return cutoff_hash(key) & (PLACES - 1);
}

/* The flow may be over: by its own silence, or because the lane's time moved on with other packets, and maybe came back. */
static bool is_over(const struct cutoff_table *table, const struct place *place)
{
	return table->newest_ns > place->last_ns && table->newest_ns - place->last_ns > table->idle_ns;
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
		if (place->key.ip_version && (place->cut || !is_over(table, place)))
			continue;
		memset(place, 0, sizeof(*place));
		place->key = *key;
		place->last_ns = now_ns;
		place->round = table->round;
		return place;
	}
	return NULL;
}

/* What was counted stays: it is the old flow's until the flow table has seen the packet that begins the new one. */
static void place_begin(struct place *place)
{
	place->seen_bytes = 0;
	place->cut = false;
	place->over = false;
}

/* A packet that is let pass. */
static void place_pass(struct place *place, const struct cutoff_table *table, const struct cutoff_packet *packet, uint32_t bytes)
{
	place->seen_bytes += bytes;
	place->over |= (packet->tcp_flags & TCP_RST_FIN) != 0;
	place->cut |= place->seen_bytes >= table->cutoff_bytes && !(packet->tcp_flags & CUTOFF_TCP_FLAGS);
}

static void place_count(struct place *place, const struct cutoff_packet *packet, const struct frame *frame)
{
	struct cutoff_counts *counts = &place->counts;

	counts->packets[packet->dir]++;
	counts->bytes[packet->dir] += frame->wire_len;
	counts->l3_bytes[packet->dir] += packet->l3_len;
	if (frame->ts_ns > counts->last_ns[packet->dir])
		counts->last_ns[packet->dir] = frame->ts_ns;
}

enum cutoff_verdict cutoff_table_look(struct cutoff_table *table, const struct frame *frame)
{
	struct cutoff_packet packet;

	if (frame->ts_ns > table->newest_ns)
		table->newest_ns = frame->ts_ns;
	if (frame->link != LINK_ETHERNET || frame->vlan_tpid ||
		!cutoff_parse(&packet, frame->data, frame->data + frame->cap_len, frame->wire_len, table->key_vlan))
		return CUTOFF_PASS;
	struct place *place = place_find(table, &packet.key);
	if (!place)
		place = place_make(table, &packet.key, frame->ts_ns);
	if (!place)
		return CUTOFF_PASS;
	bool syn = packet.tcp_flags & TCP_SYN, again = is_over(table, place);
	if (again || (syn && place->over))
		place_begin(place);
	if (again || syn)
		place->round = table->round;
	/* One that is older than those before may be the flow's first. */
	bool cuts = place->cut && !(packet.tcp_flags & CUTOFF_TCP_FLAGS) && frame->ts_ns >= place->last_ns;
	if (cuts && place->round == table->round)
		return CUTOFF_LATER;
	place->last_ns = frame->ts_ns > place->last_ns ? frame->ts_ns : place->last_ns;
	if (cuts)
		place_count(place, &packet, frame);
	else
		place_pass(place, table, &packet, frame->wire_len);
	return cuts ? CUTOFF_COUNTED : CUTOFF_PASS;
}

void cutoff_table_round(struct cutoff_table *table)
{
	table->round++;
}

bool cutoff_table_get(void *context, const struct flow_key *key, bool take, struct cutoff_counts *counts)
{
	struct cutoff_key cut = cutoff_key_of(key);
	struct place *place = key->tunnel ? NULL : place_find(context, &cut);

	if (!place)
		return false;
	struct cutoff_counts *found = &place->counts;
	if (!found->packets[0] && !found->packets[1])
		return false;
	*counts = *found;
	if (take)
		memset(found, 0, sizeof(*found));
	return true;
}
