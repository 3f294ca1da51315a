/* --export-pipe: lines as `nfdump -o pipe` prints them, 22 numbers with | between. */
#include "way_text.h"

static const char *pipe_wanted(const struct config *config)
{
	return config->export_pipe;
}

static int pipe_open(const struct config *config, bool live, struct way_state **state)
{
	return way_text_open("pipe", "pipe export", config->export_pipe, pipe_line, config, live, state);
}

const struct way_format way_pipe = {
	.name = "pipe",
	.wanted = pipe_wanted,
	.open = pipe_open,
	.attach = way_text_attach,
	.put = way_text_put,
	.tick = way_text_tick,
	.detach = way_text_detach,
	.close = way_text_close,
	.reopen = way_text_reopen,
	.so_far = way_text_so_far,
};
