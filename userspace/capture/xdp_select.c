/* What the XDP program selects by: rules, sample, cutoff. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "cutoff.bpf.h"
#include "rules.h"
#include "xdp_private.h"

#define CUTOFF_SEEN_MAX  262144 /* flows whose bytes are counted until they are cut off: 30 MB of kernel memory */
#define CUTOFF_FLOWS_MAX 65536  /* flows cut off at a time */

static struct bpf_map *rules_trie(const struct xdp *xdp, unsigned slot)
{
	struct bpf_map *const tries[] = { xdp->skeleton->maps.rules_trie_0, xdp->skeleton->maps.rules_trie_1,
		xdp->skeleton->maps.rules_trie_2, xdp->skeleton->maps.rules_trie_3, xdp->skeleton->maps.rules_trie_4,
		xdp->skeleton->maps.rules_trie_5, xdp->skeleton->maps.rules_trie_6, xdp->skeleton->maps.rules_trie_7 };
	_Static_assert(sizeof(tries) == RULES_SLOTS * sizeof(tries[0]), "a map per slot");

	return tries[slot];
}

int xdp_select_configure(struct xdp *xdp, const struct xdp_load_options *options)
{
	struct flowlane_bpf *skeleton = xdp->skeleton;
	uint32_t seen = options->max_flows < CUTOFF_SEEN_MAX ? options->max_flows : CUTOFF_SEEN_MAX;
	int err = 0;

	skeleton->rodata->config.rules = options->rules != NULL;
	skeleton->rodata->config.samples = options->sample != 0;
	skeleton->rodata->config.key_vlan = options->key_vlan;
	skeleton->rodata->config.cutoff_bytes = options->cutoff_bytes;
	skeleton->rodata->config.snaplen = options->snaplen;
	for (unsigned slot = 0; slot < RULES_SLOTS && !err; slot++)
		err = bpf_map__set_autocreate(rules_trie(xdp, slot), options->rules != NULL);
	if (!err)
		err = bpf_map__set_autocreate(skeleton->maps.rules_tries, options->rules != NULL);
	if (!err)
		err = bpf_map__set_autocreate(skeleton->maps.rules_tables, options->rules != NULL);
	if (!err)
		err = bpf_map__set_autocreate(skeleton->maps.cutoff_seen, options->cutoff_bytes != 0);
	if (!err)
		err = bpf_map__set_autocreate(skeleton->maps.cutoff_flows, options->cutoff_bytes != 0);
	if (!err)
		err = bpf_map__set_max_entries(skeleton->maps.cutoff_seen, seen < 1024 ? 1024 : seen);
	if (!err)
		err = bpf_map__set_max_entries(skeleton->maps.cutoff_flows, CUTOFF_FLOWS_MAX);
	return err;
}

int xdp_select_start(struct xdp *xdp, const struct xdp_load_options *options)
{
	int err = 0;

	if (options->sample)
		xdp_set_sample(xdp, options->sample);
	if (options->rules)
		err = xdp_rules_prepare(xdp, options->rules);
	if (options->rules && !err)
		xdp_rules_commit(xdp);
	return err;
}

void xdp_select_free(struct xdp *xdp)
{
	for (unsigned slot = 0; slot < RULES_SLOTS; slot++)
		free(xdp->slot[slot].prefixes);
}

void xdp_set_sample(struct xdp *xdp, uint32_t sample)
{
	__atomic_store_n(&xdp->skeleton->data->state.sample, sample, __ATOMIC_RELEASE);
}

/* --- rules ------------------------------------------------------------------------------------------------------------- */

/*
 * A set is written into the slot behind the one in force, while nobody looks at it, and then the number of that slot into the program's
 * state: one store. A slot is taken again eight changes later. A CPU could still be at a frame for which it read the old number, so
 * between a slot's last change and its next all programs have to have ended once: waiting once in seven changes is enough.
 */
static unsigned rules_next_slot(const struct xdp *xdp)
{
	return (xdp->skeleton->data->state.rules_slot + 1) % RULES_SLOTS;
}

static void slot_clear(struct xdp *xdp, unsigned number)
{
	struct xdp_rules_slot *slot = &xdp->slot[number];
	int trie = bpf_map__fd(rules_trie(xdp, number));

	while (slot->count)
		bpf_map_delete_elem(trie, &slot->prefixes[--slot->count]);
}

static int slot_fill(struct xdp *xdp, unsigned number, const struct rules_set *set)
{
	struct xdp_rules_slot *slot = &xdp->slot[number];
	int trie = bpf_map__fd(rules_trie(xdp, number));

	if (slot->room < set->entries) {
		struct rules_prefix *prefixes = realloc(slot->prefixes, set->entries * sizeof(*prefixes));
		if (!prefixes)
			return -ENOMEM;
		slot->prefixes = prefixes;
		slot->room = set->entries;
	}
	while (slot->count < set->entries) {
		const struct rules_entry *entry = &set->entry[slot->count];
		if (bpf_map_update_elem(trie, &entry->prefix, &entry->address, BPF_ANY))
			return -errno;
		slot->prefixes[slot->count++] = entry->prefix;
	}
	return bpf_map_update_elem(bpf_map__fd(xdp->skeleton->maps.rules_tables), &number, &set->tables, BPF_ANY) ? -errno : 0;
}

int xdp_rules_prepare(struct xdp *xdp, const struct rules_set *set)
{
	uint32_t slot = rules_next_slot(xdp);

	if ((xdp->rules_changes + 1) % (RULES_SLOTS - 1) == 0)
		xdp_wait_for_program();
	slot_clear(xdp, slot);
	return slot_fill(xdp, slot, set);
}

void xdp_rules_commit(struct xdp *xdp)
{
	xdp->rules_changes++;
	__atomic_store_n(&xdp->skeleton->data->state.rules_slot, rules_next_slot(xdp), __ATOMIC_RELEASE);
}

/* --- cutoff ------------------------------------------------------------------------------------------------------------ */

/* Taking away is one step where the kernel has it for such maps (Linux 5.14). */
static int cutoff_lookup(int map, const struct cutoff_key *key, bool take, struct cutoff_counts *per_cpu)
{
	if (take && !bpf_map_lookup_and_delete_elem(map, key, per_cpu))
		return 0;
	if (take && errno == ENOENT)
		return -ENOENT;
	if (bpf_map_lookup_elem(map, key, per_cpu))
		return -errno;
	if (take)
		bpf_map_delete_elem(map, key);
	return 0;
}

unsigned xdp_cpus(const struct xdp *xdp)
{
	return xdp->cpus;
}

bool xdp_cutoff_get(
	const struct xdp *xdp, const struct cutoff_key *key, bool take, struct cutoff_counts *per_cpu, struct cutoff_counts *counts)
{
	uint32_t *mark = &xdp->skeleton->bss->cutoff_marks[cutoff_hash(key) & (CUTOFF_MARKS - 1)];

	if (!__atomic_load_n(mark, __ATOMIC_RELAXED))
		return false;
	if (cutoff_lookup(bpf_map__fd(xdp->skeleton->maps.cutoff_flows), key, take, per_cpu))
		return false;
	if (take)
		__atomic_fetch_sub(mark, 1, __ATOMIC_RELAXED);
	memset(counts, 0, sizeof(*counts));
	for (unsigned cpu = 0; cpu < xdp->cpus; cpu++) {
		for (unsigned dir = 0; dir < 2; dir++) {
			counts->packets[dir] += per_cpu[cpu].packets[dir];
			counts->bytes[dir] += per_cpu[cpu].bytes[dir];
			counts->l3_bytes[dir] += per_cpu[cpu].l3_bytes[dir];
			if (per_cpu[cpu].last_ns[dir] > counts->last_ns[dir])
				counts->last_ns[dir] = per_cpu[cpu].last_ns[dir];
		}
	}
	return counts->packets[0] + counts->packets[1] != 0;
}
