#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "option_table.h"

#define NS_PER_S ((uint64_t)1000000000)

int option_fail(struct options *options, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(options->error, sizeof(options->error), format, args);
	va_end(args);
	return -EINVAL;
}

const char *option_takes(const struct option_spec *spec, char *text, size_t size)
{
	size_t used = 0;

	switch ((enum option_kind)spec->kind) {
	case OPTION_FLAG:
		snprintf(text, size, "yes or no");
		break;
	case OPTION_NUMBER:
		snprintf(text, size, "a whole number from %" PRIu64 " to %" PRIu64 "%s%s", spec->min, spec->max,
			spec->unit ? " " : "", spec->unit ? spec->unit : "");
		break;
	case OPTION_PART:
		snprintf(text, size, "1/N with N from %" PRIu64 " to %" PRIu64 "%s%s", spec->min, spec->max, spec->unit ? ", " : "",
			spec->unit ? spec->unit : "");
		break;
	case OPTION_SECONDS:
		snprintf(text, size, "seconds from %" PRIu64 " to %" PRIu64 ", such as 60 or 0.25", spec->min, spec->max);
		break;
	case OPTION_WORD:
		for (const struct option_word *word = spec->words; word->name && used < size; word++) {
			const char *glue = word == spec->words ? "" : word[1].name ? ", " : " or ";
			used += (size_t)snprintf(text + used, size - used, "%s%s", glue, word->name);
		}
		break;
	case OPTION_PATH:
	case OPTION_PATHS:
		snprintf(text, size, "a file name");
		break;
	case OPTION_TEXT:
	case OPTION_TEXTS:
		snprintf(text, size, "%s", spec->unit);
		break;
	case OPTION_FILTER:
		snprintf(text, size, "a tcpdump expression");
		break;
	}
	return text;
}

/* Digits only: strtoull would take signs and blanks. Saturates: too big stays too big. */
static const char *parse_digits(const char *text, uint64_t *value)
{
	bool saturated = false;
	uint64_t v = 0;

	if (!isdigit((unsigned char)*text))
		return NULL;
	for (; isdigit((unsigned char)*text); text++) {
		saturated |= v > (UINT64_MAX - 9) / 10;
		v = v * 10 + (uint64_t)(*text - '0');
	}
	*value = saturated ? UINT64_MAX : v;
	return text;
}

bool option_parse_number(const char *text, uint64_t *value)
{
	static const struct {
		const char *suffix;
		uint64_t factor;
	} suffixes[] = { { "", 1 }, { "k", 1000 }, { "K", 1000 }, { "M", 1000000 }, { "G", 1000000000 }, { "Ki", 1 << 10 },
		{ "ki", 1 << 10 }, { "Mi", 1 << 20 }, { "Gi", 1 << 30 } };
	const char *rest = parse_digits(text, value);

	for (unsigned i = 0; rest && i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		if (strcmp(rest, suffixes[i].suffix))
			continue;
		if (__builtin_mul_overflow(*value, suffixes[i].factor, value))
			*value = UINT64_MAX;
		return true;
	}
	return false;
}

/* Exact: no floating point between "0.1" and 100,000,000 ns. More than nine decimals are refused, not rounded to 0 = never. */
bool option_parse_seconds(const char *text, uint64_t *ns)
{
	uint64_t whole, unit = NS_PER_S / 10, fraction = 0;
	const char *rest = parse_digits(text, &whole);

	if (!rest)
		return false;
	if (*rest == '.') {
		if (!isdigit((unsigned char)*++rest))
			return false;
		for (; isdigit((unsigned char)*rest) && unit; rest++, unit /= 10)
			fraction += unit * (uint64_t)(*rest - '0');
	}
	if (*rest)
		return false;
	if (whole > UINT64_MAX / NS_PER_S - 1)
		*ns = UINT64_MAX;
	else
		*ns = whole * NS_PER_S + fraction;
	return true;
}

static bool parse_flag(const char *text, uint64_t *value)
{
	static const char *const yes[] = { "yes", "true", "on", "1" };
	static const char *const no[] = { "no", "false", "off", "0" };

	for (unsigned i = 0; i < 4; i++) {
		if (strcmp(text, yes[i]) && strcmp(text, no[i]))
			continue;
		*value = !strcmp(text, yes[i]);
		return true;
	}
	return false;
}

static bool parse_word(const struct option_word *words, const char *text, uint64_t *value)
{
	for (; words->name; words++) {
		if (!strcmp(words->name, text)) {
			*value = words->value;
			return true;
		}
	}
	return false;
}

static void store(struct options *options, const struct option_spec *spec, uint64_t value)
{
	char *member = (char *)options + spec->offset;

	/* Little-endian (base/bytes.h asserts it): the low bytes are the value of a narrower member. */
	memcpy(member, &value, spec->size);
}

static uint64_t load(const struct options *options, const struct option_spec *spec)
{
	uint64_t value = 0;

	memcpy(&value, (const char *)options + spec->offset, spec->size);
	return value;
}

static int set_text(struct options *options, const struct option_spec *spec, const char *text)
{
	char **member = (char **)((char *)options + spec->offset);
	char *copy = strdup(text);

	if (!copy)
		return option_fail(options, "out of memory while reading the options");
	free(*member);
	*member = copy;
	return 0;
}

bool option_is_list(const struct option_spec *spec)
{
	return spec->kind == OPTION_PATHS || spec->kind == OPTION_TEXTS;
}

unsigned option_list(const struct options *options, const struct option_spec *spec, char *const **items)
{
	const char *member = (const char *)options + spec->offset;

	*items = *(char *const *const *)member;
	return *(const unsigned *)(member + sizeof(char **));
}

static int list_add(struct options *options, const struct option_spec *spec, const char *text)
{
	char ***items = (char ***)((char *)options + spec->offset);
	unsigned *count = (unsigned *)(items + 1);
	char **longer = realloc(*items, (*count + 1) * sizeof(*longer));
	char *copy = strdup(text);

	if (longer)
		*items = longer;
	if (!longer || !copy) {
		free(copy);
		return option_fail(options, "out of memory while reading the options");
	}
	longer[(*count)++] = copy;
	return 0;
}

static bool is_path(const struct option_spec *spec)
{
	return spec->kind == OPTION_PATH || spec->kind == OPTION_PATHS;
}

int option_set(struct options *options, const struct option_spec *spec, const char *text, const char *where)
{
	uint64_t value = 0, scale = spec->scale ? spec->scale : 1;
	char takes[128];
	bool understood = false;

	switch ((enum option_kind)spec->kind) {
	case OPTION_PATHS:
	case OPTION_TEXTS:
	case OPTION_PATH:
	case OPTION_TEXT:
		if (!*text)
			return option_fail(options, "%s: %s is empty", where, is_path(spec) ? "the file name" : "the value");
		if (spec->check && spec->check(options, text, where))
			return -EINVAL;
		return option_is_list(spec) ? list_add(options, spec, text) : set_text(options, spec, text);
	case OPTION_FILTER:
		return set_text(options, spec, text);
	case OPTION_FLAG:
		understood = parse_flag(text, &value);
		break;
	case OPTION_WORD:
		understood = parse_word(spec->words, text, &value);
		break;
	case OPTION_NUMBER:
		understood = option_parse_number(text, &value);
		break;
	case OPTION_PART:
		understood = !strncmp(text, "1/", 2) && option_parse_number(text + 2, &value);
		break;
	case OPTION_SECONDS:
		understood = option_parse_seconds(text, &value);
		break;
	}
	option_takes(spec, takes, sizeof(takes));
	if (!understood)
		return option_fail(options, "%s: '%s' is not understood; it takes %s", where, text, takes);
	if ((spec->kind == OPTION_NUMBER || spec->kind == OPTION_PART) && (value < spec->min || value > spec->max))
		return option_fail(options, "%s: %s is out of range; it takes %s", where, text, takes);
	if (spec->kind == OPTION_SECONDS && (value < spec->min * NS_PER_S || value > spec->max * NS_PER_S))
		return option_fail(options, "%s: %s is out of range; it takes %s", where, text, takes);
	store(options, spec, value * scale);
	return 0;
}

const char *option_get(const struct options *options, const struct option_spec *spec, char text[32])
{
	const char *given;
	uint64_t value, scale = spec->scale ? spec->scale : 1;

	switch ((enum option_kind)spec->kind) {
	case OPTION_PATH:
	case OPTION_TEXT:
	case OPTION_FILTER:
		given = *(char *const *)((const char *)options + spec->offset);
		return given ? given : "";
	case OPTION_PATHS:
	case OPTION_TEXTS:
		return "";
	case OPTION_FLAG:
		return load(options, spec) ? "true" : "false";
	case OPTION_WORD:
		value = load(options, spec);
		for (const struct option_word *word = spec->words; word->name; word++) {
			if (word->value == value)
				return word->name;
		}
		return "";
	case OPTION_NUMBER:
		snprintf(text, 32, "%" PRIu64, load(options, spec) / scale);
		return text;
	case OPTION_PART:
		value = load(options, spec);
		if (!value)
			return "";
		snprintf(text, 32, "1/%" PRIu64, value);
		return text;
	case OPTION_SECONDS:
		value = load(options, spec);
		int length = snprintf(text, 32, "%" PRIu64 ".%09" PRIu64, value / NS_PER_S, value % NS_PER_S);
		while (text[length - 1] == '0')
			text[--length] = 0;
		if (text[length - 1] == '.')
			text[--length] = 0;
		return text;
	}
	return "";
}
