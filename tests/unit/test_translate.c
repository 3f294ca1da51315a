/* What the translator takes and refuses. That what it makes is right is for the kernel to say: tests/bpf/test_filter_equal.c. */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flowlane/abi.h"
#include "translate.h"

#define RET(k_)                                                                                                                    \
	{                                                                                                                          \
		BPF_RET | BPF_K, 0, 0, k_                                                                                          \
	}
#define LOAD(k_)                                                                                                                   \
	{                                                                                                                          \
		BPF_LD | BPF_H | BPF_ABS, 0, 0, k_                                                                                 \
	}
#define COUNT(array)    (sizeof(array) / sizeof((array)[0]))
#define CODE(name, ...) static const struct classic_insn name[] = { __VA_ARGS__ }

static int translate(const struct classic_insn *code, unsigned count, bool frags, const char **why)
{
	struct bpf_insn *function = NULL;
	int result = translate_filter(code, count, frags, &function, why);

	free(function);
	return result;
}

static void program__when_it_cannot_be_translated__then_refused_with_the_reason(void **context)
{
	CODE(loop, LOAD(12), { BPF_JMP | BPF_JA, 0, 0, (uint32_t)-2 }, RET(1));
	CODE(no_end, LOAD(12));
	CODE(jump_out, { BPF_JMP | BPF_JEQ | BPF_K, 5, 0, 1 }, RET(1));
	CODE(memory, { BPF_LD | BPF_MEM, 0, 0, 16 }, RET(1));
	CODE(store, { BPF_ST, 0, 0, 16 }, RET(1));
	CODE(zero, { BPF_ALU | BPF_DIV | BPF_K, 0, 0, 0 }, RET(1));
	CODE(load, { BPF_LD | 0xc0, 0, 0, 0 }, RET(1));
	CODE(jump, { BPF_JMP | 0x70, 0, 0, 0 }, RET(1));
	const struct {
		const struct classic_insn *code;
		unsigned count;
		const char *why;
	} rows[] = {
		{ loop, COUNT(loop), "it has a loop (protochain)" },
		{ no_end, COUNT(no_end), "it leads out of itself" },
		{ jump_out, COUNT(jump_out), "it leads out of itself" },
		{ memory, COUNT(memory), "it uses memory that there is not" },
		{ store, COUNT(store), "it uses memory that there is not" },
		{ zero, COUNT(zero), "it divides by zero" },
		{ load, COUNT(load), "it has an unknown load" },
		{ jump, COUNT(jump), "it has an unknown jump" },
		{ loop, 0, "it is empty" },
	};

	(void)context;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		for (unsigned frags = 0; frags < 2; frags++) {
			const char *why = NULL;
			assert_int_equal(translate(rows[i].code, rows[i].count, frags, &why), -ENOTSUP);
			assert_string_equal(why, rows[i].why);
		}
	}
}

static void program__when_too_long__then_refused(void **context)
{
	unsigned count = 40000;
	struct classic_insn *code = calloc(count, sizeof(*code));
	const char *why = NULL;

	(void)context;
	assert_non_null(code);
	for (unsigned i = 0; i + 1 < count; i++)
		code[i] = (struct classic_insn){ BPF_LD | BPF_W | BPF_IND, 0, 0, i };
	code[count - 1] = (struct classic_insn)RET(1);
	assert_int_equal(translate(code, count, false, &why), -ENOTSUP);
	assert_string_equal(why, "it is too long");
	free(code);
}

static void load__when_a_longer_one_came_before__then_not_checked_again(void **context)
{
	CODE(once, { BPF_LD | BPF_W | BPF_ABS, 0, 0, 30 }, { BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 7 }, RET(1), RET(0));
	CODE(twice, { BPF_LD | BPF_W | BPF_ABS, 0, 0, 30 }, LOAD(12), { BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 7 }, RET(1), RET(0));
	CODE(other, LOAD(12), { BPF_LD | BPF_W | BPF_ABS, 0, 0, 30 }, { BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 7 }, RET(1), RET(0));
	const char *why = NULL;
	int one = translate(once, COUNT(once), false, &why);

	(void)context;
	assert_int_equal(translate(twice, COUNT(twice), false, &why), one + 2); /* load, swap */
	assert_int_equal(translate(other, COUNT(other), false, &why), one + 5); /* and place, its end, the check */
}

static void link__when_the_called_function_is_last__then_replaced(void **context)
{
	const struct bpf_insn program[] = {
		{ .code = BPF_JMP | BPF_CALL, .src_reg = BPF_PSEUDO_CALL, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
		{ .code = BPF_ALU | BPF_MOV | BPF_K, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	const struct bpf_insn function[] = { { .code = BPF_ALU | BPF_MOV | BPF_K, .imm = 7 },
		{ .code = BPF_ALU | BPF_ADD | BPF_K, .imm = 1 }, { .code = BPF_JMP | BPF_EXIT } };
	struct bpf_insn *linked = NULL;
	unsigned count = 0;

	(void)context;
	assert_int_equal(translate_link(program, 4, function, 3, &linked, &count), 1);
	assert_int_equal(count, 5);
	assert_memory_equal(linked, program, 2 * sizeof(*program));
	assert_memory_equal(linked + 2, function, sizeof(function));
	free(linked);
	assert_int_equal(translate_link(program, 4, function, 1, &linked, &count), -EINVAL);     /* shorter than what was there */
	assert_int_equal(translate_link(program + 1, 3, function, 3, &linked, &count), -EINVAL); /* calls nothing */
}

/* Jumps over the marker, to it, from behind it to before it, and those of neither; the function's returns, and its stack. */
static void link__when_there_is_a_marker__then_the_function_is_in_its_place_and_jumps_lead_where_they_did(void **context)
{
	const struct bpf_insn program[] = {
		{ .code = BPF_JMP | BPF_JEQ | BPF_K, .off = 2 },                   /* to the marker */
		{ .code = BPF_JMP32 | BPF_JNE | BPF_K, .off = 3 },                 /* behind it, to the last but one */
		{ .code = BPF_JMP | BPF_CALL, .imm = 5 },                          /* a helper's number is no distance */
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = XDP_FILTER_MARKER }, /* 3 */
		{ .code = BPF_STX | BPF_MEM | BPF_W, .dst_reg = 10, .off = -8 },   /* the program's own stack */
		{ .code = BPF_JMP | BPF_JA, .off = -5 },                           /* to 1 */
		{ .code = BPF_JMP | BPF_EXIT },
	};
	const struct bpf_insn function[] = {
		{ .code = BPF_STX | BPF_MEM | BPF_W, .dst_reg = 10, .src_reg = 4, .off = -64 },
		{ .code = BPF_JMP | BPF_JEQ | BPF_K, .off = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
		{ .code = BPF_LDX | BPF_MEM | BPF_W, .src_reg = 10, .off = -4 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	struct bpf_insn twice[14], *linked = NULL;
	unsigned count = 0;

	(void)context;
	assert_int_equal(translate_link(program, 7, function, 5, &linked, &count), 0);
	assert_int_equal(count, 11);
	assert_int_equal(linked[0].off, 2);
	assert_int_equal(linked[1].off, 7);
	assert_memory_equal(&linked[2], &program[2], sizeof(program[2]));
	assert_int_equal(linked[3].off, -64 - TRANSLATE_STACK);
	assert_int_equal(linked[4].off, 1);
	assert_int_equal(linked[5].code, BPF_JMP | BPF_JA);
	assert_int_equal(linked[5].off, 2);
	assert_int_equal(linked[6].off, -4 - TRANSLATE_STACK);
	assert_int_equal(linked[7].code, BPF_JMP | BPF_JA);
	assert_int_equal(linked[7].off, 0);
	assert_memory_equal(&linked[8], &program[4], sizeof(program[4]));
	assert_int_equal(linked[9].off, -9);
	assert_memory_equal(&linked[10], &program[6], sizeof(program[6]));
	free(linked);
	memcpy(twice, program, sizeof(program));
	memcpy(twice + 7, program, sizeof(program));
	assert_int_equal(translate_link(twice, 14, function, 5, &linked, &count), -EINVAL);
}

static void link__when_a_jump_becomes_too_long__then_refused(void **context)
{
	const struct bpf_insn program[] = { { .code = BPF_JMP | BPF_JEQ | BPF_K, .off = 1 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = XDP_FILTER_MARKER }, { .code = BPF_JMP | BPF_EXIT } };
	struct bpf_insn *function = calloc(INT16_MAX + 2, sizeof(*function)), *linked = NULL;
	unsigned count = 0;

	(void)context;
	assert_int_equal(translate_link(program, 3, function, INT16_MAX, &linked, &count), 0);
	free(linked);
	assert_int_equal(translate_link(program, 3, function, INT16_MAX + 1, &linked, &count), -EINVAL);
	function[0].code = BPF_JMP | BPF_EXIT;
	assert_int_equal(translate_link(program + 1, 2, function, INT16_MAX + 1, &linked, &count), 0);
	free(linked);
	assert_int_equal(translate_link(program + 1, 2, function, INT16_MAX + 2, &linked, &count), -EINVAL);
	free(function);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(program__when_it_cannot_be_translated__then_refused_with_the_reason),
		cmocka_unit_test(program__when_too_long__then_refused),
		cmocka_unit_test(load__when_a_longer_one_came_before__then_not_checked_again),
		cmocka_unit_test(link__when_the_called_function_is_last__then_replaced),
		cmocka_unit_test(link__when_there_is_a_marker__then_the_function_is_in_its_place_and_jumps_lead_where_they_did),
		cmocka_unit_test(link__when_a_jump_becomes_too_long__then_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
