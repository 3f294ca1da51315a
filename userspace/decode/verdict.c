#include "flowlane/verdict.h"

#include <stddef.h>

static const struct {
	const char *name;
	const char *text;
} verdicts[VERDICT_COUNT] = {
#define X(id, name, text) [VERDICT_##id] = { name, text },
	VERDICTS(X)
#undef X
};

const char *verdict_name(enum verdict verdict)
{
	return (unsigned)verdict < VERDICT_COUNT ? verdicts[verdict].name : NULL;
}

const char *verdict_text(enum verdict verdict)
{
	return (unsigned)verdict < VERDICT_COUNT ? verdicts[verdict].text : NULL;
}
