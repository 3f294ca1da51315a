#include "capture_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "busy_poll.h"
#include "hash.h"
#include "log.h"

/* --- open ---------------------------------------------------------------------------------------------------------------- */

static int capture_check(struct capture *capture)
{
	const struct config *config = capture->config;
	int err = check_system();

	if (!err && config->interfaces_count > CAPTURE_INTERFACES_MAX) {
		log_error("-i is given %u times; %u interfaces are the most", config->interfaces_count, CAPTURE_INTERFACES_MAX);
		err = -E2BIG;
	}
	for (unsigned i = 0; i < config->interfaces_count && !err; i++) {
		struct capture_interface *interface = &capture->interface[i];
		err = check_interface(capture, interface, config->interfaces[i]);
		if (!err)
			err = check_buffers(capture, interface);
		if (!err)
			capture->interfaces++;
	}
	if (!err)
		err = check_memory(capture);
	return err ? err : choose_cpus(capture);
}

/* Kernels before 5.11 count maps as locked memory, all count packet buffers so, unless the capability CAP_IPC_LOCK is there. Where
 * it may not be raised it may still be enough. */
static void raise_locked_memory(void)
{
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

	setrlimit(RLIMIT_MEMLOCK, &unlimited);
}

static int capture_open_sources(struct capture *capture)
{
	unsigned lanes = capture->queues * capture->fanout;

	/* Aligned: what one lane writes is on no other lane's cache line. */
	size_t bytes = (lanes * sizeof(*capture->source) + 63) & ~(size_t)63;
	capture->source = aligned_alloc(64, bytes);
	if (!capture->source)
		return -ENOMEM;
	for (; capture->lanes < lanes; capture->lanes++) {
		struct capture_queue *queue = &capture->queue[capture->lanes / capture->fanout];
		const struct capture_interface *interface = &capture->interface[queue->interface];
		int err = afxdp_source_open(&capture->source[capture->lanes], &queue->sockets, capture->lanes % capture->fanout,
			&interface->port, interface->frags ? (interface->longest + 63) & ~63u : 0);
		if (err)
			return err;
		capture->source[capture->lanes].base.info.ifindex = interface->info.ifindex;
	}
	return 0;
}

/* -EINVAL tells the caller that the command line is wrong. What a kernel or driver finds invalid is none of that. */
static int not_usage(int err)
{
	return err == -EINVAL ? -EIO : err;
}

int capture_open(const struct config *config, const struct capture_selection *selection, struct capture **result)
{
	struct capture *capture = calloc(1, sizeof(*capture));

	if (!capture)
		return -ENOMEM;
	capture->config = config;
	capture->selection = *selection;
	capture->sample = config->sample;
	capture->fanout = config->fanout ? config->fanout : 1;
	capture->hash_seed = hash_seed_random().s[0];
	live_clock_start(&capture->clock);
	int err = capture_check(capture);
	if (err)
		goto fail;
	raise_locked_memory();
	for (unsigned i = 0; i < capture->interfaces && !err; i++)
		err = interface_open(capture, &capture->interface[i]);
	if (!err)
		err = capture_open_sources(capture);
	if (!err)
		err = capture_open_cutoff(capture);
	if (err) {
		err = not_usage(err);
		goto fail;
	}
	*result = capture;
	return 0;
fail:
	capture_close(capture);
	return err;
}

unsigned capture_lanes(const struct capture *capture)
{
	return capture->lanes;
}

bool capture_filters(const struct capture *capture, unsigned lane)
{
	return capture->interface[capture->queue[lane / capture->fanout].interface].filters;
}

struct source *capture_source(struct capture *capture, unsigned lane)
{
	return &capture->source[lane].base;
}

void capture_place(const struct capture *capture, unsigned lane, struct capture_place *place)
{
	const struct capture_queue *queue = &capture->queue[lane / capture->fanout];
	const struct nic_info *info = &capture->interface[queue->interface].info;

	*place = (struct capture_place){
		.ifindex = info->ifindex,
		.queue = queue->number,
		.share = lane % capture->fanout,
		.cpu = capture->cpu[lane],
	};
	memcpy(place->interface, info->name, sizeof(place->interface));
}

bool capture_needs_admin(const struct capture *capture)
{
	for (unsigned i = 0; i < capture->interfaces; i++) {
		if (nic_needs_admin(capture->interface[i].nic) || busy_poll_needs_admin(&capture->interface[i]))
			return true;
	}
	return false;
}

bool capture_needs_bpf(const struct capture *capture)
{
	return capture->interfaces && !kernel_at_least(5, 19);
}

/* --- run ----------------------------------------------------------------------------------------------------------------- */

int capture_attach(struct capture *capture)
{
	for (unsigned i = 0; i < capture->interfaces; i++) {
		struct capture_interface *interface = &capture->interface[i];
		watch_start(interface);
		int err = interface_attach(capture, interface);
		if (err) {
			while (i-- > 0)
				xdp_detach(capture->interface[i].xdp);
			return not_usage(err);
		}
		interface_set_phase(interface, AFXDP_RUNNING);
	}
	capture->attached = true;
	return 0;
}

/* Somebody set the clock back. Going with it would turn the flows' time around. */
static void watch_clock(struct capture *capture)
{
	int64_t behind_ns = live_clock_refresh(&capture->clock);

	if (behind_ns <= LIVE_CLOCK_STEP_NS || capture->clock_said)
		return;
	capture->clock_said = true;
	log_warning("the system's clock was set back by %" PRId64
		    " s; time stamps of this run keep their course, a new run starts with "
		    "the new time",
		behind_ns / 1000000000);
}

bool capture_tick(struct capture *capture)
{
	bool any = false;

	watch_clock(capture);
	for (unsigned i = 0; i < capture->interfaces; i++)
		any |= watch_interface(capture, &capture->interface[i]);
	return any;
}

void capture_detach(struct capture *capture)
{
	if (!capture || capture->ended)
		return;
	for (unsigned i = 0; i < capture->interfaces; i++) {
		if (capture->interface[i].xdp)
			xdp_detach(capture->interface[i].xdp);
		if (capture->attached)
			watch_nic(&capture->interface[i]);
		interface_set_phase(&capture->interface[i], AFXDP_ENDING);
	}
	capture->ended = true;
}

void capture_close(struct capture *capture)
{
	if (!capture)
		return;
	capture_detach(capture);
	for (unsigned i = 0; i < capture->interfaces; i++)
		interface_close(capture, &capture->interface[i]);
	for (unsigned i = 0; i < capture->lanes; i++)
		afxdp_source_close(&capture->source[i]);
	for (unsigned i = 0; i < CAPTURE_LANES_MAX; i++)
		free(capture->cutoff[i].per_cpu);
	free(capture->source);
	free(capture);
}
