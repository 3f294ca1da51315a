/* Which packets the lanes get: live the XDP program selects, for files each lane. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lanes_internal.h"
#include "log.h"
#include "stream_expression.h"

static int lanes_open_filter(struct lanes *lanes, const struct source_info *info)
{
	return lanes->config->filter ? filter_create(lanes->config->filter, info, &lanes->filter) : 0;
}

/* The stream to a collector may leave through an interface that is captured: what the XDP program does not select goes on to the
 * host, so the connection lives; captured, it would get no answers. In front of the user's expression, whose `vlan` moves offsets. */
static int lanes_open_filter_own(struct lanes *lanes, const struct source_info *info)
{
	const char *filter = lanes->config->filter;
	char own[STREAM_EXPRESSION_MAX], *expression;

	if (!lanes->config->stream_grpc || stream_expression(lanes->config->stream_grpc, own))
		return 0;
	if (asprintf(&expression, filter ? "not (%s) and (%s)" : "not (%s)", own, filter) < 0)
		return -ENOMEM;
	filter_destroy(lanes->filter);
	lanes->filter = NULL;
	int err = filter_create(expression, info, &lanes->filter);
	free(expression);
	return err;
}

static int lanes_open_rules(struct lanes *lanes)
{
	char error[1024];

	if (!lanes->config->prefilter)
		return 0;
	int err = rules_load(lanes->config->prefilter, &lanes->rules, error, sizeof(error));
	if (err)
		log_error("%s", error);
	return err;
}

int lanes_open_capture(struct lanes *lanes)
{
	const struct source_info info = { .link = LINK_ETHERNET };
	struct capture_selection selection = { 0 };
	int err = lanes_open_filter(lanes, &info);

	if (!err)
		err = lanes_open_filter_own(lanes, &info);
	if (!err)
		err = lanes_open_rules(lanes);
	if (err)
		return err;
	if (lanes->filter)
		selection.filter = filter_code(lanes->filter, LINK_ETHERNET, &selection.filter_count);
	selection.rules = lanes->rules;
	return capture_open(lanes->config, &selection, &lanes->capture);
}

/* A live lane has at most an expression to run; whether it has is known when the program is attached. */
static int lane_select(struct lanes *lanes, struct lane *lane)
{
	const struct config *config = lanes->config;
	int err = 0;

	lane->prefilter.filter = lanes->filter;
	if (lanes->capture) {
		lane->cuts = capture_cutoff(lanes->capture, lane->number, &lane->cutoff);
		return 0;
	}
	lane->prefilter.rules = lanes->rules;
	lane->prefilter.sample = config->sample;
	if (config->flow_cutoff)
		err = cutoff_table_create(config->flow_cutoff, config->flow_timeout_ns ? config->flow_timeout_ns : UINT64_MAX,
			config->key_vlan, &lane->prefilter.cutoff);
	if (err) {
		log_error("lane %u: no memory for the flows of --flow-cutoff", lane->number);
		return err;
	}
	lane->cuts = lane->prefilter.cutoff != NULL;
	lane->cutoff = (struct cutoff){ .get = cutoff_table_get, .context = lane->prefilter.cutoff };
	return 0;
}

int lanes_select(struct lanes *lanes)
{
	int err = 0;

	if (!lanes->capture) {
		err = lanes_open_filter(lanes, &lanes->lane[0].source->info);
		if (!err)
			err = lanes_open_rules(lanes);
	}
	for (unsigned i = 0; i < lanes->count && !err; i++)
		err = lane_select(lanes, &lanes->lane[i]);
	return err;
}

void lanes_unselect(struct lanes *lanes)
{
	for (unsigned i = 0; lanes->lane && i < lanes->count; i++)
		cutoff_table_destroy(lanes->lane[i].prefilter.cutoff);
	rules_free(lanes->rules);
	filter_destroy(lanes->filter);
}

/* --- while they run ---------------------------------------------------------------------------------------------------- */

int lanes_reload_rules(struct lanes *lanes, char *said, size_t size)
{
	struct rules_set *rules = NULL;

	if (!lanes->capture || !lanes->rules) {
		snprintf(said, size, "%s",
			lanes->capture ? "this run has no --prefilter FILE to read again"
				       : "this run reads files: its rules are those of the start");
		return -EOPNOTSUPP;
	}
	int err = rules_load(lanes->config->prefilter, &rules, said, size);
	if (err)
		return err;
	err = capture_set_rules(lanes->capture, rules);
	if (err) {
		snprintf(said, size, "%s: the kernel does not take the rules: %s", lanes->config->prefilter, strerror(-err));
		rules_free(rules);
		return err;
	}
	rules_free(lanes->rules);
	lanes->rules = rules;
	lanes->rules_loaded++;
	snprintf(said, size, "%u rules, %u nets in force", rules->rules, rules->entries);
	return 0;
}

void lanes_flush(struct lanes *lanes)
{
	for (unsigned i = 0; i < lanes->count; i++)
		atomic_store_explicit(&lanes->lane[i].flush, true, memory_order_relaxed);
}

int lanes_set_sample(struct lanes *lanes, uint32_t sample, char *said, size_t size)
{
	if (!lanes->capture || !lanes->config->sample) {
		snprintf(said, size, "%s",
			lanes->capture ? "this run was started without --sample; with --sample 1/1 it begins with all flows"
				       : "this run reads files: its sample is that of the start");
		return -EOPNOTSUPP;
	}
	capture_set_sample(lanes->capture, sample);
	lanes->sample_changed |= sample != lanes->sample;
	__atomic_store_n(&lanes->sample, sample, __ATOMIC_RELAXED);
	snprintf(said, size, "1/%u of the flows from now on", sample);
	return 0;
}
