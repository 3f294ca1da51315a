/* --detector KIND:KEY=N,...: the settings of one detector. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "flowlane/alert.h"
#include "option_table.h"

#define WORD_MAX      64
#define THRESHOLD_MAX 1000000000ULL
#define SECS_MAX      1000000
#define NS_PER_S      ((uint64_t)1000000000)
#define WINDOW_MIN_NS ((uint64_t)1000000)

void detectors_reset(struct config *config)
{
	for (unsigned i = 0; i < ALERT_KIND_COUNT; i++)
		config->detector[i] = detector_info(i)->defaults;
}

static int fail_kind(struct options *options, const char *kind, const char *where)
{
	const char *names[ALERT_KIND_COUNT];

	for (unsigned i = 0; i < ALERT_KIND_COUNT; i++)
		names[i] = detector_info(i)->name;
	const char *near = nearest_name(kind, names, ALERT_KIND_COUNT);
	return option_fail(options, "%s: there is no detector '%s'%s%s%s docs/anomalies.md lists all", where, kind,
		near ? "; did you mean '" : "", near ? near : "", near ? "'?" : ";");
}

static int set_threshold(struct options *options, uint32_t *member, const char *name, const char *value, const char *where)
{
	uint64_t number;

	if (!option_parse_number(value, &number) || !number || number > THRESHOLD_MAX)
		return option_fail(
			options, "%s: %s '%s': it takes a whole number from 1 to %llu", where, name, value, THRESHOLD_MAX);
	*member = (uint32_t)number;
	return 0;
}

static int set_secs(
	struct options *options, uint64_t *member, const char *name, uint64_t min_ns, const char *value, const char *where)
{
	uint64_t ns;

	if (!option_parse_seconds(value, &ns) || ns < min_ns || ns > SECS_MAX * NS_PER_S)
		return option_fail(options, "%s: %s '%s': it takes seconds from %s to %d", where, name, value,
			min_ns ? "0.001" : "0", SECS_MAX);
	*member = ns;
	return 0;
}

/* One "KEY=N", "on" or "off", with `where` naming option and kind. */
static int set_one(struct options *options, enum alert_kind kind, const char *word, const char *where)
{
	struct detector_config *config = &options->config.detector[kind];
	const struct detector_info *info = detector_info(kind);
	size_t length = strcspn(word, "=");
	const char *value = word[length] ? word + length + 1 : NULL;
	char key[WORD_MAX];

	if (!strcmp(word, "on") || !strcmp(word, "off")) {
		config->enabled = !strcmp(word, "on");
		return 0;
	}
	snprintf(key, sizeof(key), "%.*s", (int)length, word);
	if (value && !strcmp(key, info->threshold))
		return set_threshold(options, &config->threshold, key, value, where);
	if (value && info->second && !strcmp(key, info->second))
		return set_threshold(options, &config->second, key, value, where);
	if (value && !strcmp(key, "window"))
		return set_secs(options, &config->window_ns, key, WINDOW_MIN_NS, value, where);
	if (value && !strcmp(key, "cooldown"))
		return set_secs(options, &config->cooldown_ns, key, 0, value, where);
	return option_fail(options, "%s: '%s' is not understood; it takes %s=N%s%s%s, window=SECS, cooldown=SECS, on, off", where,
		word, info->threshold, info->second ? ", " : "", info->second ? info->second : "", info->second ? "=N" : "");
}

static int set_words(struct options *options, enum alert_kind kind, const char *words, const char *where)
{
	char word[WORD_MAX], place[600];
	int error = 0;

	snprintf(place, sizeof(place), "%s: %s", where, detector_info(kind)->name);
	while (!error) {
		words += strspn(words, " ");
		size_t length = strcspn(words, ",");
		snprintf(word, sizeof(word), "%.*s", (int)length, words);
		for (size_t end = strlen(word); end && word[end - 1] == ' ';)
			word[--end] = 0;
		error = set_one(options, kind, word, place);
		words += length;
		if (!*words++)
			break;
	}
	return error;
}

static int set_all(struct options *options, const char *words, const char *where)
{
	if (strcmp(words, "on") && strcmp(words, "off"))
		return option_fail(options, "%s: all takes on or off, not '%s'; thresholds are each detector's own", where, words);
	for (unsigned i = 0; i < ALERT_KIND_COUNT; i++)
		options->config.detector[i].enabled = !strcmp(words, "on");
	return 0;
}

int detector_set(struct options *options, const char *text, const char *where)
{
	size_t length = strcspn(text, ":");
	const char *words = text[length] ? text + length + 1 : "";
	char kind[WORD_MAX];

	snprintf(kind, sizeof(kind), "%.*s", (int)length, text);
	words += strspn(words, " ");
	if (!*words)
		return option_fail(options, "%s: '%s' says nothing about a detector; such as syn_flood:syns=100 or syn_flood:off",
			where, text);
	if (!strcmp(kind, "all"))
		return set_all(options, words, where);
	for (unsigned i = 0; i < ALERT_KIND_COUNT; i++) {
		if (!strcmp(kind, detector_info(i)->name))
			return set_words(options, i, words, where);
	}
	return fail_kind(options, kind, where);
}
