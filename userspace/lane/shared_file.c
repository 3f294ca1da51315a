#include "shared_file.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "lanes.h"
#include "log.h"
#include "pcap_source.h"
#include "shard.h"

#define NS_PER_S    ((uint64_t)1000000000)
#define SLOTS       12 /* 2 ms of work: a lane may wait so long, for memory or its CPU, and stops no other */
#define SLOTS_MIN   4  /* with many files, each of which has so many buffers */
#define FEW_FILES   8
#define AHEAD       3               /* so what is read is still in a cache when it is used, however large the ring */
#define SLOT_FRAMES 4096            /* a block of 256 KiB of the smallest frames has 3449 */
#define WAIT_NS     (NS_PER_S / 10) /* then a lane looks whether it should stop */

#define MINE_NUMBER (SLOT_FRAMES - 1)
#define MINE_UNSURE 0x8000u /* beside the number: perhaps another lane's */

struct slot {
	unsigned count;
	struct batch_place place;      /* of all of them; only if the files have places */
	struct frame *frames;          /* [SLOT_FRAMES], in the order of the capture */
	uint64_t *latest_ns;           /* [SLOT_FRAMES]: of this frame and those before it in the slot */
	uint16_t (*mine)[SLOT_FRAMES]; /* [lanes]: the numbers of the frames that are a lane's own, or may be */
	unsigned *mine_count;          /* [lanes] */
};

struct shared_lane {
	struct source source;
	struct shared_file *shared;
	unsigned number;
	struct slot *slot;   /* NULL: needs the next one */
	unsigned next_frame; /* in the slot: the first that no batch stood for yet */
	unsigned next_mine;
	unsigned batch_frame; /* the first one of the batch at hand */
	uint64_t slots;       /* that it is through with; under the lock */
};

struct shared_file {
	struct source *inner; /* of the lane that is reading */
	unsigned lanes;
	unsigned ring;  /* slots in use */
	unsigned ahead; /* a lane reads on as long as fewer slots than this are there for it */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool reading;  /* some lane is */
	uint64_t read; /* slots */
	int end;       /* what came behind the last slot: SOURCE_END or a negative errno; 0: unknown as yet */

	struct slot slots[SLOTS];
	struct shared_lane lane[];
};

/* --- reading a slot: by one lane at a time, without the lock ------------------------------------------------------------------- */

static void slot_sort(struct slot *slot, unsigned lanes)
{
	uint16_t *next[LANES_MAX];
	uint64_t latest_ns = 0;

	for (unsigned k = 0; k < lanes; k++)
		next[k] = slot->mine[k];
	for (unsigned i = 0; i < slot->count; i++) {
		uint32_t lane = shard_of_frame(&slot->frames[i], lanes);

		latest_ns = slot->frames[i].ts_ns > latest_ns ? slot->frames[i].ts_ns : latest_ns;
		slot->latest_ns[i] = latest_ns;
		if (__builtin_expect(lane != SHARD_NOT_PLAIN, 1)) {
			*next[lane]++ = (uint16_t)i;
		} else {
			for (unsigned k = 0; k < lanes; k++)
				*next[k]++ = (uint16_t)(i | MINE_UNSURE);
		}
	}
	for (unsigned k = 0; k < lanes; k++)
		slot->mine_count[k] = (unsigned)(next[k] - slot->mine[k]);
}

/* 1: it holds frames; else what rx_batch() gave. */
static int slot_fill(struct shared_file *shared, struct slot *slot)
{
	struct source *inner = shared->inner;
	int n = inner->ops->rx_batch(inner, slot->frames, SLOT_FRAMES);

	if (n <= 0)
		return n;
	slot->count = (unsigned)n;
	if (inner->info.places)
		inner->ops->place(inner, slot->frames, slot->count, &slot->place);
	slot_sort(slot, shared->lanes);
	return 1;
}

/* --- who is where: under the lock ------------------------------------------------------------------------------------------------ */

static bool shared_has_room(const struct shared_file *shared)
{
	uint64_t least = shared->read;

	for (unsigned i = 0; i < shared->lanes; i++)
		least = shared->lane[i].slots < least ? shared->lane[i].slots : least;
	return shared->read - least < shared->ring;
}

/* Reads the next slot. The lock is not held meanwhile. As slot_fill(). */
static int shared_read(struct shared_file *shared)
{
	shared->reading = true;
	pthread_mutex_unlock(&shared->lock);
	int filled = slot_fill(shared, &shared->slots[shared->read % shared->ring]);
	pthread_mutex_lock(&shared->lock);
	shared->reading = false;
	if (filled > 0)
		shared->read++;
	else
		shared->end = filled;
	pthread_cond_broadcast(&shared->changed);
	return filled;
}

static bool shared_wait(struct shared_file *shared)
{
	uint64_t until_ns = clock_monotonic_ns() + WAIT_NS;
	struct timespec until = { .tv_sec = (time_t)(until_ns / NS_PER_S), .tv_nsec = (long)(until_ns % NS_PER_S) };

	return pthread_cond_timedwait(&shared->changed, &shared->lock, &until) == 0;
}

/* 1: the lane has a slot; 0: none for now; else the end. */
static int lane_next_slot(struct shared_lane *lane)
{
	struct shared_file *shared = lane->shared;
	int got = 1;

	pthread_mutex_lock(&shared->lock);
	if (shared->read - lane->slots < shared->ahead && !shared->reading && !shared->end && shared_has_room(shared))
		shared_read(shared);
	while (got > 0 && lane->slots == shared->read) {
		if (shared->end)
			got = shared->end;
		else if (!shared->reading && shared_has_room(shared))
			got = shared_read(shared);
		else if (!shared_wait(shared))
			got = 0;
	}
	if (got > 0) {
		lane->slot = &shared->slots[lane->slots % shared->ring];
		lane->next_frame = lane->next_mine = 0;
	}
	pthread_mutex_unlock(&shared->lock);
	return got;
}

static void lane_leave_slot(struct shared_lane *lane)
{
	struct shared_file *shared = lane->shared;

	pthread_mutex_lock(&shared->lock);
	bool was_full = !shared_has_room(shared);
	lane->slots++;
	if (was_full && shared_has_room(shared))
		pthread_cond_broadcast(&shared->changed);
	pthread_mutex_unlock(&shared->lock);
	lane->slot = NULL;
}

/* --- the source of a lane ----------------------------------------------------------------------------------------------------------- */

static struct shared_lane *shared_lane_of(const struct source *source)
{
	return (struct shared_lane *)source; /* its first member */
}

static int lane_rx_batch(struct source *source, struct frame *frames, unsigned n)
{
	struct shared_lane *lane = shared_lane_of(source);
	int got = lane->slot ? 1 : lane_next_slot(lane);

	if (got <= 0)
		return got;
	const struct slot *slot = lane->slot;
	unsigned left = slot->count - lane->next_frame;
	n = n < left ? n : left;
	memcpy(frames, slot->frames + lane->next_frame, n * sizeof(*frames));
	lane->batch_frame = lane->next_frame;
	lane->next_frame += n;
	/* The own ones among them are not to be given again. */
	const uint16_t *mine = slot->mine[lane->number];
	while (lane->next_mine < slot->mine_count[lane->number] && (mine[lane->next_mine] & MINE_NUMBER) < lane->next_frame)
		lane->next_mine++;
	return (int)n;
}

/* The first frame from next_frame on that is as late as until_ns, or has such a one before it; slot->count: none. */
static unsigned lane_first_late(const struct shared_lane *lane, uint64_t until_ns)
{
	const struct slot *slot = lane->slot;
	unsigned low = lane->next_frame, high = slot->count;

	if (__builtin_expect(slot->latest_ns[high - 1] < until_ns, 1))
		return high;
	while (low < high) {
		unsigned middle = (low + high) / 2;
		if (slot->latest_ns[middle] < until_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int lane_rx_mine(struct source *source, struct frame *frames, unsigned n, uint64_t until_ns, struct batch_others *others)
{
	struct shared_lane *lane = shared_lane_of(source);
	int got = lane->slot ? 1 : lane_next_slot(lane);

	others->all = 0;
	if (got <= 0)
		return got;
	const struct slot *slot = lane->slot;
	const uint16_t *mine = slot->mine[lane->number];
	unsigned first = lane->next_frame, end = lane_first_late(lane, until_ns), count = slot->mine_count[lane->number];
	unsigned taken = 0, seen = 0;

	if (__builtin_expect(end == first, 0))
		return lane_rx_batch(source, frames, n);
	while (taken < n && lane->next_mine < count && (mine[lane->next_mine] & MINE_NUMBER) < end) {
		unsigned number = mine[lane->next_mine] & MINE_NUMBER;
		seen |= mine[lane->next_mine++];
		frames[taken] = slot->frames[number];
		frames[taken++].number = (uint16_t)(number - first);
	}
	/* The batch stands for all frames up to its last one, or, if no more are the lane's own, up to the end. */
	if (taken == n)
		end = first + frames[n - 1].number + 1;
	lane->batch_frame = first;
	lane->next_frame = end;
	others->all = end - first;
	others->latest_ns = slot->latest_ns[end - 1];
	others->sure = !(seen & MINE_UNSURE);
	return (int)taken;
}

static void lane_release(struct source *source, const struct frame *frames, unsigned n)
{
	struct shared_lane *lane = shared_lane_of(source);

	(void)frames, (void)n; /* all that were given last */
	if (lane->slot && lane->next_frame == lane->slot->count)
		lane_leave_slot(lane);
}

static void lane_stats(const struct source *source, struct source_stats *stats)
{
	const struct source *inner = shared_lane_of(source)->shared->inner;

	inner->ops->stats(inner, stats);
}

static void lane_place(const struct source *source, const struct frame *frames, unsigned n, struct batch_place *place)
{
	const struct shared_lane *lane = shared_lane_of(source);
	const struct batch_place *whole = &lane->slot->place;

	place->data = frames[0].data;
	place->position = whole->position + (uint64_t)(frames[0].data - whole->data);
	place->number = whole->number + lane->batch_frame;
	place->count = n;
}

static void lane_close(struct source *source)
{
	(void)source; /* shared_file_close() */
}

static const struct source_ops lane_ops = {
	.name = "shared file",
	.rx_batch = lane_rx_batch,
	.rx_mine = lane_rx_mine,
	.release = lane_release,
	.stats = lane_stats,
	.place = lane_place,
	.close = lane_close,
};

/* --- open and close ---------------------------------------------------------------------------------------------------------------- */

static int slots_make(struct shared_file *shared)
{
	for (unsigned i = 0; i < shared->ring; i++) {
		struct slot *slot = &shared->slots[i];

		slot->frames = calloc(SLOT_FRAMES, sizeof(*slot->frames));
		slot->latest_ns = calloc(SLOT_FRAMES, sizeof(*slot->latest_ns));
		slot->mine = calloc(shared->lanes, sizeof(*slot->mine));
		slot->mine_count = calloc(shared->lanes, sizeof(*slot->mine_count));
		if (!slot->frames || !slot->latest_ns || !slot->mine || !slot->mine_count)
			return -ENOMEM;
	}
	return 0;
}

int shared_file_open(char *const *files, unsigned count, unsigned lanes, struct shared_file **result)
{
	struct shared_file *shared = calloc(1, sizeof(*shared) + lanes * sizeof(shared->lane[0]));
	pthread_condattr_t monotonic;
	struct source_stats stats;

	if (!shared)
		return -ENOMEM;
	shared->lanes = lanes;
	shared->ring = count <= FEW_FILES ? SLOTS : SLOTS_MIN;
	pthread_mutex_init(&shared->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&shared->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	int err = slots_make(shared);
	if (err)
		log_error("no memory for the frames that %u lanes share", lanes);
	else
		err = pcap_source_open_ahead(files, count, shared->ring, &shared->inner);
	if (err) {
		shared_file_close(shared);
		return err;
	}
	shared->inner->ops->stats(shared->inner, &stats);
	shared->ahead =
		stats.bytes_total > 0 ? AHEAD : 1; /* a pipe: reading may wait for who writes, so only when nothing else is left */
	for (unsigned i = 0; i < lanes; i++)
		shared->lane[i] = (struct shared_lane){
			.source = { .ops = &lane_ops, .info = shared->inner->info }, .shared = shared, .number = i
		};
	*result = shared;
	return 0;
}

struct source *shared_file_source(struct shared_file *shared, unsigned lane)
{
	return &shared->lane[lane].source;
}

void shared_file_close(struct shared_file *shared)
{
	if (!shared)
		return;
	if (shared->inner)
		shared->inner->ops->close(shared->inner);
	for (unsigned i = 0; i < SLOTS; i++) {
		free(shared->slots[i].frames);
		free(shared->slots[i].latest_ns);
		free(shared->slots[i].mine);
		free(shared->slots[i].mine_count);
	}
	pthread_cond_destroy(&shared->changed);
	pthread_mutex_destroy(&shared->lock);
	free(shared);
}
