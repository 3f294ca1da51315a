#include "attempts.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"

#define NONE UINT32_MAX

struct attempts {
	uint32_t capacity;
	uint64_t grace_ns;
	attempts_failed_fn *on_failed;
	void *context;
	uint64_t *due_ns; /* the oldest has failed then; UINT64_MAX: there is none */
	uint32_t *heads;  /* [2 * capacity], slot + 1 */
	struct attempt *slots;
	uint32_t fresh, free_list; /* linked through `after` */
	uint32_t oldest, newest;
	uint64_t missed;
};

uint64_t attempts_bytes(uint32_t capacity)
{
	return (uint64_t)capacity * (2 * sizeof(uint32_t) + sizeof(struct attempt));
}

int attempts_create(uint32_t capacity, uint64_t grace_ns, attempts_failed_fn *on_failed, void *context, uint64_t *due_ns,
	struct attempts **result)
{
	struct attempts *attempts = calloc(1, sizeof(*attempts));

	if (!attempts)
		return -ENOMEM;
	*attempts = (struct attempts){ .capacity = capacity,
		.grace_ns = grace_ns,
		.on_failed = on_failed,
		.context = context,
		.due_ns = due_ns,
		.free_list = NONE,
		.oldest = NONE,
		.newest = NONE };
	attempts->heads = arena_map((size_t)capacity * 2 * sizeof(uint32_t));
	attempts->slots = arena_map(capacity * sizeof(struct attempt));
	if (!attempts->heads || !attempts->slots) {
		attempts_destroy(attempts);
		return -ENOMEM;
	}
	*due_ns = UINT64_MAX;
	*result = attempts;
	return 0;
}

void attempts_destroy(struct attempts *attempts)
{
	if (!attempts)
		return;
	arena_unmap(attempts->heads, (size_t)attempts->capacity * 2 * sizeof(uint32_t));
	arena_unmap(attempts->slots, attempts->capacity * sizeof(struct attempt));
	free(attempts);
}

uint64_t attempts_missed(const struct attempts *attempts)
{
	return attempts->missed;
}

#include "poison.h"

static uint32_t *attempts_head(const struct attempts *attempts, uint64_t flow)
{
	return &attempts->heads[(flow >> 24) & (attempts->capacity * 2 - 1)];
}

void attempts_prefetch(const struct attempts *attempts, uint64_t flow)
{
	__builtin_prefetch(attempts_head(attempts, flow));
}

bool attempts_full(const struct attempts *attempts)
{
	return attempts->free_list == NONE && attempts->fresh == attempts->capacity;
}

void attempts_prefetch_slot(const struct attempts *attempts, uint64_t flow)
{
	uint32_t slot = *attempts_head(attempts, flow);

	if (!slot)
		return;
	__builtin_prefetch(&attempts->slots[slot - 1], 1);
	__builtin_prefetch((const char *)(&attempts->slots[slot - 1] + 1) - 1, 1);
}

static uint32_t attempts_find(const struct attempts *attempts, uint64_t flow)
{
	uint32_t at = *attempts_head(attempts, flow);

	while (at && attempts->slots[at - 1].flow != flow)
		at = attempts->slots[at - 1].chain;
	return at ? at - 1 : NONE;
}

/* To be called when another one is the oldest, or has become a failed one. */
static void attempts_set_due(struct attempts *attempts)
{
	*attempts->due_ns = UINT64_MAX;
	if (attempts->oldest == NONE)
		return;
	const struct attempt *oldest = &attempts->slots[attempts->oldest];
	if (oldest->rejected)
		*attempts->due_ns = 0;
	else if (__builtin_add_overflow(oldest->now_ns, attempts->grace_ns + 1, attempts->due_ns))
		*attempts->due_ns = UINT64_MAX;
}

static void attempts_remove(struct attempts *attempts, uint32_t slot)
{
	struct attempt *attempt = &attempts->slots[slot];
	uint32_t *link = attempts_head(attempts, attempt->flow);

	while (*link != slot + 1)
		link = &attempts->slots[*link - 1].chain;
	*link = attempt->chain;
	*(attempt->before == NONE ? &attempts->oldest : &attempts->slots[attempt->before].after) = attempt->after;
	*(attempt->after == NONE ? &attempts->newest : &attempts->slots[attempt->after].before) = attempt->before;
	if (attempt->before == NONE)
		attempts_set_due(attempts);
	attempt->after = attempts->free_list;
	attempts->free_list = slot;
}

static uint32_t attempts_take(struct attempts *attempts)
{
	uint32_t slot = attempts->free_list;

	if (slot != NONE)
		attempts->free_list = attempts->slots[slot].after;
	else if (attempts->fresh < attempts->capacity)
		slot = attempts->fresh++;
	return slot;
}

static __attribute__((noinline)) void attempts_add_new(
	struct attempts *attempts, const struct anomaly_event *event, uint64_t now_ns)
{
	uint32_t slot = attempts_find(attempts, event->flow);
	if (slot != NONE) {
		if (memcmp(attempts->slots[slot].src, event->src, sizeof(event->src)) != 0)
			attempts_remove(attempts, slot);
		return;
	}
	slot = attempts_take(attempts);
	struct attempt *attempt = &attempts->slots[slot];
	uint32_t *head = attempts_head(attempts, event->flow);
	*attempt = (struct attempt){ .ts_ns = event->ts_ns,
		.now_ns = now_ns,
		.flow = event->flow,
		.port = event->port,
		.proto = event->proto,
		.ip_version = event->ip_version,
		.chain = *head,
		.before = attempts->newest,
		.after = NONE };
	memcpy(attempt->src, event->src, sizeof(attempt->src));
	memcpy(attempt->dst, event->dst, sizeof(attempt->dst));
	*head = slot + 1;
	*(attempts->newest == NONE ? &attempts->oldest : &attempts->slots[attempts->newest].after) = slot;
	attempts->newest = slot;
	if (attempt->before == NONE)
		attempts_set_due(attempts);
}

/* When it is full, nothing is looked up: a flood must not cost more than a packet does. */
void attempts_add(struct attempts *attempts, const struct anomaly_event *event, uint64_t now_ns)
{
	if (attempts_full(attempts))
		attempts->missed++;
	else
		attempts_add_new(attempts, event, now_ns);
}

void attempts_miss(struct attempts *attempts, unsigned n)
{
	attempts->missed += n;
}

void attempts_answer(struct attempts *attempts, uint64_t flow)
{
	uint32_t slot = attempts_find(attempts, flow);

	if (slot != NONE)
		attempts_remove(attempts, slot);
}

void attempts_reject(struct attempts *attempts, uint64_t flow)
{
	uint32_t slot = attempts_find(attempts, flow);

	if (slot == NONE)
		return;
	attempts->slots[slot].rejected = 1;
	if (slot == attempts->oldest)
		attempts_set_due(attempts);
}

/* Takes out the oldest, if it has failed by now. */
static bool attempts_take_failed(struct attempts *attempts, uint64_t now_ns, bool all, struct attempt *failed)
{
	uint32_t slot = attempts->oldest;

	if (slot == NONE)
		return false;
	const struct attempt *oldest = &attempts->slots[slot];
	if (!all && !oldest->rejected && now_ns - oldest->now_ns <= attempts->grace_ns)
		return false;
	*failed = *oldest;
	attempts_remove(attempts, slot);
	if (attempts->oldest != NONE)
		__builtin_prefetch(attempts_head(attempts, attempts->slots[attempts->oldest].flow), 1);
	return true;
}

static void attempts_fail(struct attempts *attempts, uint64_t now_ns, bool all)
{
	struct attempt failed[ATTEMPTS_FAILED];
	unsigned n;

	do {
		for (n = 0; n < ATTEMPTS_FAILED && attempts_take_failed(attempts, now_ns, all, &failed[n]); n++)
			;
		if (n)
			attempts->on_failed(attempts->context, failed, n);
	} while (n == ATTEMPTS_FAILED);
}

void attempts_advance(struct attempts *attempts, uint64_t now_ns)
{
	attempts_fail(attempts, now_ns, false);
}

void attempts_flush(struct attempts *attempts)
{
	attempts_fail(attempts, 0, true);
}
