/* The options that print something instead of a run. */
#include <inttypes.h>

#include "lanes.h"
#include "log.h"
#include "options.h"

/* As YAML comments, so that --config still reads the whole. */
static void print_sizes(const struct config *config, FILE *out)
{
	struct lanes_sizes sizes;

	lanes_sizes(config, config->lanes, &sizes);
	uint64_t sum = sizes.table_bytes + sizes.slab_bytes + sizes.timer_bytes + sizes.ways_bytes;
	fprintf(out, "# Memory that the flow tables may take, over all lanes; pages that are not used are not taken:\n");
	fprintf(out, "#   max_flows         %" PRIu32 "\n", sizes.max_flows);
	fprintf(out, "#   table_bytes       %" PRIu64 "\n", sizes.table_bytes);
	fprintf(out, "#   slab_bytes        %" PRIu64 "\n", sizes.slab_bytes);
	fprintf(out, "#   timer_bytes       %" PRIu64 "\n", sizes.timer_bytes);
	if (sizes.ways_bytes)
		fprintf(out, "#   ways_bytes        %" PRIu64 " (one-way records)\n", sizes.ways_bytes);
	fprintf(out, "#   sum_bytes         %" PRIu64 " (%.1f per flow)\n", sum,
		sizes.max_flows ? (double)sum / sizes.max_flows : 0);
	if (sizes.anomaly_bytes)
		fprintf(out, "#   anomaly_bytes     %" PRIu64 " (detectors, besides)\n", sizes.anomaly_bytes);
	fprintf(out, "#   tcp_flow_bytes    %" PRIu32 " (one TCP flow's record)\n", sizes.tcp_flow_bytes);
	fprintf(out, "#   other_flow_bytes  %" PRIu32 " (one other flow's record)\n", sizes.other_flow_bytes);
}

static int dump(struct options *options, FILE *out)
{
	if (options_dump(options, out)) {
		log_error("%s", options->error);
		return EXIT_USAGE;
	}
	if (options->sizes)
		print_sizes(&options->config, out);
	return 0;
}

bool options_inform(struct options *options, FILE *out, int *status)
{
	*status = 0;
	if (options->help)
		options_print_help(out);
	else if (options->version)
		fprintf(out, "flowlane %s\n", flowlane_version());
	else if (options->man)
		options_print_man(out);
	else if (options->markdown)
		options_print_markdown(out);
	else if (options->dump_config)
		*status = dump(options, out);
	else
		return false;
	return true;
}
