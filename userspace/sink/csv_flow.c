/* --export-csv-flow: the 21 fields of way_fields[], comma and blank between, no header: what flow-models reads and writes. */
#include "way_text.h"

static const char *csv_flow_wanted(const struct config *config)
{
	return config->export_csv_flow;
}

static int csv_flow_open(const struct config *config, bool live, struct way_state **state)
{
	return way_text_open("csv_flow", "csv_flow export", config->export_csv_flow, csv_flow_line, config, live, state);
}

const struct way_format way_csv_flow = {
	.name = "csv_flow",
	.wanted = csv_flow_wanted,
	.open = csv_flow_open,
	.attach = way_text_attach,
	.put = way_text_put,
	.tick = way_text_tick,
	.detach = way_text_detach,
	.close = way_text_close,
	.reopen = way_text_reopen,
	.so_far = way_text_so_far,
};
