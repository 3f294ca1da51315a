#include "translate.h"

#include <errno.h>
#include <linux/filter.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/*
 * Registers. Without frags there are no calls, so those that a function need not save are enough. With frags the kernel's helpers
 * take r1 to r5 and r0, and data_end is read anew for each load.
 */
struct registers {
	uint8_t a, x;   /* of the classic machine; 32 bits, the upper half is zero */
	uint8_t data;   /* the frame */
	uint8_t end;    /* data_end */
	uint8_t offset; /* of a load: X + k; with frags the helper's second argument */
	uint8_t ctx;    /* only with frags */
};

static const struct registers registers_plain = { .a = 0, .x = 4, .data = 2, .end = 3, .offset = 1 };
static const struct registers registers_frags = { .a = 8, .x = 9, .data = 7, .end = 3, .offset = 2, .ctx = 6 };

#define PLACE      5 /* where a load goes; r5 in either case */
#define FRAME      BPF_REG_10
#define OFFSET_MAX 0xfff0 /* the verifier bounds packet offsets by 0xffff */
#define MIN_LENGTH 8      /* instructions: translate_link() does not take fewer */

/* Stack, from the frame pointer down: M[0..15], then a place for bpf_xdp_load_bytes(). */
#define STACK_MEM(i) ((int16_t)(-4 * (int)((i) + 1)))
#define STACK_BYTES  ((int16_t)(STACK_MEM(BPF_MEMWORDS - 1) - 4))

#define UNREACHED UINT32_MAX
#define REJECT    UINT32_MAX /* a jump's target: the frame does not match */

struct fix {
	unsigned at;     /* a jump's place in `out` ... */
	uint32_t target; /* ... and the classic instruction it goes to, or REJECT */
};

struct translator {
	const struct classic_insn *code;
	unsigned count;
	bool frags;
	struct registers r;
	struct bpf_insn *out;
	unsigned used;
	struct fix *fixes;
	unsigned fixes_count;
	uint32_t *start; /* [count] where each classic instruction's translation begins */
	/*
	 * [count] the frame is known to have so many bytes, because each way that leads there has loaded up to there: no check again.
	 * Not with frags, where it does not mean that data_end is behind that.
	 */
	uint32_t *known;
	const char *why;
};

/* --- writing ----------------------------------------------------------------------------------------------------------- */

static void emit(struct translator *t, uint8_t code, uint8_t dst, uint8_t src, int16_t off, int32_t imm)
{
	if (t->used == TRANSLATE_MAX) {
		t->why = "it is too long";
		return;
	}
	t->out[t->used++] = (struct bpf_insn){ .code = code, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm };
}

static void emit_move(struct translator *t, uint8_t dst, uint8_t src)
{
	emit(t, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}

static void emit_set(struct translator *t, uint8_t dst, uint32_t value)
{
	emit(t, BPF_ALU | BPF_MOV | BPF_K, dst, 0, 0, (int32_t)value);
}

/* Jumps that compare are 32 bits wide (BPF_JMP32), pointers are compared with BPF_JMP. */
static void emit_jump(struct translator *t, uint8_t code, uint8_t dst, uint8_t src, uint32_t imm, uint32_t target)
{
	if (t->fixes_count < TRANSLATE_MAX)
		t->fixes[t->fixes_count++] = (struct fix){ t->used, target };
	emit(t, code, dst, src, 0, (int32_t)imm);
}

static void emit_return(struct translator *t, uint32_t value)
{
	emit_set(t, BPF_REG_0, value != 0);
	emit(t, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void reach(struct translator *t, uint32_t target, uint32_t known)
{
	if (target >= t->count)
		t->why = "it leads out of itself";
	else if (t->known[target] == UNREACHED || known < t->known[target])
		t->known[target] = known;
}

/* --- loads ------------------------------------------------------------------------------------------------------------- */

static unsigned load_bytes(uint16_t code)
{
	switch (BPF_SIZE(code)) {
	case BPF_W:
		return 4;
	case BPF_H:
		return 2;
	default:
		return 1;
	}
}

/* Network to host order; machines are little-endian. */
static void emit_swap(struct translator *t, uint8_t dst, unsigned bytes)
{
	if (bytes > 1)
		emit(t, BPF_ALU | BPF_END | BPF_TO_BE, dst, 0, 0, (int32_t)bytes * 8);
}

/* PLACE is one behind what is loaded. With frags, `offset` says where that is in the frame, in case it is behind data_end. */
static void emit_load_checked(struct translator *t, uint8_t dst, uint16_t size, unsigned bytes)
{
	uint8_t load = BPF_LDX | BPF_MEM | (uint8_t)size;

	if (!t->frags) {
		emit_jump(t, BPF_JMP | BPF_JGT | BPF_X, PLACE, t->r.end, 0, REJECT);
		emit(t, load, dst, PLACE, (int16_t) - (int)bytes, 0);
		return;
	}
	emit(t, BPF_LDX | BPF_MEM | BPF_W, t->r.end, t->r.ctx, offsetof(struct xdp_md, data_end), 0);
	emit(t, BPF_JMP | BPF_JGT | BPF_X, PLACE, t->r.end, 2, 0);
	emit(t, load, dst, PLACE, (int16_t) - (int)bytes, 0);
	emit(t, BPF_JMP | BPF_JA, 0, 0, 7, 0);
	emit_move(t, BPF_REG_1, t->r.ctx); /* r2 has the offset */
	emit_move(t, BPF_REG_3, FRAME);
	emit(t, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_3, 0, 0, STACK_BYTES);
	emit_set(t, BPF_REG_4, bytes);
	emit(t, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_xdp_load_bytes);
	emit_jump(t, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 0, REJECT);
	emit(t, load, dst, FRAME, STACK_BYTES, 0);
}

/* No frame is so long. Always true, but not plainly so: the verifier takes no code behind a jump that is. */
static void emit_too_far(struct translator *t)
{
	emit_jump(t, BPF_JMP | BPF_JGE | BPF_K, t->r.a, 0, 0, REJECT);
}

/* From frame[k]. */
static void emit_load_at(struct translator *t, uint8_t dst, const struct classic_insn *insn, uint32_t *known)
{
	unsigned bytes = load_bytes(insn->code);
	uint64_t end = (uint64_t)insn->k + bytes;

	if (end > OFFSET_MAX) {
		emit_too_far(t);
		return;
	}
	if (!t->frags && end <= *known && insn->k <= INT16_MAX) {
		emit(t, BPF_LDX | BPF_MEM | BPF_SIZE(insn->code), dst, t->r.data, (int16_t)insn->k, 0);
		return;
	}
	if (t->frags)
		emit_set(t, t->r.offset, insn->k);
	emit_move(t, PLACE, t->r.data);
	emit(t, BPF_ALU64 | BPF_ADD | BPF_K, PLACE, 0, 0, (int32_t)end);
	emit_load_checked(t, dst, BPF_SIZE(insn->code), bytes);
	if (end > *known)
		*known = (uint32_t)end;
}

/* From frame[X + k]; the sum does not wrap around. */
static void emit_load_indexed(struct translator *t, uint8_t dst, const struct classic_insn *insn)
{
	unsigned bytes = load_bytes(insn->code);

	if (insn->k > OFFSET_MAX) {
		emit_too_far(t);
		return;
	}
	emit_move(t, t->r.offset, t->r.x);
	emit(t, BPF_ALU64 | BPF_ADD | BPF_K, t->r.offset, 0, 0, (int32_t)insn->k);
	emit_jump(t, BPF_JMP | BPF_JGT | BPF_K, t->r.offset, 0, OFFSET_MAX - bytes, REJECT);
	emit_move(t, PLACE, t->r.data);
	emit(t, BPF_ALU64 | BPF_ADD | BPF_X, PLACE, t->r.offset, 0, 0);
	emit(t, BPF_ALU64 | BPF_ADD | BPF_K, PLACE, 0, 0, (int32_t)bytes);
	emit_load_checked(t, dst, BPF_SIZE(insn->code), bytes);
}

static void emit_length(struct translator *t, uint8_t dst)
{
	if (t->frags) {
		emit_move(t, BPF_REG_1, t->r.ctx);
		emit(t, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_xdp_get_buff_len);
		emit_move(t, dst, BPF_REG_0);
		return;
	}
	emit_move(t, dst, t->r.end);
	emit(t, BPF_ALU64 | BPF_SUB | BPF_X, dst, t->r.data, 0, 0);
}

static void translate_load(struct translator *t, const struct classic_insn *insn, uint32_t *known)
{
	bool to_x = BPF_CLASS(insn->code) == BPF_LDX;
	uint8_t dst = to_x ? t->r.x : t->r.a;

	switch (BPF_MODE(insn->code)) {
	case BPF_IMM:
		emit_set(t, dst, insn->k);
		break;
	case BPF_MEM:
		if (insn->k >= BPF_MEMWORDS)
			t->why = "it uses memory that there is not";
		else
			emit(t, BPF_LDX | BPF_MEM | BPF_W, dst, FRAME, STACK_MEM(insn->k), 0);
		break;
	case BPF_LEN:
		emit_length(t, dst);
		break;
	case BPF_ABS:
		emit_load_at(t, dst, insn, known);
		emit_swap(t, dst, load_bytes(insn->code));
		break;
	case BPF_IND:
		emit_load_indexed(t, dst, insn);
		emit_swap(t, dst, load_bytes(insn->code));
		break;
	case BPF_MSH: /* the length of an IPv4 header */
		emit_load_at(t, dst, insn, known);
		emit(t, BPF_ALU | BPF_AND | BPF_K, dst, 0, 0, 0xf);
		emit(t, BPF_ALU | BPF_LSH | BPF_K, dst, 0, 0, 2);
		break;
	default:
		t->why = "it has an unknown load";
	}
}

/* --- arithmetic -------------------------------------------------------------------------------------------------------- */

static void translate_alu(struct translator *t, const struct classic_insn *insn)
{
	uint8_t op = BPF_OP(insn->code), source = BPF_SRC(insn->code);
	bool divides = op == BPF_DIV || op == BPF_MOD, shifts = op == BPF_LSH || op == BPF_RSH;

	if (op == BPF_NEG) {
		emit(t, BPF_ALU | BPF_NEG, t->r.a, 0, 0, 0);
	} else if (source == BPF_X) {
		if (divides)
			emit_jump(t, BPF_JMP32 | BPF_JEQ | BPF_K, t->r.x, 0, 0, REJECT);
		if (shifts) { /* eBPF takes the low five bits of the number; here all is shifted out */
			emit(t, BPF_JMP32 | BPF_JLE | BPF_K, t->r.x, 0, 1, 31);
			emit_set(t, t->r.a, 0);
			emit(t, BPF_JMP32 | BPF_JGT | BPF_K, t->r.x, 0, 1, 31);
		}
		emit(t, BPF_ALU | op | BPF_X, t->r.a, t->r.x, 0, 0);
	} else if (divides && !insn->k) {
		t->why = "it divides by zero";
	} else if (shifts && insn->k > 31) {
		emit_set(t, t->r.a, 0);
	} else {
		emit(t, BPF_ALU | op | BPF_K, t->r.a, 0, 0, (int32_t)insn->k);
	}
}

/* --- jumps ------------------------------------------------------------------------------------------------------------- */

/* The comparison that is true when this one is not; 0: there is none. */
static uint8_t jump_inverse(uint8_t op)
{
	switch (op) {
	case BPF_JEQ:
		return BPF_JNE;
	case BPF_JGT:
		return BPF_JLE;
	case BPF_JGE:
		return BPF_JLT;
	default:
		return 0;
	}
}

static void translate_branch(struct translator *t, const struct classic_insn *insn, unsigned i, uint32_t known)
{
	uint8_t op = BPF_OP(insn->code), source = BPF_SRC(insn->code), inverse = jump_inverse(op);
	uint32_t yes = i + 1 + insn->jt, no = i + 1 + insn->jf, imm = source == BPF_K ? insn->k : 0;
	uint8_t src = source == BPF_X ? t->r.x : 0;

	if (op != BPF_JEQ && op != BPF_JGT && op != BPF_JGE && op != BPF_JSET) {
		t->why = "it has an unknown jump";
		return;
	}
	reach(t, yes, known);
	reach(t, no, known);
	if (!insn->jt && !insn->jf)
		return;
	if (!insn->jt && inverse) {
		emit_jump(t, BPF_JMP32 | inverse | source, t->r.a, src, imm, no);
		return;
	}
	emit_jump(t, BPF_JMP32 | op | source, t->r.a, src, imm, yes);
	if (insn->jf)
		emit_jump(t, BPF_JMP | BPF_JA, 0, 0, 0, no);
}

static void translate_jump(struct translator *t, const struct classic_insn *insn, unsigned i, uint32_t known)
{
	if (BPF_OP(insn->code) != BPF_JA) {
		translate_branch(t, insn, i, known);
		return;
	}
	/* libpcap jumps back for "protochain" alone, by a number that wraps around. */
	if (insn->k >= t->count) {
		t->why = "it has a loop (protochain)";
		return;
	}
	reach(t, i + 1 + insn->k, known);
	emit_jump(t, BPF_JMP | BPF_JA, 0, 0, 0, i + 1 + insn->k);
}

/* --- the whole --------------------------------------------------------------------------------------------------------- */

static void translate_one(struct translator *t, unsigned i)
{
	const struct classic_insn *insn = &t->code[i];
	uint32_t known = t->known[i];

	switch (BPF_CLASS(insn->code)) {
	case BPF_LD:
	case BPF_LDX:
		translate_load(t, insn, &known);
		break;
	case BPF_ST:
	case BPF_STX:
		if (insn->k >= BPF_MEMWORDS)
			t->why = "it uses memory that there is not";
		else
			emit(t, BPF_STX | BPF_MEM | BPF_W, FRAME, BPF_CLASS(insn->code) == BPF_ST ? t->r.a : t->r.x,
				STACK_MEM(insn->k), 0);
		break;
	case BPF_ALU:
		translate_alu(t, insn);
		break;
	case BPF_JMP:
		translate_jump(t, insn, i, known);
		return;
	case BPF_RET:
		if (BPF_RVAL(insn->code) == BPF_A) {
			emit_move(t, BPF_REG_0, t->r.a);
			emit(t, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
		} else {
			emit_return(t, insn->k);
		}
		return;
	default: /* BPF_MISC */
		if (BPF_MISCOP(insn->code) == BPF_TAX)
			emit_move(t, t->r.x, t->r.a);
		else
			emit_move(t, t->r.a, t->r.x);
	}
	reach(t, i + 1, known);
}

static void translate_begin(struct translator *t)
{
	uint32_t loaded = 0;

	if (t->frags) {
		emit_move(t, t->r.ctx, BPF_REG_1);
		emit_move(t, t->r.data, BPF_REG_2);
	}
	emit_set(t, t->r.a, 0);
	emit_set(t, t->r.x, 0);
	for (unsigned i = 0; i < t->count; i++) {
		uint16_t class = BPF_CLASS(t->code[i].code);
		if ((class == BPF_LD || class == BPF_LDX) && BPF_MODE(t->code[i].code) == BPF_MEM && t->code[i].k < BPF_MEMWORDS)
			loaded |= 1u << t->code[i].k;
	}
	for (unsigned i = 0; i < BPF_MEMWORDS; i++) {
		if (loaded >> i & 1)
			emit(t, BPF_STX | BPF_MEM | BPF_W, FRAME, t->r.a, STACK_MEM(i), 0);
	}
	while (t->used < MIN_LENGTH)
		emit_move(t, t->r.a, t->r.a);
}

/* The jumps' distances, now that all places are known. */
static void translate_fix(struct translator *t, uint32_t reject)
{
	for (unsigned i = 0; i < t->fixes_count; i++) {
		const struct fix *fix = &t->fixes[i];
		uint32_t to = fix->target == REJECT ? reject : t->start[fix->target];
		int64_t distance = (int64_t)to - fix->at - 1;
		if (distance > INT16_MAX)
			t->why = "it is too long";
		t->out[fix->at].off = (int16_t)distance;
	}
}

static void translate_all(struct translator *t)
{
	bool rejects = false;

	memset(t->known, 0xff, t->count * sizeof(*t->known));
	t->known[0] = 0;
	translate_begin(t);
	for (unsigned i = 0; i < t->count && !t->why; i++) {
		t->start[i] = t->used;
		if (t->known[i] != UNREACHED) /* the verifier takes no code that is never reached */
			translate_one(t, i);
	}
	for (unsigned i = 0; i < t->fixes_count; i++)
		rejects |= t->fixes[i].target == REJECT;
	uint32_t reject = t->used;
	if (rejects)
		emit_return(t, 0);
	if (!t->why)
		translate_fix(t, reject);
}

int translate_filter(const struct classic_insn *code, unsigned count, bool frags, struct bpf_insn **function, const char **why)
{
	struct translator t = { .code = code, .count = count, .frags = frags, .r = frags ? registers_frags : registers_plain };
	int result = -ENOMEM;

	*why = "it is empty";
	if (!count)
		return -ENOTSUP;
	t.out = calloc(TRANSLATE_MAX, sizeof(*t.out));
	t.fixes = calloc(TRANSLATE_MAX, sizeof(*t.fixes));
	t.start = calloc(count, sizeof(*t.start));
	t.known = calloc(count, sizeof(*t.known));
	if (!t.out || !t.fixes || !t.start || !t.known)
		goto out;
	translate_all(&t);
	*why = t.why;
	result = t.why ? -ENOTSUP : (int)t.used;
	if (!t.why) {
		*function = t.out;
		t.out = NULL;
	}
out:
	free(t.out);
	free(t.fixes);
	free(t.start);
	free(t.known);
	return result;
}
