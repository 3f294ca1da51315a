#include "xdp_link.h"

#include <stdbool.h>
#include <stdlib.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "translate.h"

#ifndef BPF_F_XDP_HAS_FRAGS
#define BPF_F_XDP_HAS_FRAGS (1U << 5) /* Linux 5.18 */
#endif

static struct {
	const struct bpf_insn *insns; /* NULL: none */
	unsigned count;
} function;

/* With a handler of ours for a section, what libbpf does for it by itself is ours too: `flags`. */
static int prepare(struct bpf_program *program, struct bpf_prog_load_opts *options, long flags)
{
	struct bpf_insn *linked = NULL;
	unsigned count = 0;

	options->prog_flags |= (uint32_t)flags;
	if (!function.insns)
		return 0;
	int err = translate_link(bpf_program__insns(program), (unsigned)bpf_program__insn_cnt(program), function.insns,
		function.count, &linked, &count);
	if (err < 0)
		return err;
	if (err == 0)
		options->line_info_cnt = 0;
	err = bpf_program__set_insns(program, linked, count);
	free(linked);
	return err;
}

static int register_section(const char *section, long flags)
{
	LIBBPF_OPTS(libbpf_prog_handler_opts, options, .prog_prepare_load_fn = prepare, .cookie = flags);
	int id = libbpf_register_prog_handler(section, BPF_PROG_TYPE_XDP, BPF_XDP, &options);

	return id < 0 ? id : 0;
}

int xdp_link_register(void)
{
	static bool registered;
	int err = 0;

	if (registered)
		return 0;
	err = register_section("xdp", 0);
	if (!err)
		err = register_section("xdp.frags", BPF_F_XDP_HAS_FRAGS);
	registered = !err;
	return err;
}

void xdp_link_function(const struct bpf_insn *insns, unsigned count)
{
	function.insns = insns;
	function.count = count;
}
