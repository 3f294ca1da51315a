/* Puts a translated function where the XDP program has a place for it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "flowlane/abi.h"
#include "translate.h"

/* Its last function's place; 0: it has none. */
static int link_find_function(const struct bpf_insn *program, unsigned count, unsigned *place)
{
	*place = 0;
	for (unsigned i = 0; i < count; i++) {
		if (program[i].code != (BPF_JMP | BPF_CALL) || program[i].src_reg != BPF_PSEUDO_CALL)
			continue;
		unsigned target = i + 1 + (unsigned)program[i].imm;
		if (target >= count || (*place && *place != target))
			return -EINVAL;
		*place = target;
	}
	return 0;
}

/* The one place of the marker; `count`: there is none, or more than one. */
static unsigned link_find_marker(const struct bpf_insn *program, unsigned count)
{
	unsigned found = count;

	for (unsigned i = 0; i < count; i++) {
		if (program[i].code != (BPF_ALU64 | BPF_MOV | BPF_K) || program[i].dst_reg != BPF_REG_0 ||
			program[i].imm != XDP_FILTER_MARKER)
			continue;
		if (found < count)
			return count;
		found = i;
	}
	return found;
}

static bool link_jumps(const struct bpf_insn *insn)
{
	uint8_t class = BPF_CLASS(insn->code), op = BPF_OP(insn->code);

	return (class == BPF_JMP || class == BPF_JMP32) && op != BPF_CALL && op != BPF_EXIT;
}

/* Where an instruction of the program comes to be; what leads to the marker leads to the first one in its place. */
static int64_t link_place(int64_t at, unsigned marker, unsigned function_count)
{
	return at <= marker ? at : at + function_count - 1;
}

/* One of the function's, in the program: its stack lies below the program's, and it returns to what comes behind it. */
static bool link_inline_one(struct bpf_insn *insn, unsigned left)
{
	uint8_t class = BPF_CLASS(insn->code);

	if (insn->code == (BPF_JMP | BPF_EXIT))
		*insn = (struct bpf_insn){ .code = BPF_JMP | BPF_JA, .off = (int16_t)left };
	else if ((class == BPF_LDX && insn->src_reg == BPF_REG_10) || (class == BPF_STX && insn->dst_reg == BPF_REG_10))
		insn->off = (int16_t)(insn->off - TRANSLATE_STACK);
	return left <= INT16_MAX;
}

static int link_inlined(const struct bpf_insn *program, unsigned count, unsigned marker, const struct bpf_insn *function,
	unsigned function_count, struct bpf_insn *linked)
{
	for (unsigned i = 0; i < count; i++) {
		int64_t to = link_place(i, marker, function_count);
		linked[to] = program[i];
		if (!link_jumps(&program[i]))
			continue;
		int64_t distance = link_place((int64_t)i + 1 + program[i].off, marker, function_count) - to - 1;
		if (distance != (int16_t)distance)
			return -EINVAL;
		linked[to].off = (int16_t)distance;
	}
	memcpy(linked + marker, function, function_count * sizeof(*function));
	for (unsigned i = 0; i < function_count; i++) {
		if (!link_inline_one(&linked[marker + i], function_count - 1 - i))
			return -EINVAL;
	}
	return 0;
}

int translate_link(const struct bpf_insn *program, unsigned count, const struct bpf_insn *function, unsigned function_count,
	struct bpf_insn **linked, unsigned *linked_count)
{
	unsigned place = 0, marker = link_find_marker(program, count);
	int err = link_find_function(program, count, &place);

	if (err || (!place && marker == count) || (place && (marker < count || count - place > function_count)))
		return -EINVAL;
	*linked_count = (place ? place : count - 1) + function_count;
	*linked = calloc(*linked_count, sizeof(**linked));
	if (!*linked)
		return -ENOMEM;
	if (place) {
		memcpy(*linked, program, place * sizeof(*program));
		memcpy(*linked + place, function, function_count * sizeof(*function));
		return 1;
	}
	err = link_inlined(program, count, marker, function, function_count, *linked);
	if (err) {
		free(*linked);
		*linked = NULL;
	}
	return err;
}
