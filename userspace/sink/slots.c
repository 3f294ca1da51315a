#include "slots.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define LANES_MAX 64

struct slot {
	uint64_t start_s;
	unsigned lanes; /* in it; 0: a free place */
	void *file;     /* NULL: could not be opened */
};

struct slots {
	uint64_t interval_s;
	const struct slots_ops *ops;
	void *owner;
	pthread_mutex_t lock;
	unsigned lanes;
	struct slot *at[LANES_MAX];  /* NULL: nowhere */
	struct slot slot[LANES_MAX]; /* each is where some lane is, so there is a free one for the lane that moves */
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

static void slot_leave(struct slots *slots, unsigned lane)
{
	struct slot *slot = slots->at[lane];

	slots->at[lane] = NULL;
	if (!slot || --slot->lanes)
		return;
	if (slot->file)
		slots->ops->close(slots->owner, slot->file, true);
	slot->file = NULL;
}

/* The slot if it is open, else a free place. */
static struct slot *slot_find(struct slots *slots, uint64_t start_s)
{
	struct slot *free_place = NULL;

	for (unsigned i = 0; i < LANES_MAX; i++) {
		if (!slots->slot[i].lanes)
			free_place = &slots->slot[i];
		else if (slots->slot[i].start_s == start_s)
			return &slots->slot[i];
	}
	*free_place = (struct slot){ .start_s = start_s };
	return free_place;
}

uint64_t slots_enter(struct slots *slots, unsigned lane, uint64_t start_s, void **file)
{
	pthread_mutex_lock(&slots->lock);
	const struct slot *now = slots->at[lane];
	if (now && start_s < now->start_s && now->start_s - start_s <= slots->interval_s)
		start_s = now->start_s;
	if (!now || start_s != now->start_s) {
		slot_leave(slots, lane);
		slots->at[lane] = slot_find(slots, start_s);
		slots->at[lane]->lanes++;
	}
	struct slot *slot = slots->at[lane];
	if (!slot->file)
		slot->file = slots->ops->open(slots->owner, start_s);
	*file = slot->file;
	pthread_mutex_unlock(&slots->lock);
	return start_s;
}

void slots_leave(struct slots *slots, unsigned lane)
{
	pthread_mutex_lock(&slots->lock);
	slot_leave(slots, lane);
	pthread_mutex_unlock(&slots->lock);
}

void slots_destroy(struct slots *slots)
{
	if (!slots)
		return;
	for (unsigned i = 0; i < LANES_MAX; i++) {
		if (slots->slot[i].file)
			slots->ops->close(slots->owner, slots->slot[i].file, false);
	}
	pthread_mutex_destroy(&slots->lock);
	free(slots);
}

#define SHIFT_LOOK_S (3 * 3600) /* how far back a change of the clock can lie: it is by two hours at most */

/* The same local time was there before, as the clock was set back since. */
static bool time_came_twice(time_t time, const struct tm *now)
{
	struct tm before;
	time_t earlier = time - SHIFT_LOOK_S;

	if (!localtime_r(&earlier, &before) || before.tm_gmtoff <= now->tm_gmtoff)
		return false;
	long shift = before.tm_gmtoff - now->tm_gmtoff;
	earlier = time - shift;
	return localtime_r(&earlier, &before) && before.tm_gmtoff - now->tm_gmtoff == shift;
}

void slot_name(char name[SLOT_NAME_MAX], uint64_t start_s, bool seconds)
{
	static const char *const formats[2][2] = { { "%Y%m%d%H%M", "%Y%m%d%H%M%z" }, { "%Y%m%d%H%M%S", "%Y%m%d%H%M%S%z" } };
	time_t time = (time_t)start_s;
	struct tm tm;

	if (!localtime_r(&time, &tm) || !strftime(name, SLOT_NAME_MAX, formats[seconds][time_came_twice(time, &tm)], &tm))
		name[0] = '\0';
}
