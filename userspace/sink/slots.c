#include "slots.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define LANES_MAX 64
#define OPEN_MAX  8 /* a lane that is so many slots behind the others keeps them from opening more: it has stopped */

#define NOWHERE UINT64_MAX /* has left */

struct slot {
	uint64_t start_s;
	void *file; /* NULL: could not be opened */
};

struct slots {
	uint64_t interval_s;
	const struct slots_ops *ops;
	void *owner;
	pthread_mutex_t lock;
	unsigned lanes;
	uint64_t at_s[LANES_MAX]; /* each lane's slot; 0: none yet */
	unsigned open;
	struct slot slot[OPEN_MAX]; /* ascending */
};

struct slots *slots_create(uint64_t interval_s, const struct slots_ops *ops, void *owner)
{
	struct slots *slots = calloc(1, sizeof(*slots));

	if (!slots)
		return NULL;
	slots->interval_s = interval_s;
	slots->ops = ops;
	slots->owner = owner;
	pthread_mutex_init(&slots->lock, NULL);
	return slots;
}

unsigned slots_join(struct slots *slots)
{
	return slots->lanes++;
}

static void slots_close_first(struct slots *slots, bool complete)
{
	if (slots->slot[0].file)
		slots->ops->close(slots->owner, slots->slot[0].file, complete);
	slots->open--;
	for (unsigned i = 0; i < slots->open; i++)
		slots->slot[i] = slots->slot[i + 1];
}

/* Closes those that all lanes have left behind. */
static void slots_close_past(struct slots *slots)
{
	uint64_t first_s = NOWHERE;

	for (unsigned i = 0; i < slots->lanes; i++)
		first_s = slots->at_s[i] < first_s ? slots->at_s[i] : first_s;
	while (slots->open && slots->slot[0].start_s < first_s)
		slots_close_first(slots, true);
}

/* The slot, or the first later one that is open when there is no room for another: where the lane is now. */
static struct slot *slots_find(struct slots *slots, uint64_t start_s)
{
	unsigned i = 0;

	while (i < slots->open && slots->slot[i].start_s < start_s)
		i++;
	if (i < slots->open && slots->slot[i].start_s == start_s)
		return &slots->slot[i];
	if (slots->open == OPEN_MAX)
		return &slots->slot[i < OPEN_MAX ? i : OPEN_MAX - 1];
	for (unsigned k = slots->open; k > i; k--)
		slots->slot[k] = slots->slot[k - 1];
	slots->slot[i] = (struct slot){ .start_s = start_s };
	slots->open++;
	return &slots->slot[i];
}

uint64_t slots_enter(struct slots *slots, unsigned lane, uint64_t start_s, void **file)
{
	pthread_mutex_lock(&slots->lock);
	if (start_s < slots->at_s[lane])
		start_s = slots->at_s[lane];
	/* First out, then in: a lane alone has one slot open. */
	slots->at_s[lane] = start_s;
	slots_close_past(slots);
	struct slot *slot = slots_find(slots, start_s);
	if (!slot->file)
		slot->file = slots->ops->open(slots->owner, slot->start_s);
	*file = slot->file;
	start_s = slots->at_s[lane] = slot->start_s;
	pthread_mutex_unlock(&slots->lock);
	return start_s;
}

void slots_leave(struct slots *slots, unsigned lane)
{
	pthread_mutex_lock(&slots->lock);
	slots->at_s[lane] = NOWHERE;
	slots_close_past(slots);
	pthread_mutex_unlock(&slots->lock);
}

void slots_destroy(struct slots *slots, bool complete)
{
	if (!slots)
		return;
	while (slots->open)
		slots_close_first(slots, complete);
	pthread_mutex_destroy(&slots->lock);
	free(slots);
}

void slot_name(char name[SLOT_NAME_MAX], uint64_t start_s, bool seconds)
{
	time_t time = (time_t)start_s;
	struct tm tm;

	if (!localtime_r(&time, &tm) || !strftime(name, SLOT_NAME_MAX, seconds ? "%Y%m%d%H%M%S" : "%Y%m%d%H%M", &tm))
		name[0] = '\0';
}
