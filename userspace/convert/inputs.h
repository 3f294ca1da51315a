/* The inputs of a conversion: what was named, with folders in place of which their files stand. */
#ifndef FLOWLANE_INPUTS_H
#define FLOWLANE_INPUTS_H

struct inputs {
	char **path;
	unsigned count;
};

/*
 * A directory that holds no columns itself stands for what the sensor puts into one: its nfcapd files and its directories of columns,
 * in the order of their names, which is that of time. 0, or a negative errno, logged.
 */
int inputs_expand(struct inputs *inputs, char *const *given, unsigned count);
void inputs_free(struct inputs *inputs); /* accepts what is zero */

#endif
